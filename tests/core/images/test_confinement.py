"""What a process that decodes may reach."""

import json
import os
from pathlib import Path

import pytest

from core.images.confinement import landlock_version
from core.images.formats import UnreadableImage
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
        assert set(told["environment"]) <= {"PYTHONPATH", "LC_CTYPE"}  # the second is Python's own
        assert told["descriptors"] == {"0": "socket", "1": "socket", "2": "device"}
        assert told["heavy"] == []
        assert children()[0].memory_info().rss < 60 * 2**20
        assert told["core_bytes"] == 0

    def test_code_in_it_reaches_nothing(self, dying: Decoders) -> None:
        """No file, no network, no program, and not the gateway, though it runs as the same user."""
        if landlock_version() < 6:
            pytest.skip(f"this kernel ({os.uname().release}) has not all the walls: Linux 6.12 has")
        with pytest.raises(UnreadableImage) as told:
            dying.inspect(b"attempt")
        outcomes = json.loads(str(told.value))
        assert len(outcomes) == 9
        assert set(outcomes.values()) <= {"EACCES", "EPERM"}, outcomes

    def test_what_a_decoder_prints_is_in_no_log(
        self, dying: Decoders, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Some print what they do not understand."""
        dying.inspect(b"print drawing")
        assert "drawing" not in "".join(capfd.readouterr())
