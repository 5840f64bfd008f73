"""Files are written whole or not at all, and nowhere but in their folder."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from tooncrafter_client import DamagedDownload
from tooncrafter_client.files import Download, unpack_drawings


def test_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "shot" / "video.mp4"
    download = Download(target)
    download.write(b"fil")
    assert not target.exists()
    download.write(b"m")
    download.finish(hashlib.sha256(b"film").hexdigest())
    download.discard()
    assert target.read_bytes() == b"film"
    assert list(target.parent.iterdir()) == [target]


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    download = Download(tmp_path / "video.mp4")
    download.write(b"fi")
    with pytest.raises(DamagedDownload, match="not those of the job"):
        download.finish(hashlib.sha256(b"film").hexdigest())
    download.discard()
    assert list(tmp_path.iterdir()) == []


def test_archive_becomes_drawings(tmp_path: Path) -> None:
    archive = tmp_path / "frames.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("shot_A.0001.png", b"1")
        zipped.writestr("v2/shot_A.0001.png", b"2")
    written = unpack_drawings(archive, tmp_path)
    assert written == [tmp_path / "shot_A.0001.png", tmp_path / "v2" / "shot_A.0001.png"]
    assert not archive.exists()


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "v1/../../out.png"])
def test_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "frames.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(name, b"1")
    with pytest.raises(DamagedDownload, match="leads out of its folder"):
        unpack_drawings(archive, tmp_path / "shot")
    assert not (tmp_path / "out.png").exists()
