"""Define what a worker offers: its model, and what jobs may ask of it."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field

from core.records.base import Record
from core.records.request import Quality

PREVIEW = "preview"  # names the preview engine, as a setting and in requests
TINY = "tiny"  # names the untrained model for tests
EXPERIMENTAL = "tiny-experimental"  # names a small ToonCrafter taught on drawn kittens
NAMES = (PREVIEW, TINY, EXPERIMENTAL)  # what the setting `model` may be beside a path


class Engine(StrEnum):
    """The kinds of model."""

    TOONCRAFTER = "tooncrafter"  # video diffusion, also with other weights than the published ones
    PREVIEW = "preview"  # the small flow network of this project


DESCRIPTIONS = {
    Engine.TOONCRAFTER: "ToonCrafter",
    Engine.PREVIEW: "preview engine, not ToonCrafter",
}
EXPERIMENTAL_DESCRIPTION = "experimental small ToonCrafter, not the published weights"
_QUALITIES = {
    Engine.TOONCRAFTER: [Quality.FINAL, Quality.DRAFT],
    Engine.PREVIEW: [Quality.PREVIEW],
}


class Sampling(Record):
    """How a diffusion model is sampled where a request does not say."""

    steps: int = 50
    """Denoising steps."""
    eta: float = 1.0
    """Share of fresh noise in each step."""
    guidance_scale: float = 7.5
    """Strength of the guidance."""
    guidance_rescale: float = 0.7
    """Share by which guidance is held to the unguided contrast."""


# Chosen by the measurements in docs/draft.md.
DRAFT_SAMPLING = Sampling(steps=12, eta=0.0)


class StageMemory(Record):
    """Device memory of one stage of a job, which grows with the canvas's area."""

    fixed_bytes: int
    bytes_per_pixel: int


class Offer(Record):
    """A model as its worker announces it, before the weights are loaded.

    Attributes:
        name: under which requests choose it.
        engine: what kind of model it is.
        qualities: that it draws, the usual one first.
        sampling: its defaults; None for an engine that samples nothing.
        draft: its defaults for drafts; None where it draws none.
        memory: of each stage on this worker's device; empty where it is not known.
        sketches: whether sketches can guide it. True of workers that do not say.
        adapters: names of the model's adapters, which the same worker draws with; each is a model
            of its own to callers.
    """

    name: str
    engine: Engine
    qualities: list[Quality]
    sampling: Sampling | None
    draft: Sampling | None = None
    memory: list[StageMemory] = Field(default_factory=list)
    sketches: bool = True
    adapters: tuple[str, ...] = ()

    @classmethod
    def of_setting(cls, model: str, adapters: Sequence[Path] = ()) -> Self:
        """Return what a worker offers with these settings.

        Args:
            model: a name or a path.
            adapters: files or folders.
        """
        engine = Engine.PREVIEW if model == PREVIEW else Engine.TOONCRAFTER
        is_tooncrafter = engine is Engine.TOONCRAFTER
        return cls(
            name=Path(model).name,
            engine=engine,
            qualities=_QUALITIES[engine],
            sampling=_for(model, Sampling()) if is_tooncrafter else None,
            draft=_for(model, DRAFT_SAMPLING) if is_tooncrafter else None,
            sketches=is_tooncrafter and model != EXPERIMENTAL,
            adapters=tuple(adapter_name(path) for path in adapters if is_tooncrafter),
        )

    @property
    def serves(self) -> str:
        """Names of the model and its adapters, as the store keeps what a worker takes jobs for."""
        return ",".join([self.name, *self.adapters])

    @property
    def models(self) -> "list[Offer]":
        """An offer for the model and for each adapter, as callers choose among them."""
        base = self.model_copy(update={"adapters": ()})
        return [base, *(base.model_copy(update={"name": name}) for name in self.adapters)]

    def sampling_of(self, quality: Quality) -> Sampling | None:
        """Return the defaults for a quality that it draws; None if it samples nothing."""
        return self.draft if quality is Quality.DRAFT else self.sampling

    def memory_bytes(self, pixels: int) -> int | None:
        """Return the device memory that a job on a canvas of this area needs; None if unknown."""
        needs = [stage.fixed_bytes + stage.bytes_per_pixel * pixels for stage in self.memory]
        return max(needs, default=None)


def _for(model: str, usual: Sampling) -> Sampling:
    """Return a model's sampling; the experimental one draws best in one step."""
    if model == EXPERIMENTAL:
        return Sampling(steps=1, eta=0.0, guidance_scale=1.0, guidance_rescale=0.0)
    return usual


def adapter_name(path: Path) -> str:
    """Return the name under which requests choose an adapter: that of its file or folder."""
    return path.name.removesuffix(".safetensors")
