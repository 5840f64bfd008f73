"""Draw a shot without a service, as `tooncrafter render` does."""

import ast
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.schemas.interpolation import InterpolationBody
from core.errors import InvalidRequest
from testkit.client import KEYFRAMES
from testkit.servers import ROOT
from worker.local import DEFAULTS, render

POSIX_ONLY = {"crypt", "fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
OURS = ("core.", "model.", "worker.")
BODY = {
    "keyframes": [{"image": {"part": "a"}}, {"image": {"part": "b"}}],
    "frames_between": 2,
    "seed": 7,
    "output_size": "source",
    "outputs": [{"format": "png"}],
}


@pytest.fixture
def images() -> dict[str, bytes]:
    """Two small drawings."""
    files = {}
    for name, path in zip("ab", KEYFRAMES, strict=True):
        file = io.BytesIO()
        with Image.open(path) as drawing:
            drawing.convert("RGB").resize((128, 128)).save(file, "PNG")
        files[name] = file.getvalue()
    return files


def pixels(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def test_preview_engine_draws_a_shot(images: dict[str, bytes]) -> None:
    """The keys come out as they went in; progress grows to the end."""
    told: list[tuple[str, float]] = []
    (file,) = render(BODY, images, model="preview", on_progress=lambda *news: told.append(news))
    assert (file.name, file.format) == ("frames.zip", "png")
    with zipfile.ZipFile(io.BytesIO(file.content)) as zipped:
        drawings = [pixels(zipped.read(name)) for name in sorted(zipped.namelist())]
    assert len(drawings) == 4
    assert np.array_equal(drawings[0], pixels(images["a"]))
    assert np.array_equal(drawings[-1], pixels(images["b"]))
    assert not np.array_equal(drawings[1], drawings[2])
    percents = [percent for _, percent in told]
    assert percents == sorted(percents)
    assert (told[0], told[-1]) == (("loading", 0), ("exporting", 100))


def test_tiny_model_draws_a_shot(images: dict[str, bytes]) -> None:
    """The real pipeline, at toy size; the same seed draws the same film."""
    body = {**BODY, "width": 64, "height": 64, "steps": 1, "outputs": [{"format": "mp4"}]}
    first, again = (next(iter(render(body, images, model="tiny"))) for _ in range(2))
    assert first.content == again.content
    assert first.name == "video.mp4"


def test_defaults_are_those_of_the_api() -> None:
    """A field that is left out means the same to both."""
    fields = InterpolationBody.model_fields
    for name, value in DEFAULTS.items():
        if name in fields and name not in ("outputs", "priority"):
            assert fields[name].get_default() == value, name


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"colour": 1}, "/colour"),
        ({"width": 100, "height": 100}, "/width"),
        ({"fit": "squeeze"}, "/fit"),
        ({"quality": "draft"}, "/quality"),  # of the preview engine
        ({"spacing": [0.9, 0.1]}, "/keyframes"),
        (
            {"keyframes": [{**key, "hold": "long"} for key in BODY["keyframes"]]},
            "/keyframes/0/hold",
        ),
    ],
)
def test_mistakes_have_places(
    images: dict[str, bytes], change: dict[str, object], pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        next(render({**BODY, **change}, images, model="preview"))
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_what_is_no_image_and_what_is_no_model(images: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        next(render(BODY, {**images, "b": b"no image"}, model="preview"))
    assert refused.value.problems[0].code == "unreadable_image"
    with pytest.raises(InvalidRequest) as refused:
        next(render(BODY, images, model=str(tmp_path)))
    assert refused.value.problems[0].code == "unknown_model"


def test_no_module_of_ours_below_it_is_for_posix_alone() -> None:
    """macOS and Windows can import it; that they draw as well is untried."""
    seen = {"worker.local"}
    waiting = ["worker.local"]
    while waiting:
        imported = imports_of(waiting.pop())
        assert {name.split(".")[0] for name in imported} & POSIX_ONLY == set()
        news = {name for name in imported if name.startswith(OURS)} - seen
        seen |= news
        waiting += news
    assert {"worker.engines.tooncrafter", "core.images.formats", "model.unet_tooncrafter"} <= seen


def imports_of(module: str) -> set[str]:
    """What a module of ours imports anywhere, also below `if` and within functions."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.exists():  # a name within a module
        return set()
    nodes = list(ast.walk(ast.parse(file.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.long
def test_command(tmp_path: Path) -> None:
    """`tooncrafter render` finds it by the entry point that this distribution registers."""
    installed = tmp_path / "site" / "service-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: service\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(
        "[tooncrafter.renderers]\nlocal = worker.local:render\n"
    )
    path = [str(installed.parent), str(ROOT), str(ROOT / "clients" / "python" / "src")]
    command = [sys.executable, "-m", "tooncrafter_client", "render", *map(str, KEYFRAMES)]
    options = ["--between", "1", "--model", "preview", "--out", str(tmp_path / "shot")]
    ended = subprocess.run(
        [*command, *options],
        env={**os.environ, "PYTHONPATH": ":".join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list((tmp_path / "shot").glob("*.png"))) == 3
