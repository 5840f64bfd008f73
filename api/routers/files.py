"""Signed links of a deployment that stores in a folder: what presigned links are for a bucket. They
need no key.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from api.dependencies import CurrentSettings, CurrentUploads, ServedFolder
from api.http.bodies import read_limited
from api.http.headers import FileParameters, is_known
from api.http.stored_file import RANGE_ANSWERS, StoredFile
from api.schemas.jobs import PROBLEM_RESPONSE
from core.errors import NotFound
from core.objects.keys import upload_of
from core.objects.signed_links import PATH
from core.records.request import StoredImage

router = APIRouter(prefix=PATH.rstrip("/"), tags=["files"])

_READ_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    **RANGE_ANSWERS,
    304: {"description": "The caller has the file already."},
    **dict.fromkeys((403, 404, 416, 503), PROBLEM_RESPONSE),
}
_WRITE_DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
# a page elsewhere shows the video, as with any such link
_ANYWHERE = {"Cross-Origin-Resource-Policy": "cross-origin"}


async def _signed_fields(
    expires: Annotated[str, Query(description="Unix time until which the link lives.")] = "",
    content_type: Annotated[str, Query(description="Content type of the answer.")] = "",
    signature: Annotated[str, Query(description="Stands for all other parts of the link.")] = "",
) -> dict[str, str]:
    return {"expires": expires, "content_type": content_type, "signature": signature}


SignedFields = Annotated[dict[str, str], Depends(_signed_fields)]


@router.get("/{key:path}", response_class=FileResponse, responses=_READ_ANSWERS)
@router.head("/{key:path}", include_in_schema=False)
async def read_file(
    request: Request,
    key: str,
    folder: ServedFolder,
    fields: SignedFields,
    _: FileParameters,
) -> Response:
    """The file of a link that the service gave out, with `Range`."""
    folder.links.check("GET", key, fields)
    path = folder.local_path(key)
    if not path.is_file():
        raise NotFound(f"nothing is stored under {key} (any more)")
    answer = StoredFile(
        path, media_type=fields["content_type"], headers=_ANYWHERE, stat_result=path.stat()
    )
    etag = answer.headers["etag"]
    return Response(status_code=304, headers={"ETag": etag}) if is_known(etag, request) else answer


@router.put(
    "/{key:path}",
    status_code=201,
    openapi_extra=_WRITE_DOC,
    responses=dict.fromkeys((403, 404, 409, 413, 422, 503), PROBLEM_RESPONSE),
)
async def write_file(
    request: Request,
    key: str,
    folder: ServedFolder,
    fields: SignedFields,
    uploads: CurrentUploads,
    settings: CurrentSettings,
) -> StoredImage:
    """The bytes of an upload, to its `upload_url`; what is no image that we read is refused and may
    be sent anew.
    """
    folder.links.check("PUT", key, fields)
    upload_id = upload_of(key)
    if upload_id is None:
        raise NotFound(f"nothing can be sent to {key}")
    return await uploads.receive(upload_id, await read_limited(request, settings.max_image))
