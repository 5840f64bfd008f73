"""One body of tests, two kinds of storage: a folder, and a bucket on a real S3 server."""

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import CancelRequested, NotFound, Unavailable
from core.objects.local import INCOMING, LocalStorage
from core.objects.object_keys import ObjectTooLarge
from core.objects.signed_links import SignedLinks
from core.objects.storage import ObjectStorage, open_storage
from core.settings import Settings
from core.telemetry.metrics import STORAGE
from testkit.servers import free_port

KEY = "jobs/itp_1/outputs/1/video.mp4"


class TestObjects:
    def test_round_trip(self, storage: ObjectStorage, stored_keys: Callable[[], set[str]]) -> None:
        """Byte for byte, under the key and under no other."""
        data = bytes(range(256)) * 1000
        storage.put(KEY, data, "video/mp4")
        assert storage.get(KEY) == data
        assert stored_keys() == {KEY}

    def test_upload_is_interrupted_between_two_pieces(
        self, storage: ObjectStorage, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Nothing of it is stored, and no failure of the storage is counted."""
        looks = []

        def check() -> None:
            looks.append(1)
            if len(looks) > 3:
                raise CancelRequested

        def failures() -> float | None:
            return STORAGE.get_sample_value(
                "tooncrafter_storage_errors_total", {"operation": "put"}
            )

        before = failures()
        with pytest.raises(CancelRequested):
            storage.put(KEY, bytes(2**20), "video/mp4", check)
        assert stored_keys() == set()
        assert failures() == before
        storage.put(KEY, bytes(2**20), "video/mp4", lambda: None)
        assert storage.get(KEY) == bytes(2**20)

    def test_missing_object(self, storage: ObjectStorage) -> None:
        """Absent is another thing than unreachable."""
        with pytest.raises(NotFound):
            storage.get(KEY)

    def test_deleting_a_prefix_leaves_its_neighbours(
        self, storage: ObjectStorage, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Also one whose name begins alike."""
        for key in (
            "jobs/itp_1/inputs/a",
            "jobs/itp_1/outputs/1/b",
            "jobs/itp_10/inputs/a",
            "jobs/itp_2/inputs/a",
        ):
            storage.put(key, b"x", "image/png")
        storage.delete_prefix("jobs/itp_1/")
        assert stored_keys() == {"jobs/itp_10/inputs/a", "jobs/itp_2/inputs/a"}
        storage.delete_prefix("jobs/itp_1/")  # what is gone already is no error

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "/etc/passwd",
            "../secret",
            "jobs/../../secret",
            "jobs//a",
            "jobs/.hidden",
            "jobs/a\n",
            "jobs/a/",
            "a\0",
        ],
    )
    def test_keys_that_try_to_leave_are_refused(self, storage: ObjectStorage, key: str) -> None:
        """Before anything is touched, by every call that takes one."""
        with pytest.raises(ValueError, match="not an object key"):
            storage.put(key, b"x", "image/png")
        with pytest.raises(ValueError, match="not an object key"):
            storage.get(key)
        with pytest.raises(ValueError, match="not an object key"):
            storage.presigned_url(key, timedelta(hours=1), "image/png")
        with pytest.raises(ValueError, match="not an object key"):
            storage.presigned_put(key, timedelta(hours=1))

    @pytest.mark.parametrize("prefix", ["", "/", "jobs", "../", "jobs/../"])
    def test_prefix_is_checked_too(self, storage: ObjectStorage, prefix: str) -> None:
        """A wrong one must not delete everything."""
        with pytest.raises(ValueError, match=r"prefix|object key"):
            storage.delete_prefix(prefix)

    def test_object_is_seen_whole_or_not_at_all(self, storage: ObjectStorage) -> None:
        """A reader beside the writer never gets half of it."""
        whole = [bytes([number]) * 2**20 for number in range(8)]
        seen: list[bytes] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    seen.append(storage.get(KEY))
                except NotFound:
                    continue

        reader = threading.Thread(target=read)
        reader.start()
        for data in whole:
            storage.put(KEY, data, "video/mp4")
        done.set()
        reader.join()
        assert all(data in whole for data in seen)

    def test_object_that_is_larger_than_its_reader_takes(self, storage: ObjectStorage) -> None:
        """Refused by its size, before it is in memory; at the limit it is read."""
        storage.put(KEY, b"x" * 100, "video/mp4")
        assert len(storage.get(KEY, max_bytes=100)) == 100
        with pytest.raises(ObjectTooLarge, match="at most 99 bytes but has 100"):
            storage.get(KEY, max_bytes=99)

    def test_ping(self, storage: ObjectStorage, stored_keys: Callable[[], set[str]]) -> None:
        """It answers, and leaves nothing behind."""
        storage.ping()
        assert stored_keys() == set()


class TestFolder:
    def test_interrupted_write_leaves_nothing(self, tmp_path: Path) -> None:
        """Where the disk refuses, no half object stays."""
        storage = LocalStorage(tmp_path, SignedLinks(tmp_path / "secret"))
        (tmp_path / "jobs" / "itp_1").mkdir(parents=True)
        (tmp_path / "jobs" / "itp_1" / "a").mkdir()  # a folder stands where the object should go
        with pytest.raises(Unavailable):
            storage.put("jobs/itp_1/a", b"x", "image/png")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_writers_that_were_killed(self, tmp_path: Path) -> None:
        """What they left half written goes once no living writer can be so old; objects stay."""
        storage = LocalStorage(tmp_path, SignedLinks(tmp_path / "secret"))
        storage.put(KEY, b"film", "video/mp4")
        for name, age in ((f"{INCOMING}old", 7200), (f"{INCOMING}fresh", 0)):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (time.time() - age, time.time() - age))
        storage.delete_abandoned(timedelta(hours=1))
        assert {path.name for path in tmp_path.iterdir()} == {"jobs", f"{INCOMING}fresh"}
        assert storage.get(KEY) == b"film"

    def test_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        """Root may write everywhere, but not below a file."""
        (tmp_path / "file").touch()
        storage = LocalStorage(tmp_path / "file" / "objects", SignedLinks(tmp_path / "secret"))
        with pytest.raises(Unavailable):
            storage.ping()
        with pytest.raises(Unavailable) as refused:
            storage.put(KEY, b"x", "video/mp4")
        assert str(tmp_path) not in refused.value.detail


class TestBucket:
    def test_link_needs_no_credentials(self, s3_settings: Settings) -> None:
        """Its bearer reads the object, with the content type that a browser needs."""
        storage = open_storage(s3_settings)
        storage.put(KEY, b"film", "application/octet-stream")
        link = storage.presigned_url(KEY, timedelta(minutes=5), "video/mp4")
        assert link is not None
        with urllib.request.urlopen(link, timeout=30) as answer:
            assert answer.read() == b"film"
            assert answer.headers["Content-Type"] == "video/mp4"

    def test_link_to_write(self, s3_settings: Settings) -> None:
        """Its bearer stores this object, and no other."""
        storage = open_storage(s3_settings)
        link = storage.presigned_put(KEY, timedelta(minutes=5))
        for address in (link, link.replace(KEY, "jobs/itp_2/other")):
            request = urllib.request.Request(address, data=b"film", method="PUT")
            if address == link:
                urllib.request.urlopen(request, timeout=30).close()
            else:
                with pytest.raises(urllib.error.HTTPError, match="403"):
                    urllib.request.urlopen(request, timeout=30)
        assert storage.get(KEY) == b"film"

    def test_link_ends_and_cannot_be_bent(self, s3_settings: Settings) -> None:
        """Not after its time, and not to another object."""
        storage = open_storage(s3_settings)
        for key in (KEY, "jobs/itp_2/secret"):
            storage.put(key, b"film", "video/mp4")
        link = storage.presigned_url(KEY, timedelta(seconds=1), "video/mp4")
        assert link is not None
        bent = link.replace(KEY, "jobs/itp_2/secret")
        time.sleep(2.1)
        for address in (link, bent):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(address, timeout=30)

    @pytest.mark.parametrize("missing", ["server", "bucket"])
    def test_storage_that_is_not_there(self, s3_settings: Settings, missing: str) -> None:
        """Every call says so in our words, without address or key."""
        change = {
            "server": {"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"},
            "bucket": {"s3_bucket": "gone"},
        }
        storage = open_storage(s3_settings.model_copy(update=change[missing]))
        for call in (
            storage.ping,
            lambda: storage.get(KEY),
            lambda: storage.put(KEY, b"x", "video/mp4"),
            lambda: storage.delete_prefix("jobs/itp_1/"),
        ):
            with pytest.raises(Unavailable) as refused:
                call()
            assert "127.0.0.1" not in refused.value.detail
