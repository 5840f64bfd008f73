"""Find what is wrong with a shot before any image is looked at, all of it at once."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from api.schemas.interpolation import InterpolationBody
from api.schemas.outputs import OutputBody
from api.schemas.shots import MAX_FILM_FRAMES, SketchBody
from core.errors import Problem
from core.shots.file_names import FileNames
from core.shots.spacing import Spacing
from core.shots.timeline import MAX_BETWEEN, frames_of_keys


def problems_of_shot(request: InterpolationBody) -> list[Problem]:
    """Return everything that is wrong between the fields of a request.

    Without certain positions of the keys, what is counted in drawings is not checked.
    """
    frames = frames_of_keys([key.frame for key in request.keyframes], request.frames_between)
    growing = list(_growing_keys(request, frames))
    found = [*growing, *_after_the_last_key(request), *_holds(request), *_files(request.outputs)]
    if growing:
        return found
    counts = [after - before - 1 for before, after in pairwise(frames)]
    drawings = frames[-1] + 1
    if request.loop:
        counts.append(request.frames_between)
        drawings += request.frames_between
    return [
        *found,
        *_spacings(request, counts),
        *_exposures(request, drawings),
        *_sketches(request.sketches, drawings),
    ]


def _growing_keys(request: InterpolationBody, frames: list[int]) -> Iterator[Problem]:
    if frames[0] != 0:
        detail = f"`frame` of the first keyframe must be 0; got {frames[0]}"
        yield Problem("/keyframes/0/frame", "out_of_range", detail)
    for index, (before, frame) in enumerate(pairwise(frames), 1):
        pointer, most = f"/keyframes/{index}/frame", before + MAX_BETWEEN + 1
        if frame <= before:
            detail = f"`frame` must be at least {before + 1}, after the keyframe before; got "
            yield Problem(pointer, "not_growing", f"{detail}{frame}")
        elif frame > most:
            detail = (
                f"`frame` must be at most {most}, since up to {MAX_BETWEEN} drawings lie between "
                f"two keyframes; got {frame}"
            )
            yield Problem(pointer, "out_of_range", detail)


def _after_the_last_key(request: InterpolationBody) -> Iterator[Problem]:
    last, key = len(request.keyframes) - 1, request.keyframes[-1]
    for name in ("spacing", "prompt"):
        if not request.loop and getattr(key, name) is not None:
            detail = f"`{name}` must not be on the last keyframe, after which nothing comes"
            yield Problem(f"/keyframes/{last}/{name}", "invalid_value", f"{detail} without `loop`")


def _holds(request: InterpolationBody) -> Iterator[Problem]:
    if isinstance(request.exposure, int):
        return
    for index, key in enumerate(request.keyframes):
        if key.hold is not None:
            detail = (
                "`hold` must not be given beside a list of `exposure`, which says it already; got "
                f"{key.hold}"
            )
            yield Problem(f"/keyframes/{index}/hold", "invalid_value", detail)


def _spacings(request: InterpolationBody, counts: list[int]) -> Iterator[Problem]:
    """Check each list against the segments that it is for; one problem for each list."""
    common = request.spacing
    users = []
    for index, count in enumerate(counts):
        own = request.keyframes[index].spacing
        if own is None:
            users.append((index, count))
        elif not isinstance(own, Spacing):
            yield from _spacing(own, f"/keyframes/{index}/spacing", [(index, count)])
    if not isinstance(common, Spacing):
        yield from _spacing(common, "/spacing", users)


def _spacing(
    positions: Sequence[float], pointer: str, users: list[tuple[int, int]]
) -> Iterator[Problem]:
    for number, (before, after) in enumerate(pairwise(positions), 1):
        if after <= before:
            detail = f"`spacing[{number}]` must be greater than {before:g}, the one before; got "
            yield Problem(f"{pointer}/{number}", "not_growing", f"{detail}{after:g}")
    for index, count in users:
        if len(positions) != count:
            detail = (
                f"`spacing` must have one number for each of the {count} drawings after keyframe "
                f"{index}; got {len(positions)}"
            )
            yield Problem(pointer, "out_of_range", detail)
            return


def _exposures(request: InterpolationBody, drawings: int) -> Iterator[Problem]:
    exposure = request.exposure
    if isinstance(exposure, int):
        holds = [key.hold for key in request.keyframes if key.hold is not None]
        length = sum(holds) + (drawings - len(holds)) * exposure
    elif len(exposure) != drawings:
        detail = f"`exposure` must have one number for each of {drawings} drawings; got "
        yield Problem("/exposure", "out_of_range", f"{detail}{len(exposure)}")
        return
    else:
        length = sum(exposure)
    if length > MAX_FILM_FRAMES:
        detail = f"`exposure` must make a film of at most {MAX_FILM_FRAMES} frames; got {length}"
        yield Problem("/exposure", "out_of_range", detail)


def _sketches(sketches: Sequence[SketchBody], drawings: int) -> Iterator[Problem]:
    first_at: dict[int, int] = {}
    for index, sketch in enumerate(sketches):
        pointer = f"/sketches/{index}/frame"
        first = first_at.setdefault(sketch.frame, index)
        if sketch.frame >= drawings:
            detail = f"`frame` must be at most {drawings - 1}, the last drawing; got {sketch.frame}"
            yield Problem(pointer, "out_of_range", detail)
        elif first != index:
            detail = f"`frame` must be another one than in `sketches[{first}]`; got {sketch.frame}"
            yield Problem(pointer, "invalid_value", detail)


def _files(outputs: Sequence[OutputBody]) -> Iterator[Problem]:
    first_of: dict[str, int] = {}
    for index, output in enumerate(outputs):
        first = first_of.setdefault(output.format, index)
        if first != index:
            detail = f"`format` must be another one than in `outputs[{first}]`; got '"
            yield Problem(f"/outputs/{index}/format", "invalid_value", f"{detail}{output.format}'")
        for name in output.stray_options:
            detail = f"`{name}` is an option of `png` only; got it with `{output.format}`"
            yield Problem(f"/outputs/{index}/{name}", "unknown_field", detail)
        if output.format == "png":
            yield from _names(output, f"/outputs/{index}")


def _names(output: OutputBody, pointer: str) -> Iterator[Problem]:
    """Check the parts of the names one by one, and the names only if their parts are good."""
    parts_are_good = True
    for field in ("shot", "layer"):
        try:
            FileNames(**{field: getattr(output, field)})
        except ValueError as error:
            parts_are_good = False
            yield Problem(f"{pointer}/{field}", "unsafe_name", str(error))
    if parts_are_good:
        try:
            FileNames(output.name, output.shot, output.layer)
        except ValueError as error:
            yield Problem(f"{pointer}/name", "unsafe_name", str(error))
