"""Models, versions and files by Replicate's names."""

from datetime import UTC, datetime
from typing import Any

from api.schemas.deployment import ModelView
from api.schemas.replicate.predictions import PredictionInput
from core.records.base import View
from core.records.request import StoredImage

# The output of a version, from which Replicate's client learns that it is a list of addresses.
_OUTPUT = {"type": "array", "title": "Output", "items": {"type": "string", "format": "uri"}}
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # a deployment does not note when its weights came


class VersionView(View):
    """Weights that are served."""

    id: str
    created_at: datetime = _SINCE
    cog_version: str = "0"
    openapi_schema: dict[str, Any]


class ReplicateModelView(View):
    """A served model."""

    url: str
    owner: str
    name: str
    description: str
    visibility: str = "private"
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    run_count: int = 0
    cover_image_url: str | None = None
    default_example: None = None
    latest_version: VersionView


class VersionPage(View):
    """The versions of a model: the one that is served."""

    results: list[VersionView]
    next: None = None
    previous: None = None


class FileView(View):
    """An uploaded image."""

    id: str
    name: str
    content_type: str
    size: int
    etag: str
    checksums: dict[str, str]
    metadata: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    urls: dict[str, str]


def version_view(model: ModelView) -> VersionView:
    """Return the version whose id is the digest of a model's weights."""
    schemas = {"Input": PredictionInput.model_json_schema(), "Output": _OUTPUT}
    return VersionView(id=version_of(model), openapi_schema={"components": {"schemas": schemas}})


def version_of(model: ModelView) -> str:
    """Return the digest of a model's weights without the name of its algorithm."""
    return model.weights.removeprefix("sha256:")


def model_view(owner: str, name: str, model: ModelView, address: str) -> ReplicateModelView:
    """Return a served model under the name by which it was asked for."""
    return ReplicateModelView(
        url=address,
        owner=owner,
        name=name,
        description=f"{model.name}, {model.dtype} on {', '.join(model.devices)}",
        latest_version=version_view(model),
    )


def file_view(
    upload_id: str, image: StoredImage, name: str, expires_at: datetime, address: str
) -> FileView:
    """Return an upload that has its bytes."""
    return FileView(
        id=upload_id,
        name=name,
        content_type=image.content_type,
        size=image.bytes,
        etag=image.sha256,
        checksums={"sha256": image.sha256},
        metadata={},
        created_at=datetime.now(UTC),
        expires_at=expires_at,
        urls={"get": address},
    )
