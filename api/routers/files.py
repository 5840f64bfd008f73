"""Serve signed links of a deployment that stores in a folder; no key needed.

They are what presigned links are for a bucket.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from api.dependencies import CurrentSettings, CurrentUploads, ServedFolder
from api.http.answers import ANY_BYTES, FILE_ANSWERS, problems
from api.http.bodies import read_limited
from api.http.parameters import ANY_STATE, READS_RANGES, KnownQueryRoute, SeenTags
from api.http.stored_file import StoredFile
from core.errors import NotFound
from core.objects.object_keys import content_disposition, download_name, upload_of
from core.objects.signed_links import PATH
from core.records.request import StoredImage

router = APIRouter(prefix=PATH.rstrip("/"), tags=["files"], route_class=KnownQueryRoute)

_WRITE_DOC = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
# a page of another site may show the video, as with any presigned link
_ANYWHERE = {"Cross-Origin-Resource-Policy": "cross-origin"}


async def _signed_fields(
    expires: Annotated[str, Query(description="Unix time until which the link is valid.")] = "",
    content_type: Annotated[str, Query(description="Content type of the answer.")] = "",
    signature: Annotated[str, Query(description="Covers all other parts of the link.")] = "",
) -> dict[str, str]:
    return {"expires": expires, "content_type": content_type, "signature": signature}


SignedFields = Annotated[dict[str, str], Depends(_signed_fields)]


@router.get(
    "/{key:path}",
    response_class=FileResponse,
    openapi_extra=READS_RANGES,
    responses=FILE_ANSWERS | {200: FILE_ANSWERS[200] | {"content": ANY_BYTES}} | problems(403, 422),
)
async def read_file(
    key: str, folder: ServedFolder, fields: SignedFields, seen: SeenTags
) -> Response:
    """Return the file of a link that the service gave out, with `Range`."""
    folder.links.check("GET", key, fields)
    path = folder.local_path(key)
    if not path.is_file():
        raise NotFound(f"nothing is stored under {key} (any more)")
    headers = _ANYWHERE | {"Content-Disposition": content_disposition(download_name(key))}
    answer = StoredFile(
        path, media_type=fields["content_type"], headers=headers, stat_result=path.stat()
    )
    etag = answer.headers["etag"]
    if not seen.isdisjoint((etag, ANY_STATE)):
        return Response(status_code=304, headers={"ETag": etag})
    return answer


@router.put(
    "/{key:path}",
    status_code=201,
    openapi_extra=_WRITE_DOC,
    responses=problems(403, 404, 409, 413, 415, 422, 503),
)
async def write_file(
    request: Request,
    key: str,
    folder: ServedFolder,
    fields: SignedFields,
    uploads: CurrentUploads,
    settings: CurrentSettings,
) -> StoredImage:
    """Take the bytes of an upload at its `upload_url`.

    What is no image that the service reads is refused; other bytes may be sent instead.
    """
    folder.links.check("PUT", key, fields)
    upload_id = upload_of(key)
    if upload_id is None:
        raise NotFound(f"nothing can be sent to {key}")
    return await uploads.receive(upload_id, await read_limited(request, settings.max_image))
