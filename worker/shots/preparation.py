"""Keys and sketches as they are laid out for the engine."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageColor

from core.errors import OutOfMemory
from core.records.plan import timeline_of
from core.records.request import GenerationRequest, Quality
from core.shots.canvas import Size
from core.shots.fit import Placement, placements, result_size
from core.shots.sketches import guides_of
from core.shots.timeline import Segment, Timeline
from worker.engines.engine import Sampling, SegmentWork
from worker.export.film import over, with_alpha
from worker.frames.framing import Pixels, lay_on_canvas
from worker.frames.sketches import dark_on_white

SEEDS = 2**32
# Bytes of all drawings of a result, which are held in memory until its files are written: eight
# hundred of 1920x1080. Beyond it the kernel would end the worker, and then the next one.
MOST_BYTES = 6 * 2**30


@dataclass(frozen=True)
class ShotKey:
    """A key of a shot, as sent and as laid out.

    Attributes:
        source: RGB or RGBA, of its own size.
        placement: which part of it is where on the canvas.
        laid: on the canvas; RGBA if any of the shot's keys has alpha, else RGB.
        picture: the same over the background, RGB: what a model sees that knows no alpha.
    """

    source: Pixels
    placement: Placement
    laid: Pixels
    picture: Pixels

    @property
    def is_opaque(self) -> bool:
        """Whether no pixel of it is transparent."""
        return bool(self.source.shape[-1] == 3)


@dataclass(frozen=True)
class PreparedShot:
    """All that the engine and the exporters need.

    Attributes:
        request: with its defaults filled in.
        timeline: of the request.
        keys: in order.
        sketches: by segment number, then by model pass and frame; on the canvas.
        background: what keys with alpha are seen on.
    """

    request: GenerationRequest
    timeline: Timeline
    keys: list[ShotKey]
    sketches: dict[int, dict[tuple[int, int], Pixels]]
    background: tuple[int, int, int]

    @property
    def has_alpha(self) -> bool:
        """Whether the result has an alpha channel."""
        return not all(key.is_opaque for key in self.keys)

    @property
    def key_drawings(self) -> list[int]:
        """Indexes of the drawings that are keys, in order."""
        return [drawing.index for drawing in self.timeline.drawings if drawing.key is not None]

    def ends(self, segment: Segment) -> tuple[ShotKey, ShotKey]:
        """Return the two keys of a segment."""
        return self.keys[segment.first], self.keys[segment.last]

    def work_of(self, segment: Segment, variant: int, *, with_alpha: bool) -> SegmentWork:
        """Return what the engine has to draw for a segment.

        Args:
            segment: with drawings.
            variant: 0 for the first; it shifts the seed.
            with_alpha: whether the engine draws alpha itself.
        """
        request = self.request
        first, last = (key.laid if with_alpha else key.picture for key in self.ends(segment))
        own_prompt = request.keyframes[segment.first].prompt
        return SegmentWork(
            first=first,
            last=last,
            positions=segment.positions,
            passes=segment.passes,
            sampling=Sampling(
                **request.model_dump(include=set(Sampling.model_fields)),
                draft=request.quality is Quality.DRAFT,
            ),
            seed=(request.seed + variant) % SEEDS,
            prompt=request.prompt if own_prompt is None else own_prompt,
            negative_prompt=request.negative_prompt,
            model=request.model or "",
            sketches=self.sketches.get(segment.number, {}),
        )


def prepare(
    request: GenerationRequest, keys: Sequence[Pixels], sketches: Sequence[Pixels] = ()
) -> PreparedShot:
    """Lay out a shot.

    Args:
        request: the images in it are not read.
        keys: the drawings of `request.keyframes`: sRGB, `(height, width, 3 or 4)` with straight
            alpha, each of its own size.
        sketches: those of `request.sketches`, likewise.

    Raises:
        ValueError: the request makes no timeline, or a sketch is past its end.
        OutOfMemory: the result is larger than `MOST_BYTES`.
    """
    canvas = Size(request.width, request.height)
    timeline = timeline_of(request)
    red, green, blue = ImageColor.getrgb(request.background)[:3]
    background = red, green, blue
    sources = list(keys)
    if any(source.shape[-1] == 4 for source in sources):
        sources = [with_alpha(source) for source in sources]
    placed = placements([Size(k.shape[1], k.shape[0]) for k in sources], canvas, request.fit)
    _demand_memory(request, timeline, result_size(placed[0], request.output_size))
    laid, _ = lay_on_canvas(sources, canvas, request.fit)
    return PreparedShot(
        request=request,
        timeline=timeline,
        keys=[
            ShotKey(source, placement, picture, over(picture, background))
            for source, placement, picture in zip(keys, placed, laid, strict=True)
        ],
        sketches=_sketches(request, timeline, keys[0], sketches),
        background=background,
    )


def _demand_memory(request: GenerationRequest, timeline: Timeline, size: Size) -> None:
    count = len(timeline.drawings) * request.variants
    if count * size.width * size.height * 4 > MOST_BYTES:
        raise OutOfMemory(
            f"the result's {count} drawings of {size.width}x{size.height} need more than "
            f"{MOST_BYTES // 2**30} GiB of memory; split the shot, or set `output_size` to `canvas`"
        )


def _sketches(
    request: GenerationRequest, timeline: Timeline, first_key: Pixels, sketches: Sequence[Pixels]
) -> dict[int, dict[tuple[int, int], Pixels]]:
    """Lay sketches on the canvas as keys are laid, and find what each of them guides."""
    if not request.sketches:
        return {}
    lines = [dark_on_white(sketch) for sketch in sketches]
    canvas = Size(request.width, request.height)
    laid, _ = lay_on_canvas([first_key[..., :3], *lines], canvas, request.fit)
    guides: dict[int, dict[tuple[int, int], Pixels]] = {}
    for sketch, picture in zip(request.sketches, laid[1:], strict=True):
        for guide in guides_of(timeline, sketch.frame):
            guides.setdefault(guide.segment, {})[guide.model_pass, guide.frame] = picture
    return guides
