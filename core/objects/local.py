"""Store objects in a folder, for a stack on one machine."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from shutil import copyfileobj, rmtree

from core.errors import NotFound
from core.objects.body import Check, CheckedBody
from core.objects.metrics import measured
from core.objects.object_keys import (
    StoredObject,
    checked_key,
    checked_prefix,
    demand_size,
    storage_unavailable,
)
from core.objects.signed_links import SignedLinks

BLOCK = 4096  # bytes; file systems give room in blocks
INCOMING = ".incoming-"  # how files begin while they are written; no key does


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise the system's errors as those of `core.errors`."""
    try:
        yield
    except OSError as error:
        raise storage_unavailable(error) from error


class LocalStorage:
    """Objects as files below one folder of one machine.

    The gateway serves an object to a client that presents one of `links`.
    """

    def __init__(self, root: Path, links: SignedLinks) -> None:
        self.links = links
        self._root = root

    @measured
    @_translated_errors()
    def put(self, key: str, data: bytes, content_type: str, check: Check | None = None) -> None:
        """Write beside the place, then rename: a reader sees nothing or all of it."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._root, prefix=INCOMING, delete=False) as file:
            try:
                copyfileobj(CheckedBody(data, check) if check else BytesIO(data), file)
                file.close()
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise

    @measured
    @_translated_errors()
    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """The file's content."""
        try:
            with self._path(key).open("rb") as file:
                demand_size(os.fstat(file.fileno()).st_size, max_bytes)
                return file.read()
        except FileNotFoundError as error:
            raise NotFound(f"no object {key}") from error

    @measured
    @_translated_errors()
    def delete_prefix(self, prefix: str) -> None:
        """Remove the folder."""
        with suppress(FileNotFoundError):
            rmtree(self._path(checked_prefix(prefix)))

    @measured
    @_translated_errors()
    def list_page(self, prefix: str, after: str, limit: int) -> list[StoredObject]:
        """Walk the folder in order and stop early."""
        return list(islice(_walk(self._path(checked_prefix(prefix)), prefix, after), limit))

    @_translated_errors()
    def delete_abandoned(self, age: timedelta) -> None:
        """Temporary files that no writer renames any more."""
        # one that is renamed or deleted meanwhile ends this run; the next sees the others
        with suppress(FileNotFoundError):
            for file in self._root.glob(f"{INCOMING}*"):
                if file.stat().st_mtime < time.time() - age.total_seconds():
                    file.unlink(missing_ok=True)

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str:
        """Signed with the deployment's secret."""
        return self.links.sign("GET", checked_key(key), expires, content_type)

    def presigned_put(self, key: str, expires: timedelta) -> str:
        """The same, to write."""
        return self.links.sign("PUT", checked_key(key), expires)

    def local_path(self, key: str) -> Path:
        """The file, whether it exists or not."""
        return self._path(key)

    @measured
    @_translated_errors()
    def ping(self) -> None:
        """The folder exists or can be made, and takes files."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._root) as file:
            file.write(bytes(BLOCK))  # a full disk still takes empty files

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)


def _walk(folder: Path, prefix: str, after: str) -> Iterator[StoredObject]:
    """The files below a folder whose keys sort after `after`, in the keys' order; without what
    vanishes meanwhile.
    """
    with suppress(FileNotFoundError):
        for entry in sorted(
            os.scandir(folder), key=lambda entry: f"{entry.name}/" if entry.is_dir() else entry.name
        ):
            key = prefix + entry.name
            if entry.is_dir():
                if f"{key}/" > after or after.startswith(f"{key}/"):
                    yield from _walk(Path(entry.path), f"{key}/", after)
            elif key > after:
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    modified = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield StoredObject(key, modified, found.st_size)
