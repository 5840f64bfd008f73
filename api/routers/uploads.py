"""Images that are sent before the jobs that use them."""

from typing import Any

from fastapi import APIRouter, Request

from api.dependencies import BaseUrl, CurrentCaller, CurrentSettings, CurrentUploads
from api.http.bodies import demand_empty_body
from api.schemas.jobs import PROBLEM_RESPONSE, UploadView
from core.records.view import absolute

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_BODY_DOC: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UploadBody"}}},
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_BODY_DOC,
    responses=dict.fromkeys((400, 415, 422, 429, 503), PROBLEM_RESPONSE),
)
async def create_upload(
    request: Request,
    uploads: CurrentUploads,
    caller: CurrentCaller,
    settings: CurrentSettings,
    base_url: BaseUrl,
) -> UploadView:
    """Make room for one image: PUT its bytes to `upload_url`, then use `{"upload": id}` wherever an
    image stands.
    """
    await demand_empty_body(request)
    upload_id, link, vanishes_at = await uploads.create(caller)
    return UploadView(
        id=upload_id,
        upload_url=absolute(link, base_url),
        max_bytes=settings.max_image,
        expires_at=vanishes_at,
    )
