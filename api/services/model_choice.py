"""Choose the model of a request, and fill in what depends on it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.schemas.interpolation import InterpolationBody
from core.errors import Problem
from core.records.job import Caution
from core.records.offer import Engine, Offer, Sampling
from core.records.request import Quality
from core.store.deployment import DeploymentReader

KEPT_SECONDS = 1.0  # for which one answer of Redis serves all submissions

# What only a diffusion model reads.
DIFFUSION_FIELDS = (
    *("prompt", "negative_prompt", "frame_stride", "steps", "eta"),
    *("guidance_scale", "guidance_rescale", "seed"),
)


_NO_SKETCH_ENCODER = Problem(
    "/sketches",
    "not_available",
    "`sketches` need a model with a sketch encoder, which none here has: the operator has to load "
    "one, converted with `--sketch-encoder`",
)


@dataclass(frozen=True)
class ModelChoice:
    """What a request gets.

    Attributes:
        model: name of the model; None for any ToonCrafter model, while none is known.
        quality: that it is asked for.
        sampling: defaults of the model.
        warnings: what the caller should know.
        problems: why nothing can be chosen; the rest then means nothing.
    """

    model: str | None = None
    quality: Quality = Quality.FINAL
    sampling: Sampling = field(default_factory=Sampling)
    warnings: list[Caution] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class ModelChooser:
    """Knows what the deployment's workers offer, those of the last day included.

    A model whose workers are away for a moment stays known: jobs for it wait instead of going to
    another model.

    Args:
        deployment: where workers announce their models.
        expected: the setting `model`, which decides until a worker has announced one.
    """

    def __init__(self, deployment: DeploymentReader, expected: str = "") -> None:
        self._deployment = deployment
        self._expected = expected
        self._offers: list[Offer] = []
        self._read_at = 0.0  # by time.monotonic()

    async def choose(self, body: InterpolationBody) -> ModelChoice:
        """Choose the model of a request.

        Raises:
            Unavailable: Redis does not answer.
        """
        return choose(body, await self._known(), self._expected)

    async def _known(self) -> list[Offer]:
        if not self._offers or time.monotonic() - self._read_at > KEPT_SECONDS:
            offers = await self._deployment.offers()
            self._read_at = time.monotonic()
            self._offers = [offer for offer, _ in sorted(offers, key=_rank)]
        return self._offers


def choose(body: InterpolationBody, offers: Sequence[Offer], expected: str = "") -> ModelChoice:
    """Choose among what is offered.

    Args:
        body: of the request.
        offers: of the deployment, those that are taken first in front; none if nothing is known of
            it yet, which lets everything pass that some model of this version draws.
        expected: the setting `model` of a deployment of which nothing is known yet.
    """
    quality = body.quality
    is_known = bool(offers)
    offers = offers or [_assumed(body, quality, expected)]
    named = [offer for offer in offers if body.model in (None, offer.name) or not is_known]
    if not named:
        known = ", ".join(f"`{offer.name}`" for offer in offers)
        detail = f"`model` has to be one of {known} but is `{body.model}`"
        return ModelChoice(problems=[Problem("/model", "unknown_model", detail)])
    able = [offer for offer in named if quality is None or quality in offer.qualities]
    if not able:
        possible = sorted({f"`{one}`" for offer in named for one in offer.qualities})
        whose = f"model `{body.model}` draws" if body.model else "the models here draw"
        detail = f"`quality` has to be one that {whose} ({', '.join(possible)}) but is `{quality}`"
        return ModelChoice(problems=[Problem("/quality", "not_available", detail)])
    if body.sketches and able[0].engine is Engine.TOONCRAFTER:
        able = [offer for offer in able if offer.sketches]
        if not able:
            return ModelChoice(problems=[_NO_SKETCH_ENCODER])
    return _chosen(body, able[0], quality, is_known=is_known)


def _rank(known: tuple[Offer, bool]) -> tuple[bool, bool, str]:
    """Sort ToonCrafter before the preview engine, then models with a live worker first."""
    offer, is_live = known
    return offer.engine is Engine.PREVIEW, not is_live, offer.name


def _assumed(body: InterpolationBody, quality: Quality | None, expected: str) -> Offer:
    """Return what a deployment of which nothing is known would offer for this."""
    preview = Offer.of_setting(Engine.PREVIEW.value)
    if quality is Quality.PREVIEW or body.model == preview.name:
        return preview
    if quality is None and body.model is None and expected == preview.name:
        return preview
    return Offer.of_setting(body.model or "")


def _chosen(
    body: InterpolationBody, offer: Offer, quality: Quality | None, *, is_known: bool
) -> ModelChoice:
    warnings, problems = [], []
    quality = quality or offer.qualities[0]
    if not is_known:
        detail = "no worker has announced a model yet; the job waits for one that can draw it"
        warnings.append(Caution(code="no_worker", detail=detail))
    if offer.engine is Engine.PREVIEW:
        problems = _undoable_in_preview(body)
        given = [name for name in DIFFUSION_FIELDS if name in body.model_fields_set]
        warnings += [_no_effect(name, f"/{name}") for name in given]
        warnings += [
            _no_effect("prompt", f"/keyframes/{index}/prompt")
            for index, key in enumerate(body.keyframes)
            if key.prompt
        ]
    return ModelChoice(
        model=offer.name or None,
        quality=quality,
        sampling=offer.sampling_of(quality) or Sampling(),
        warnings=warnings,
        problems=problems,
    )


def _undoable_in_preview(body: InterpolationBody) -> list[Problem]:
    problems = []
    if body.sketches:
        detail = "`sketches` guide ToonCrafter only: leave them out, or ask for quality `final`"
        problems.append(Problem("/sketches", "not_available", detail))
    if body.variants > 1:
        detail = f"`variants` has to be 1 with the preview engine but is {body.variants}"
        problems.append(Problem("/variants", "not_available", detail))
    return problems


def _no_effect(name: str, pointer: str) -> Caution:
    detail = f"`{name}` has no effect on the preview engine, which is not ToonCrafter"
    return Caution(code="no_effect", detail=detail, pointer=pointer)
