"""Create uploads: images sent before the jobs that use them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.dependencies import BaseUrl, CurrentCaller, CurrentSettings, CurrentUploads
from api.http.answers import json_body_doc, problems
from api.http.bodies import json_body
from api.http.parameters import KnownQueryRoute
from api.schemas.uploads import UploadBody, UploadView
from core.records.view import absolute

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], route_class=KnownQueryRoute)

_BODY_DOC = json_body_doc("UploadBody", required=False)


@router.post(
    "", status_code=201, openapi_extra=_BODY_DOC, responses=problems(400, 415, 422, 429, 503)
)
async def create_upload(
    _: Annotated[UploadBody, Depends(json_body(UploadBody))],
    uploads: CurrentUploads,
    caller: CurrentCaller,
    settings: CurrentSettings,
    base_url: BaseUrl,
) -> UploadView:
    """Make an upload: PUT the bytes to `upload_url`, then use `{"upload": id}` as an image."""
    upload_id, link, vanishes_at = await uploads.create(caller)
    return UploadView(
        id=upload_id,
        upload_url=absolute(link, base_url),
        max_bytes=settings.max_image,
        expires_at=vanishes_at,
    )
