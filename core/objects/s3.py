"""Store objects in a bucket of S3 or of a compatible server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from core.endpoints import is_loopback
from core.errors import NotFound
from core.objects.body import Check, CheckedBody
from core.objects.metrics import measured
from core.objects.object_keys import (
    StoredObject,
    checked_key,
    checked_prefix,
    content_disposition,
    demand_size,
    download_name,
    storage_unavailable,
)
from core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef


class S3Storage:
    """Objects in a bucket, through boto3 clients such as `s3_client` makes.

    `signer` signs links, which include the server's address: it is a client of the address under
    which callers reach the server. The default is `client`, for callers that use its address too.
    """

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str = "", signer: "S3Client | None" = None
    ) -> None:
        self._client = client
        self._signer = signer or client
        self._bucket = bucket
        self._prefix = prefix

    @measured
    def put(self, key: str, data: bytes, content_type: str, check: Check | None = None) -> None:
        """Store an object in one PUT, so that it appears whole."""
        body = CheckedBody(data, check) if check else data
        with _translated_errors(check):
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(key), Body=body, ContentType=content_type
            )

    @measured
    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """Read an object in one GET."""
        with _translated_errors():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(key))
            with answer["Body"] as body:
                demand_size(answer["ContentLength"], max_bytes)
                return body.read()

    @measured
    def delete_prefix(self, prefix: str) -> None:
        """Delete all objects under a prefix, one request each.

        Batch deletion differs between servers, and a job has few objects.
        """
        pages = self._client.get_paginator("list_objects_v2")
        with _translated_errors():
            for page in pages.paginate(
                Bucket=self._bucket, Prefix=f"{self._key(checked_prefix(prefix))}/"
            ):
                for item in page.get("Contents", []):
                    self._client.delete_object(Bucket=self._bucket, Key=item["Key"])

    @measured
    def list_page(self, prefix: str, after: str, limit: int) -> list[StoredObject]:
        """List a page of objects in one request; S3 sorts by the bytes of the key."""
        within = f"{self._key(checked_prefix(prefix))}/"
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": within,
            "MaxKeys": limit,
        }
        if after:
            request["StartAfter"] = self._key(after)
        with _translated_errors():
            page = self._client.list_objects_v2(**request)
        found = page.get("Contents", [])
        return [
            StoredObject(item["Key"].removeprefix(self._prefix), item["LastModified"], item["Size"])
            for item in found
        ]

    def delete_abandoned(self, age: timedelta) -> None:
        """Do nothing: an interrupted PUT leaves no partial object."""

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str:
        """Sign a link for reading an object, without a request to the server."""
        params = {
            "Bucket": self._bucket,
            "Key": self._key(key),
            "ResponseContentType": content_type,
            "ResponseContentDisposition": content_disposition(download_name(key)),
        }
        return self._signer.generate_presigned_url(
            "get_object", params, ExpiresIn=int(expires.total_seconds())
        )

    def presigned_put(self, key: str, expires: timedelta) -> str:
        """Sign a link for storing an object; it sets no size limit, so readers have to."""
        params = {"Bucket": self._bucket, "Key": self._key(key)}
        return self._signer.generate_presigned_url(
            "put_object", params, ExpiresIn=int(expires.total_seconds())
        )

    def local_path(self, key: str) -> Path | None:
        """Return None, as the object is not on a local disk."""
        return None

    @measured
    def ping(self) -> None:
        """Check that the bucket exists and that the credentials are accepted."""
        with _translated_errors():
            self._client.head_bucket(Bucket=self._bucket)

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)


class Patience(NamedTuple):
    """Timeouts for connecting and between two bytes, and the number of attempts."""

    connect_seconds: float
    read_seconds: float
    attempts: int


PATIENT = Patience(2, 10, 2)  # for the worker, whose result took a minute to compute
HURRIED = Patience(1, 2, 1)  # for requests: the client waits for the answer and may retry


def s3_client(settings: Settings, patience: Patience = PATIENT) -> "S3Client":
    """Make a boto3 client for the configured bucket, with signature version 4.

    boto3 is imported here: a gateway that stores objects in a folder saves 30 MB of memory and a
    third of a second.
    """
    import boto3
    from botocore.config import Config

    secret = settings.s3_secret_access_key
    host = urlsplit(settings.s3_endpoint_url or "").hostname or ""
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"} if settings.s3_endpoint_url else {},
            # other servers than AWS's fail on the checksums that boto3 adds by default
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            # a proxy cannot reach this machine; None: use those of the environment
            proxies={} if is_loopback(host) else None,
        ),
    )


@contextmanager
def _translated_errors(check: Check | None = None) -> Iterator[None]:
    """Raise boto3's errors as the errors of `core.errors`.

    boto3 hides what `check` raised within an upload, so it is asked again.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise NotFound("no such object") from error
        raise storage_unavailable(error) from error
    except BotoCoreError as error:
        if check:
            check()
        raise storage_unavailable(error) from error
