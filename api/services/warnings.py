"""Find what the result of a request lacks, to warn the caller."""

from collections.abc import Iterator

from core.records.job import Caution
from core.records.plan import timeline_of
from core.records.request import GenerationRequest, StoredImage
from core.shots.canvas import Size
from core.shots.fit import Fit, OutputSize, Placement, placements
from core.shots.rates import GIF_RATE
from core.shots.sketches import USUAL_SCALE, guides_of
from core.shots.spacing import Spacing
from core.shots.timeline import USUAL_BETWEEN, Timeline

SLIGHT = 1.1  # smaller changes of size than this factor are not worth a warning
WILD = 2.0  # keys whose sizes differ by more were hardly meant for one shot
STILL_FORMATS = {"png", "contact_sheet", "xdts"}
WELL_FILLED = 0.75  # share of the canvas that a picture should cover
# What becomes of transparency in formats that cannot hold it; all others keep it.
FLAT_FORMATS = {
    "mp4": "`mp4` shows it on {background}",
    "gif": "`gif` shows each pixel wholly or not at all",
}


def warnings_about(request: GenerationRequest) -> list[Caution]:
    """Return what the caller of an accepted request should know about its result."""
    images = [key.image for key in request.keyframes] + [one.image for one in request.sketches]
    canvas = Size(request.width, request.height)
    placed = placements([Size(one.width, one.height) for one in images], canvas, request.fit)
    timeline = timeline_of(request)
    keys = len(request.keyframes)
    found: list[Caution] = []
    for index, placement in enumerate(placed):
        of_key = index < keys
        pointer = f"/keyframes/{index}" if of_key else f"/sketches/{index - keys}"
        if of_key:
            found += _transparency(request, images[index], pointer)
            found += _size(request, images[index], placement, pointer)
            found += _scale(request, images[index], pointer) if index else []
        found += _aspect(request.fit, placement, placed[0], pointer)
        found += _crop(request.fit, images[index], placement, pointer)
    return [
        *found,
        *_wasted_canvas(request.fit, placed[0], canvas),
        *_identical_keys(request, timeline),
        *_dropped_drawings(request, timeline),
        *_without_effect(request, timeline),
    ]


def _transparency(
    request: GenerationRequest, image: StoredImage, pointer: str
) -> Iterator[Caution]:
    lost = [
        FLAT_FORMATS[output.format].format(background=request.background)
        for output in request.outputs
        if output.format in FLAT_FORMATS
    ]
    if image.has_alpha and lost:
        detail = f"the drawing is transparent; {', '.join(lost)}; `webm`, `png` and others keep it"
        yield _caution("alpha_flattened", detail, pointer)


def _size(
    request: GenerationRequest, image: StoredImage, placement: Placement, pointer: str
) -> Iterator[Caution]:
    source, target = placement.source, placement.target
    shrinks = source.width > SLIGHT * target.width or source.height > SLIGHT * target.height
    if request.output_size is OutputSize.CANVAS and shrinks:
        detail = (
            f"the drawing of {image.width}x{image.height} is reduced to "
            f"{target.width}x{target.height}, the size of the result; name a larger `width` and "
            "`height` for more detail, or `output_size: source`"
        )
        yield _caution("keyframe_reduced", detail, pointer)


def _scale(request: GenerationRequest, image: StoredImage, pointer: str) -> Iterator[Caution]:
    """Compare the size of a key with that of the first one, whose place it takes."""
    first = request.keyframes[0].image
    factor = max(image.width, image.height) / max(first.width, first.height)
    differs = (image.width, image.height) != (first.width, first.height)
    to_source = request.output_size is OutputSize.SOURCE
    if differs and (to_source or not 1 / WILD <= factor <= WILD):
        detail = (
            f"the drawing of {image.width}x{image.height} is scaled to match the first one of "
            f"{first.width}x{first.height}; send all keyframes in one size"
        )
        yield _caution("keyframe_resized", detail, pointer)


def _aspect(fit: Fit, placement: Placement, first: Placement, pointer: str) -> Iterator[Caution]:
    source, target = placement.source, placement.target
    if fit is Fit.STRETCH:
        distortion = (source.width * target.height) / (source.height * target.width)
        if not 1 / SLIGHT <= distortion <= SLIGHT:
            detail = (
                f"the drawing is distorted by a factor of {max(distortion, 1 / distortion):.2f}"
            )
            yield _caution("aspect_differs", f"{detail} to fill the canvas", pointer)
    elif fit is Fit.PAD and not _have_one_size(target.size, first.target.size):
        detail = (
            "the drawing has another aspect ratio than the first one and is shown smaller, "
            "with its edge colours around it; crop it to the first one's aspect ratio"
        )
        yield _caution("aspect_differs", detail, pointer)


def _crop(fit: Fit, image: StoredImage, placement: Placement, pointer: str) -> Iterator[Caution]:
    seen = placement.source.width * placement.source.height / (image.width * image.height)
    if fit is Fit.CROP and seen < 1 / SLIGHT:
        detail = f"{seen:.0%} of the drawing is seen; `fit: pad` shows all of it"
        yield _caution("keyframe_cropped", detail, pointer)


def _wasted_canvas(fit: Fit, first: Placement, canvas: Size) -> Iterator[Caution]:
    covered = first.target.width * first.target.height / (canvas.width * canvas.height)
    if fit is Fit.PAD and covered < WELL_FILLED:
        detail = (
            f"the picture covers {covered:.0%} of the canvas of {canvas.width}x{canvas.height}; "
            "leave out `width` and `height` for the canvas that fits best, or widen the drawing"
        )
        yield _caution("canvas_wasted", detail, "/keyframes/0")


def _identical_keys(request: GenerationRequest, timeline: Timeline) -> Iterator[Caution]:
    for segment in timeline.segments:
        first, last = (request.keyframes[key].image for key in (segment.first, segment.last))
        if first.sha256 == last.sha256 and segment.positions:
            pointer = f"/keyframes/{segment.last}" if segment.last else "/loop"
            detail = (
                f"keyframes {segment.first} and {segment.last} are the same drawing, between which "
                "models tend to draw no motion; `hold` shows one drawing for longer"
            )
            yield _caution("identical_keyframes", detail, pointer)


def _dropped_drawings(request: GenerationRequest, timeline: Timeline) -> Iterator[Caution]:
    shortest = min(len(drawing.film_frames) for drawing in timeline.drawings)
    rate = request.fps * request.interpolate / shortest
    for index, output in enumerate(request.outputs):
        if output.format == "gif" and rate > GIF_RATE:
            detail = (
                f"a GIF shows {GIF_RATE} pictures a second, and this film has up to "
                f"{float(rate):g}: drawings are left out; `apng` and `webp` show all of them"
            )
            yield _caution("drawings_dropped", detail, f"/outputs/{index}")


def _without_effect(request: GenerationRequest, timeline: Timeline) -> Iterator[Caution]:
    for index, sketch in enumerate(request.sketches):
        if not guides_of(timeline, sketch.frame):
            detail = "the sketch is at a keyframe beside which no drawing is made"
            yield _caution("no_effect", detail, f"/sketches/{index}")
    if request.sketch_scale != USUAL_SCALE and not request.sketches:
        yield _caution(
            "no_effect", "`sketch_scale` has no effect without `sketches`", "/sketch_scale"
        )
    for segment in timeline.segments:
        key = request.keyframes[segment.first]
        for name in ("spacing", "prompt"):
            if getattr(key, name) and not segment.positions:
                detail = f"`{name}` has no effect where no drawing lies behind the keyframe"
                yield _caution("no_effect", detail, f"/keyframes/{segment.first}/{name}")
    yield from _unused_for_segments(request, timeline)
    if request.interpolate > 1 and {one.format for one in request.outputs} <= STILL_FORMATS:
        detail = "`interpolate` has no effect on formats that do not move"
        yield _caution("no_effect", detail, "/interpolate")
    if request.negative_prompt and request.guidance_scale == 1:
        detail = "`negative_prompt` has no effect without guidance, `guidance_scale` 1"
        yield _caution("no_effect", detail, "/negative_prompt")


def _unused_for_segments(request: GenerationRequest, timeline: Timeline) -> Iterator[Caution]:
    """Compare what holds for all segments with what their keys say themselves."""
    keys = [request.keyframes[segment.first] for segment in timeline.segments]
    if request.spacing is not Spacing.EVEN and all(key.spacing is not None for key in keys):
        detail = "`spacing` has no effect, since each keyframe has its own"
        yield _caution("no_effect", detail, "/spacing")
    counts = {len(segment.positions) for segment in timeline.segments}
    if request.frames_between not in {USUAL_BETWEEN, *counts}:
        detail = "`frames_between` has no effect, since the keyframes say their `frame`"
        yield _caution("no_effect", detail, "/frames_between")


def _caution(code: str, detail: str, pointer: str) -> Caution:
    return Caution(code=code, detail=detail, pointer=pointer)


def _have_one_size(one: Size, other: Size) -> bool:
    """Return whether two boxes are equal but for the rounding to even sides."""
    return abs(one.width - other.width) <= 2 and abs(one.height - other.height) <= 2
