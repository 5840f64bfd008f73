"""Objects in a bucket of S3, or of anything that speaks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from core.errors import NotFound
from core.objects.keys import (
    StoredObject,
    checked_key,
    checked_prefix,
    content_disposition,
    demand_size,
    download_name,
    storage_unavailable,
)
from core.objects.metrics import measured
from core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef


class S3Storage:
    """Objects in a bucket. The clients come from `s3_client`, or are any other boto3 S3 clients.

    Links are signed by `signer`, a client of the address under which callers reach the server; left
    out, they reach it as we do. The address is part of what is signed, so it cannot be exchanged
    afterwards.
    """

    def __init__(
        self, client: "S3Client", bucket: str, prefix: str = "", signer: "S3Client | None" = None
    ) -> None:
        self._client = client
        self._signer = signer or client
        self._bucket = bucket
        self._prefix = prefix

    @measured
    def put(self, key: str, data: bytes, content_type: str) -> None:
        """One PUT, so the object appears whole."""
        with _translated_errors():
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(key), Body=data, ContentType=content_type
            )

    @measured
    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """One GET."""
        with _translated_errors():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(key))
            with answer["Body"] as body:
                demand_size(answer["ContentLength"], max_bytes)
                return body.read()

    @measured
    def delete_prefix(self, prefix: str) -> None:
        """List and delete, key by key: batch deletion differs between servers, and a job has few
        objects.
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
        """One listing; S3 sorts by the bytes of the key."""
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
        """Nothing: a PUT that breaks off leaves nothing."""

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str:
        """Signed here, without asking the server."""
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
        """The same, to write; it binds no length, so whoever reads the object has to limit it."""
        params = {"Bucket": self._bucket, "Key": self._key(key)}
        return self._signer.generate_presigned_url(
            "put_object", params, ExpiresIn=int(expires.total_seconds())
        )

    def local_path(self, key: str) -> Path | None:
        """None: the object lies on no disk of ours."""
        return None

    @measured
    def ping(self) -> None:
        """The bucket exists and the credentials open it."""
        with _translated_errors():
            self._client.head_bucket(Bucket=self._bucket)

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)


class Patience(NamedTuple):
    """How long to wait: seconds until a connection stands, seconds between two bytes, and how often
    to try.
    """

    connect_seconds: float
    read_seconds: float
    attempts: int


PATIENT = Patience(2, 10, 2)  # who has computed a result for a minute
HURRIED = Patience(1, 2, 1)  # somebody waits for the answer, and may ask again


def s3_client(settings: Settings, patience: Patience = PATIENT) -> "S3Client":
    """A boto3 client for the bucket that the settings name, with time-outs of its own and signature
    version 4.

    boto3 is imported here, because it costs a gateway that stores in a folder 30 MB and a third of
    a second.
    """
    import boto3
    from botocore.config import Config

    secret = settings.s3_secret_access_key
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
            # None: as the environment says
            proxies={} if _is_this_machine(settings.s3_endpoint_url) else None,
        ),
    )


def _is_this_machine(url: str | None) -> bool:
    """Whether a URL leads to this machine, which a proxy could not reach for us."""
    host = urlsplit(url or "").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Errors of boto3 as ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise NotFound("no such object") from error
        raise storage_unavailable(error) from error
    except BotoCoreError as error:
        raise storage_unavailable(error) from error
