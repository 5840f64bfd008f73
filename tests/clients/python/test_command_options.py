"""Options of the command line become fields of a shot."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tooncrafter_client import BadInput, Keyframe, Sketch
from tooncrafter_client.cli.app import app
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.shots import ShotOptions


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"on": "2"}, "on", 2),
        ({"on": "1,2,2"}, "on", [1, 2, 2]),
        ({"fps": "24"}, "fps", 24),
        ({"fps": "23.976"}, "fps", 23.976),
        ({"fps": "24000/1001"}, "fps", "24000/1001"),
        ({"spacing": "ease_in"}, "spacing", "ease_in"),
        ({"spacing": ".1,.9"}, "spacing", [0.1, 0.9]),
        ({"sketch": ["4=line=1.png"]}, "sketches", [Sketch("line=1.png", 4)]),
        (
            {"format": ["mp4", "png"], "start": 1001},
            "outputs",
            [{"format": "mp4"}, {"format": "png", "start": 1001}],
        ),
    ],
)
def test_value(given: dict[str, Any], field: str, value: object) -> None:
    assert dict(ShotArguments(**given).options())[field] == value


def test_nothing_given_is_nothing_said() -> None:
    """But for the format: callers of a command line want drawings."""
    assert ShotArguments().options() == {"outputs": [{"format": "png"}]}


def test_places_of_keys() -> None:
    assert ShotArguments(at="0,9").keyframes(["a", "b"]) == [Keyframe("a", 0), Keyframe("b", 9)]
    with pytest.raises(BadInput, match="--at has 2 places but there are 3 keyframes"):
        ShotArguments(at="0,9").keyframes(["a", "b", "c"])


@pytest.mark.parametrize(
    "given", [{"on": "two"}, {"sketch": ["line.png"]}, {"format": ["mp4"], "bits": 16}]
)
def test_mistakes_are_told(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ShotArguments(**given).options()


def test_every_option_of_a_shot_is_there() -> None:
    """Those that make no sense on a command line apart."""
    options = {"sketches", "outputs", "reuse", "webhook", "metadata", "expires_in"}
    renamed = {"sketch", "format", "png_name", "start", "bits", "each", "at"}
    assert set(ShotArguments.__dataclass_fields__) - renamed == (
        set(ShotOptions.__annotations__) - options
    )


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tooncrafter_client", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "COLUMNS": "200"},
    )


def test_usage() -> None:
    """Help says what there is; a wrong option is 2, as shells and farms expect."""
    shown = command("--help")
    assert shown.returncode == 0
    for name in ("run", "render", "batch", "submit", "watch", "get", "cancel", "ls", "doctor"):
        assert re.search(rf"\b{name}\b", shown.stdout)
    assert command("run", "--betwen", "3").returncode == 2


def test_key_is_shown_by_no_help() -> None:
    assert "tc_secret" not in command("run", "--help", "--key", "tc_secret").stdout


def test_service_that_is_away() -> None:
    """75 tells a farm to come back later."""
    ended = command("ls", "--url", "http://127.0.0.1:9", "--patience", "0")
    assert (ended.returncode, ended.stdout) == (75, "")
    assert ended.stderr.startswith("unreachable: http://127.0.0.1:9/v1/interpolations")


class TestRender:
    def test_without_the_service_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("tooncrafter_client.cli.render.entry_points", lambda group: ())
        for name in ("a.png", "b.png"):
            (tmp_path / name).touch()
        ended = CliRunner().invoke(app, ["render", *map(str, sorted(tmp_path.iterdir()))])
        assert ended.exit_code == 2
        assert "pip install '.[worker]'" in ended.stderr


def test_arguments_whose_default_is_none() -> None:
    """Python 3.10 wraps their types, so that Typer overlooked them."""
    shown = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "120"}).stdout
    assert "KEY..." in shown
    assert "--drawings" in shown
