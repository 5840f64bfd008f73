"""`render`: the same shot in this process, without a service."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.run import KEYS
from tooncrafter_client.cli.service import Output, command
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.errors import BadInput, ToonCrafterError
from tooncrafter_client.files import unpack_drawings
from tooncrafter_client.shots import Shot, build_shot

GROUP = "tooncrafter.renderers"  # entry points; the service's distribution has one, `local`
MISSING = (
    "`render` draws in this process and needs the service's own distribution: from a checkout of "
    "its repository, pip install '.[worker]'. `run` draws on a service and needs nothing more."
)


class File(Protocol):
    """What a renderer yields."""

    name: str
    format: str
    content: bytes


class RenderFailed(ToonCrafterError):
    """The renderer refused the shot or could not draw it; `code` says why."""

    def __init__(self, error: Exception, code: str) -> None:
        problems = getattr(error, "problems", [])
        super().__init__(
            "\n".join(f"{one.pointer}: {one.detail}" for one in problems) or str(error)
        )
        self.code = code


@command
def render(
    keys: Annotated[list[str], KEYS],
    shot: ShotArguments,
    output: Output,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out"),
    device: Annotated[
        str, typer.Option(help="cuda, mps or cpu; auto takes the first that is there.")
    ] = "auto",
) -> None:
    """Draw in this process, without a service; --model names the weights.

    A folder in diffusers' layout, a published model.ckpt, `preview`, or `tiny`, whose weights are
    random.
    """
    files = [
        path
        for file in _drawn(build_shot(shot.keyframes(keys), shot.options()), shot, device, output)
        for path in _written(file, out)
    ]
    output.tell(f"{len(files)} files in {out}", files=files)


def _drawn(shot: Shot, arguments: ShotArguments, device: str, output: Output) -> Iterable[File]:
    found = entry_points(group=GROUP)
    if not found:
        raise BadInput(MISSING)
    parts = [key["image"] for key in [*shot.body["keyframes"], *shot.body.get("sketches", [])]]
    if any("part" not in part for part in parts):
        raise BadInput("`render` reads files alone; download what lies at an address first")
    with ProgressView(quiet=output.json) as view:

        def show(stage: str, percent: float) -> None:
            view.advance("shot", percent, stage, step=stage)

        try:
            renderer: Any = next(iter(found)).load()
            return list(
                renderer(
                    shot.body,
                    shot.images.files,
                    model=arguments.model,
                    device=device,
                    on_progress=show,
                )
            )
        except ImportError as error:
            raise BadInput(f"{MISSING} ({error})") from error
        except Exception as error:
            if code := getattr(error, "code", None):
                raise RenderFailed(error, str(code)) from error
            raise


def _written(file: File, out: Path) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    path = out / Path(file.name).name
    path.write_bytes(file.content)
    return unpack_drawings(path, out) if file.format == "png" else [path]
