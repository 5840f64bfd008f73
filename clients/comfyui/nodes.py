"""The nodes: keys and sketches in, drawings, their transparency and the job's report out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, cast

import comfy.model_management
import comfy.utils
from torch import Tensor

from tooncrafter_client import Client, Job, JobCanceled, Keyframe, ShotOptions, Sketch

from .pictures import png_files, read_pictures

KEYS, SKETCHES = "TOONCRAFTER_KEYS", "TOONCRAFTER_SKETCHES"
CATEGORY = "ToonCrafter"
AUTOMATIC = -1  # widgets of ComfyUI hold no None

Inputs = dict[str, dict[str, Any]]


def _whole(default: int, least: int, most: int, tooltip: str) -> tuple[str, dict[str, Any]]:
    return ("INT", {"default": default, "min": least, "max": most, "tooltip": tooltip})


def _number(default: float, least: float, most: float, tooltip: str) -> tuple[str, dict[str, Any]]:
    options = {"default": default, "min": least, "max": most, "step": 0.05, "tooltip": tooltip}
    return ("FLOAT", options)


def _text(tooltip: str, *, multiline: bool = False) -> tuple[str, dict[str, Any]]:
    return ("STRING", {"default": "", "multiline": multiline, "tooltip": tooltip})


class KeyDrawing:
    """Adds keys with a place, a spacing or a prompt of their own; chain several."""

    RETURN_TYPES = (KEYS,)
    RETURN_NAMES = ("keys",)
    FUNCTION = "add"
    CATEGORY = CATEGORY
    DESCRIPTION = "A key that stands at a place of its own; chain one to the next."

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802  # ComfyUI's name
        """Name inputs as ComfyUI asks."""
        return {
            "required": {"image": ("IMAGE",)},
            "optional": {
                "keys": (KEYS,),
                "mask": ("MASK",),
                "frame": _whole(AUTOMATIC, AUTOMATIC, 1008, "Drawings before it; -1: by `between`"),
                "spacing": (["", "even", "ease_in", "ease_out", "ease_in_out"],),
                "prompt": _text("What happens until the next key"),
            },
        }

    def add(
        self,
        image: Tensor,
        keys: list[Keyframe] | None = None,
        mask: Tensor | None = None,
        frame: int = AUTOMATIC,
        spacing: Any = "",
        prompt: str = "",
    ) -> tuple[list[Keyframe]]:
        """Return the keys so far and this one."""
        place = None if frame == AUTOMATIC else frame
        (file,) = png_files(image[:1], None if mask is None else mask[:1])
        key = Keyframe(file, frame=place, spacing=spacing or None, prompt=prompt or None)
        return ([*(keys or []), key],)


class SketchGuide:
    """Adds a sketch that guides one drawing; chain several."""

    RETURN_TYPES = (SKETCHES,)
    RETURN_NAMES = ("sketches",)
    FUNCTION = "add"
    CATEGORY = CATEGORY
    DESCRIPTION = "A line drawing that guides the motion at one drawing; chain one to the next."

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802  # ComfyUI's name
        """Name inputs as ComfyUI asks."""
        return {
            "required": {
                "image": ("IMAGE",),
                "frame": _whole(1, 1, 1008, "Drawing that it guides; the first key is 0"),
            },
            "optional": {"sketches": (SKETCHES,)},
        }

    def add(
        self, image: Tensor, frame: int, sketches: list[Sketch] | None = None
    ) -> tuple[list[Sketch]]:
        """Return the sketches so far and this one."""
        (file,) = png_files(image[:1], None)
        return ([*(sketches or []), Sketch(file, frame)],)


class Drawn(NamedTuple):
    """What the node answers."""

    images: Tensor
    masks: Tensor
    report: str


class InBetweens:
    """Draws what lies between keys, on the service."""

    RETURN_TYPES = ("IMAGE", "MASK", "STRING")
    RETURN_NAMES = ("images", "masks", "report")
    FUNCTION = "draw"
    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Draws what lies between keys on a ToonCrafter service. The API key is read from the "
        "environment of ComfyUI (TOONCRAFTER_KEY), so that no workflow file holds it."
    )

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802  # ComfyUI's name
        """Name inputs as ComfyUI asks; defaults are the service's own."""
        return {
            "required": {
                "between": _whole(14, 0, 62, "Drawings between two keys"),
                "prompt": _text("What happens in the shot", multiline=True),
                "seed": _whole(0, 0, 2**32 - 1, "The same seed draws the same pictures"),
            },
            "optional": {
                "images": ("IMAGE", {"tooltip": "A batch of keys, in order"}),
                "masks": ("MASK", {"tooltip": "Their transparency"}),
                "keys": (KEYS, {"tooltip": "Keys with places of their own, instead of images"}),
                "sketches": (SKETCHES,),
                "sketch_scale": _number(0.6, 0, 1, "Strength of the sketches"),
                "negative_prompt": _text("What should not be seen", multiline=True),
                "loop": ("BOOLEAN", {"default": False}),
                "spacing": (["even", "ease_in", "ease_out", "ease_in_out"],),
                "steps": _whole(AUTOMATIC, AUTOMATIC, 60, "Denoising steps; -1: the model's own"),
                "guidance_scale": _number(
                    AUTOMATIC, AUTOMATIC, 15, "How strictly keys are followed; -1: the model's own"
                ),
                "frame_stride": _whole(10, 5, 30, "Smaller means larger motion"),
                "output_size": (["canvas", "source"],),
                "quality": (["", "final", "draft", "preview"],),
                "model": _text("Left empty: the first of the service"),
                "url": _text("Address of the service; left empty: TOONCRAFTER_URL"),
            },
        }

    def draw(
        self,
        images: Tensor | None = None,
        masks: Tensor | None = None,
        keys: list[Keyframe] | None = None,
        url: str = "",
        **options: Any,
    ) -> Drawn:
        """Return the drawings, keys included, their transparency, and the job as JSON.

        Raises:
            ValueError: there are neither `images` nor `keys`, or both.
            ToonCrafterError: the service refused the shot, or the job failed.
        """
        if (images is None) == (keys is None):
            raise ValueError("connect either `images`, a batch of keys, or `keys`")
        given = {name: value for name, value in options.items() if value not in ("", AUTOMATIC)}
        shot = cast(ShotOptions, {**given, "outputs": ["png"]})
        found = keys if images is None else png_files(images, masks)
        with Client(url or None) as client, tempfile.TemporaryDirectory() as folder:
            job = _follow(client, client.submit(*(found or []), **shot))
            files = sorted(client.save(job, folder))
            return Drawn(*read_pictures([Path(file) for file in files]), _report(job))


def _follow(client: Client, job: Job) -> Job:
    """Wait with ComfyUI's bar; what interrupts ComfyUI cancels the job."""
    bar = comfy.utils.ProgressBar(100)

    def show(state: Job) -> None:
        if state.progress:
            bar.update_absolute(round(state.progress.percent), 100)

    manager = comfy.model_management
    try:
        return client.wait(job, show, cancel_if=manager.processing_interrupted)
    except JobCanceled:
        manager.throw_exception_if_processing_interrupted()
        raise  # somebody else canceled it
    except manager.InterruptProcessingException:  # raised by the bar, which looks as well
        client.cancel(job)
        raise


def _report(job: Job) -> str:
    """Return what a person may want to know of a job, as JSON."""
    names = {"id", "timing", "model", "plan", "quality", "warnings"}
    shown = job.model_dump(mode="json", include=names)
    return json.dumps({**shown, "seed": job.request.get("seed")}, indent=2, ensure_ascii=False)
