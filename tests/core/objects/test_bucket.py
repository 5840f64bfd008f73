"""The bucket of a storage that begins empty."""

import httpx
import pytest

from core.objects.bucket import make_bucket
from core.objects.storage import open_storage
from core.settings import Settings


@pytest.fixture
def new_bucket(s3_settings: Settings) -> Settings:
    return s3_settings.model_copy(update={"s3_bucket": f"{s3_settings.s3_bucket}-new"})


def test_bucket_is_made_once(new_bucket: Settings) -> None:
    """A stack that starts again finds it and leaves it as it is."""
    assert make_bucket(new_bucket)
    open_storage(new_bucket).put("jobs/a/b", b"kept", "text/plain")
    assert not make_bucket(new_bucket)
    assert open_storage(new_bucket).get("jobs/a/b") == b"kept"


def test_refusal_is_told(new_bucket: Settings) -> None:
    """A bucket name that no server takes never becomes right by waiting, so the patience has an
    end.
    """
    with pytest.raises(Exception, match=r"(?i)bucket"):
        make_bucket(
            new_bucket.model_copy(update={"s3_bucket": "Not_A_Bucket!"}), patience_seconds=0
        )


def test_bucket_has_to_be_named(settings: Settings) -> None:
    with pytest.raises(ValueError, match="TOONCRAFTER_S3_BUCKET has to name the bucket"):
        make_bucket(settings)


def test_links_lead_to_the_address_that_callers_know(s3_settings: Settings) -> None:
    """Inside a network of containers the server has another name than outside."""
    inside = s3_settings.s3_endpoint_url
    assert inside
    outside = inside.replace("127.0.0.1", "localhost")
    storage = open_storage(s3_settings.model_copy(update={"s3_public_endpoint_url": outside}))
    storage.put("jobs/a/b", b"video", "video/mp4")
    link = storage.presigned_url("jobs/a/b", s3_settings.presigned_ttl, "video/mp4")
    assert link.startswith(outside)
    assert httpx.get(link).content == b"video"
    put = storage.presigned_put("jobs/a/c", s3_settings.presigned_ttl)
    assert put.startswith(outside)
