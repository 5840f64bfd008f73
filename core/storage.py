"""Where keyframes and results lie: a bucket of S3 or of anything that speaks it, or a folder on this machine.

Keys are unique (job, attempt, digest), so nothing is ever overwritten and no conditional write is needed; several
S3-compatible servers ignore those silently.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Protocol

from core.errors import NotFound, Unavailable
from core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class ObjectStorage(Protocol):
    """Bytes under keys such as `jobs/itp_…/outputs/1/video.mp4`. Blocking; safe to use from several threads.

    Every call raises `Unavailable` where the storage does not answer or refuses.
    """

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, whole or not at all."""

    def get(self, key: str) -> bytes:
        """Read an object; raises `NotFound` where there is none."""

    def delete_prefix(self, prefix: str) -> None:
        """Delete every object whose key begins with `prefix`, which has to end in a slash."""

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str | None:
        """A link under which anybody may read the object for a while; None where only this service can serve it."""

    def local_path(self, key: str) -> Path | None:
        """The file that holds the object; None where it lies on no disk of this machine."""

    def ping(self) -> None:
        """Return if objects can be read and written."""


class LocalStorage:
    """Objects as files below one folder, for one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Write beside the place, then rename: a reader sees nothing or all of it."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._root, prefix=".incoming-", delete=False) as file:
                try:
                    file.write(data)
                    file.close()
                    os.replace(file.name, path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise _unavailable(error) from error

    def get(self, key: str) -> bytes:
        """The file's content."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"no object {key}") from error
        except OSError as error:
            raise _unavailable(error) from error

    def delete_prefix(self, prefix: str) -> None:
        """Remove the folder."""
        try:
            rmtree(self._path(_checked_prefix(prefix)))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unavailable(error) from error

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str | None:
        """None: the gateway serves the file itself."""
        return None

    def local_path(self, key: str) -> Path | None:
        """The file, whether it exists or not."""
        return self._path(key)

    def ping(self) -> None:
        """The folder exists or can be made, and takes files."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._root):
                pass
        except OSError as error:
            raise _unavailable(error) from error

    def _path(self, key: str) -> Path:
        return self._root / _checked(key)


class S3Storage:
    """Objects in a bucket. The client comes from `s3_client`, or is any other boto3 S3 client."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """One PUT, so the object appears whole."""
        with _translated_errors():
            self._client.put_object(Bucket=self._bucket, Key=self._key(key), Body=data, ContentType=content_type)

    def get(self, key: str) -> bytes:
        """One GET."""
        with _translated_errors():
            return self._client.get_object(Bucket=self._bucket, Key=self._key(key))["Body"].read()

    def delete_prefix(self, prefix: str) -> None:
        """List and delete, key by key: batch deletion differs between servers, and a job has few objects."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translated_errors():
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._key(_checked_prefix(prefix))}/"):
                for item in page.get("Contents", []):
                    self._client.delete_object(Bucket=self._bucket, Key=item["Key"])

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str | None:
        """Signed here, without asking the server."""
        params = {"Bucket": self._bucket, "Key": self._key(key), "ResponseContentType": content_type}
        return self._client.generate_presigned_url("get_object", params, ExpiresIn=int(expires.total_seconds()))

    def local_path(self, key: str) -> Path | None:
        """None: the object lies on no disk of ours."""
        return None

    def ping(self) -> None:
        """The bucket exists and the credentials open it."""
        with _translated_errors():
            self._client.head_bucket(Bucket=self._bucket)

    def _key(self, key: str) -> str:
        return self._prefix + _checked(key)


def s3_client(settings: Settings) -> "S3Client":
    """A boto3 client for the bucket that the settings name, with time-outs of its own and signature version 4.

    boto3 is imported here, because it costs a gateway that stores in a folder 30 MB and a third of a second.
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
            connect_timeout=2,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )


def open_storage(settings: Settings) -> ObjectStorage:
    """The storage that the settings name."""
    if settings.s3_bucket:
        return S3Storage(s3_client(settings), settings.s3_bucket, settings.s3_prefix)
    return LocalStorage(settings.state_dir / "objects")


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Errors of boto3 as ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise NotFound("no such object") from error
        raise _unavailable(error) from error
    except BotoCoreError as error:
        raise _unavailable(error) from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def _checked_prefix(prefix: str) -> str:
    if not prefix.endswith("/"):
        raise ValueError(f"a prefix has to end in a slash but is {prefix!r}")
    return _checked(prefix[:-1])


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the object storage does not answer ({type(error).__name__})")
