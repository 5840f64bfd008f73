"""Write what a job made: whole files or none, and numbered drawings instead of archives."""

from __future__ import annotations

import hashlib
import secrets
import zipfile
from pathlib import Path, PurePosixPath

from tooncrafter_client.errors import DamagedDownload
from tooncrafter_client.models import Output


class Download:
    """A file that grows beside its place and moves there once it is whole."""

    def __init__(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self._target = target
        self._partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        self._file = self._partial.open("xb")
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._digest.update(chunk)
        self._file.write(chunk)

    def finish(self, sha256: str) -> Path:
        """Move the file to its place.

        Raises:
            DamagedDownload: its digest is another one.
        """
        self._file.close()
        if self._digest.hexdigest() != sha256:
            raise DamagedDownload(f"{self._target.name}: the bytes are not those of the job")
        return self._partial.replace(self._target)

    def discard(self) -> None:
        """Remove what has been written, unless it is finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def unpack_drawings(archive: Path, folder: Path) -> list[Path]:
    """Write the pictures of a `frames.zip` into a folder, remove the archive, return their paths.

    Raises:
        DamagedDownload: a name in it leads out of the folder.
    """
    written = []
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise DamagedDownload(f"{archive.name}: {name!r} leads out of its folder")
            if not name.endswith("/"):
                written.append(Path(zipped.extract(name, folder)))
    archive.unlink()
    return written


def is_sequence(output: Output) -> bool:
    """Whether an output is a zip of drawings."""
    return output.format == "png"
