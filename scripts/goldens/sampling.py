"""Answers of whole sampling loops, and of the pipeline from two pictures to frames."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import torch
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from torch import Tensor

from model.clip import clip_tokenizer
from model.outputs import Conditions
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from scripts.goldens.registry import Case, golden

SPACINGS = {"uniform_trailing": "trailing", "uniform": "uniform"}  # the original's names to ours


class RecordingScheduler(DDIMRescaledScheduler):
    """Remembers what each step returned."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.outputs: list[DDIMSchedulerOutput] = []

    def step(self, *args: Any, **kwargs: Any) -> DDIMSchedulerOutput:
        """One step, remembered."""
        self.outputs.append(super().step(*args, **kwargs))
        return self.outputs[-1]


def pipeline(case: Case) -> ToonCrafterPipeline:
    """The pipeline of the folder's parts, with the case's timestep spacing."""
    parts = case.parts
    made = ToonCrafterPipeline(
        vae=parts.autoencoder,
        text_encoder=parts.text_encoder,
        tokenizer=clip_tokenizer(),
        image_encoder=parts.image_encoder,
        image_projection=parts.image_projection,
        unet=parts.unet,
        scheduler=RecordingScheduler(timestep_spacing=SPACINGS[case["spacing"]]),
    )
    made.set_progress_bar_config(disable=True)
    return made


def sampling(case: Case) -> dict[str, float]:
    """The case's parameters by our names."""
    return {
        "num_inference_steps": case["steps"],
        "eta": case["eta"],
        "guidance_scale": case["cfg"],
        "guidance_rescale": case["guidance_rescale"],
    }


@golden("ddim4")
@golden("ddim10")
@golden("ddim_eta0")
def loop(case: Case) -> dict[str, Tensor]:
    """A loop with stored noises: state and clean estimate after every step, and the first step's
    predictions.
    """
    pipe = pipeline(case)
    guided = case["cfg"] != 1.0
    latents = case.input(f"{case.name}_xT")
    # `uniform` may add steps
    count = sum(name.startswith(f"input.{case.name}_noise") for name in case["inputs"])
    noises = [case.input(f"{case.name}_noise{step}") for step in range(count)]
    context = torch.cat(
        [case.input(f"{case.name}_ctx"), *([case.input(f"{case.name}_uctx")] if guided else [])]
    )
    first, last = case.input(f"{case.name}_cond_latents").unbind(2)
    key_latents = torch.zeros_like(latents)
    key_latents[:, :, 0], key_latents[:, :, -1] = first, last
    frame_stride = torch.tensor(case["fs"])

    pipe.denoise(
        Conditions(context, key_latents, references=[]),
        latents,
        frame_stride=case["fs"],
        step_noises=noises,
        **sampling(case),
    )
    timestep = pipe.scheduler.timesteps[:1]
    predictions = pipe.unet(
        torch.cat([latents, key_latents], dim=1), timestep, context, frame_stride
    ).chunk(2 if guided else 1)
    outputs = {"x_T": latents, **{f"noise{step}": noise for step, noise in enumerate(noises)}}
    for step, output in enumerate(pipe.scheduler.outputs):
        outputs |= {f"x{step}": output.prev_sample, f"pred_x0_{step}": output.pred_original_sample}
    return outputs | dict(zip(["v0_cond", "v0_uncond"], predictions, strict=False))


@golden("pipeline_cli")
def pipeline_cli(case: Case) -> dict[str, Tensor]:
    """As the original's command line: antialiased resize, the image encoder sees the cropped
    picture.
    """
    return clip(case, draws="cli", as_application=False)


@golden("pipeline_gradio")
def pipeline_gradio(case: Case) -> dict[str, Tensor]:
    """As its web application: resize without antialias, the image encoder sees the picture as it
    came.
    """
    return clip(case, draws="gradio", as_application=True)


def clip(case: Case, draws: str, as_application: bool) -> dict[str, Tensor]:
    """Two pictures to frames, with all noise given."""
    pipe = pipeline(case)
    height, width = case["hw"]
    pictures = pipe.video_processor.preprocess(
        [case.picture("pipe_img1"), case.picture("pipe_img2")],
        height,
        width,
        antialias=not as_application,
    )
    posterior_noise, latents, *step_noises = (
        case.input(f"{draws}_draw{index}") for index in range(len(case["draw_shapes"]))
    )
    conditions = pipe.encode(
        pictures,
        case["prompt"],
        negative_prompt="" if case["cfg"] != 1.0 else None,
        num_frames=latents.shape[2],
        posterior_noise=posterior_noise,
        picture_for_context=case.pixels("pipe_img1") if as_application else None,
    )
    sampled = pipe.denoise(
        conditions, latents, frame_stride=case["fs"], step_noises=step_noises, **sampling(case)
    )
    video, first_pass = decode(pipe, sampled, conditions.references)
    middle = video.shape[2] // 2
    return {
        "frames_in": pictures,
        **{
            f"draw{index}": draw
            for index, draw in enumerate([posterior_noise, latents, *step_noises])
        },
        "latents": sampled,
        "video_sample": video,
        "first_pass_frames7_8_sample": first_pass[:, :, middle - 1 : middle + 1],
        "frames_u8": torch.from_numpy(pipe.video_processor.postprocess(video)),
    }


def decode(
    pipe: ToonCrafterPipeline, latents: Tensor, references: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """The frames, and those of the first of the two passes alone."""
    passes: list[Tensor] = []
    run = pipe.vae.decode

    def recorded(*args: Any, **kwargs: Any) -> Tensor:
        passes.append(run(*args, **kwargs))
        return passes[-1]

    with patch.object(pipe.vae, "decode", recorded):
        return pipe.decode(latents, references), passes[0]
