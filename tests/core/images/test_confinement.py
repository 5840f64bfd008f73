"""What a process that decodes has of its parent."""

import os
from pathlib import Path

import pytest

from core.images.pool import Decoders
from testkit.images.decoders import children, state


class TestConfinement:
    def test_process_has_nothing_of_its_parent(
        self, dying: Decoders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """No variable, no open file, no module that it does not need; it is small, and dumps no
        memory.
        """
        monkeypatch.setenv("TOONCRAFTER_S3_SECRET_ACCESS_KEY", "secret")
        with (tmp_path / "secret").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            told = state(dying)
        assert set(told["environment"]) <= {"PYTHONPATH", "OPENBLAS_NUM_THREADS", "LC_CTYPE"}
        assert told["descriptors"] == {"0": "socket", "1": "device", "2": "device"}
        assert told["heavy"] == []
        assert children()[0].memory_info().rss < 60 * 2**20
        assert told["core_bytes"] == 0

    def test_what_a_decoder_prints_is_in_no_log(
        self, dying: Decoders, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Some print what they do not understand."""
        dying.inspect(b"print drawing")
        assert "drawing" not in "".join(capfd.readouterr())
