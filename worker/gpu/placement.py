"""Where the loaded pipeline's parts lie while it works, and what is compiled before the first
job.
"""

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np
import structlog
import torch

from core.setting_types import Offload
from core.shots.passes import NUM_FRAMES

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline

WARM_UP_STEPS = 2  # the first compiles, the second shows that the code is kept
GUIDANCE_SCALES = (7.5, 1.0)  # with guidance, and without: each has a graph of its own

log = structlog.get_logger("worker")


def device_of_weights(device: str, offload: Offload) -> str:
    """Where the weights are loaded to: main memory where only parts of them visit the device."""
    return device if offload in ("none", "encoders") else "cpu"


def place(pipeline: "ToonCrafterPipeline", device: str, offload: Offload) -> None:
    """Let parts of the model leave the device while they are idle.

    Args:
        pipeline: lies on `device_of_weights`.
        device: where it computes.
        offload: `none`; `encoders` leave once the prompt is encoded; `model` has one part at a time
            on the device; `group` one layer at a time, the slowest and smallest.
    """
    pipeline.set_progress_bar_config(disable=True)  # progress goes into the job, not to a terminal
    # where cuDNN convolves channels-last twice as readily, and the frames come so
    if device.startswith("cuda"):
        for network in (pipeline.unet, pipeline.vae):
            network.to(memory_format=torch.channels_last)
        if offload in ("model", "group"):
            # here, since a stand-in worker has none of the model's packages
            from model.autoencoder_kl_dualref import SMALL_CHUNK

            pipeline.vae.chunk_elements = SMALL_CHUNK
    if offload == "encoders":
        pipeline.offload_encoders = True
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "group":
        pipeline.enable_group_offload(torch.device(device), offload_type="leaf_level")


def compile_and_warm_up(pipeline: "ToonCrafterPipeline", canvases: list[tuple[int, int]]) -> None:
    """Compile UNet and decoder and run each kind of job on each canvas once, so that no job waits
    for the compiler.

    Args:
        pipeline: placed.
        canvases: widths and heights in pixels.
    """
    # The compiler's packages are imported only where something is compiled.
    from model.acceleration import accelerate

    accelerate(pipeline)
    for width, height in canvases:
        begun = time.monotonic()
        blank = np.full((height, width, 3), 255, np.uint8)
        sketches = [None] if pipeline.sketch_encoder is None else [None, [blank] * NUM_FRAMES]
        for guidance_scale, lines in itertools.product(GUIDANCE_SCALES, sketches):
            pipeline(
                [blank, blank],
                height=height,
                width=width,
                num_frames=NUM_FRAMES,
                num_inference_steps=WARM_UP_STEPS,
                guidance_scale=guidance_scale,
                sketches=lines,
            )
        log.info(
            "canvas warmed", width=width, height=height, seconds=round(time.monotonic() - begun, 1)
        )
