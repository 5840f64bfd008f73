"""What `make bench-gpu` measures, one entry after the other until its time is over."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.counts.budget import count
from benchmarks.counts.stages import Job, launched
from benchmarks.model import DTYPES, matmul_rate, psnr, run
from benchmarks.plain_pipeline import PlainPipeline
from model.acceleration import accelerate
from model.assembly import build_modules, randomise
from model.checkpoint import load_pipeline
from model.clip import clip_tokenizer
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import PRESETS
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.weights_digest import folder_digest
from scripts.check_goldens import check, read_cases
from worker.gpu.placement import place

SEED = 0
FIRST = "fp16, eager"  # what a worker does today
EXACT = "fp32, eager"  # what the others' frames are compared with
VARIANTS: dict[str, dict[str, Any]] = {
    FIRST: {"dtype": "fp16"},
    "fp16, compiled": {"dtype": "fp16", "compiled": True},
    EXACT: {"dtype": "fp32"},
    "fp16, the authors' order of work": {"dtype": "fp16", "plain": True},
    "bf16, eager": {"dtype": "bf16"},
    "fp16, one part at a time": {"dtype": "fp16", "offload": "model"},
}
GOLDENS = Path(__file__).parents[2] / "tests" / "data" / "goldens"
KERNELS = 15  # lines of the profile
QUEUED_JOBS = 10
Result = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """The command line.

    Attributes:
        preset: sizes of the model.
        device: `cuda`, or `cpu` to try the command itself.
        width, height: of the canvas in pixels.
        steps: denoising steps of each clip.
        rounds: clips of each variant after a first one.
    """

    preset: str
    device: str
    width: int
    height: int
    steps: int
    rounds: int


class Bench:
    """The device, the pipeline on it, and frames to compare with."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.device = torch.device(asked.device)
        self._files = ExitStack()
        # As a worker chooses without a setting.
        self.usual_dtype = "fp16" if self.device.type == "cuda" else "fp32"
        self.frames: dict[str, Tensor] = {}  # of each variant's median clip, all from one noise

    def entries(self) -> Iterator[tuple[str, Callable[[], Result]]]:
        """Name every measurement, the ones that matter most first."""
        yield "cold start", self.cold_start
        yield "fp32 goldens", self.goldens
        for name, variant in VARIANTS.items():
            yield name, partial(self.clips, name, **variant)
            if name == FIRST:
                yield "fp16, profile", self.profile
                yield "ten queued jobs", self.backlog

    def build(self, dtype: str, offload: Any = "none") -> ToonCrafterPipeline:
        """Make seeded weights on the device, and place them as a worker does."""
        # The library warns of parts to keep in float32, of which there are none.
        logging.getLogger("diffusers").setLevel(logging.ERROR)
        with torch.device(self.device):
            modules = build_modules(PRESETS[self.asked.preset])
        generator = torch.Generator(self.device).manual_seed(SEED)
        for module in modules.values():
            randomise(module, generator)
            module.to(DTYPES[dtype]).eval()
        pipeline = ToonCrafterPipeline(
            **modules, tokenizer=clip_tokenizer(), scheduler=DDIMRescaledScheduler(), trained=False
        )
        if offload != "none":
            pipeline.to("cpu")
        place(pipeline, self.asked.device, offload)
        return pipeline

    @cached_property
    def folder(self) -> str:
        """The model as a conversion leaves it, until `close`."""
        folder = self._files.enter_context(tempfile.TemporaryDirectory())
        self.build(self.usual_dtype).save_pretrained(folder)
        folder_digest(Path(folder))
        return folder

    def close(self) -> None:
        """Remove what was written."""
        self._files.close()

    @cached_property
    def matmul_tflops(self) -> dict[str, float]:
        """What the device multiplies in a second, by precision."""
        return {name: matmul_rate(self.device, dtype) / 1e12 for name, dtype in DTYPES.items()}

    @cached_property
    def step_tflop(self) -> float:
        """What a guided step multiplies, by count."""
        sizes = PRESETS[self.asked.preset]
        job = Job(self.asked.width, self.asked.height, sizes)
        return count(launched(job, "guided step")).teraflops

    def cold_start(self) -> Result:
        """Seconds until a folder, which main memory has cached, is a pipeline on the device."""
        folder = self.folder
        begun = time.perf_counter()
        load_pipeline(folder, device=self.asked.device, dtype=DTYPES[self.usual_dtype])
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "matmul_tflops": self.matmul_tflops}

    def goldens(self) -> Result:
        """The largest error of the golden cases, as a share of its tolerance."""
        torch.backends.cudnn.allow_tf32 = False
        shares, broken = {}, {}
        with torch.device(self.device):
            for case in read_cases(GOLDENS):
                try:
                    shares[case.name] = max(one.share for one in check(case, GOLDENS))
                except RuntimeError as error:
                    broken[case.name] = str(error).partition("\n")[0]
        return {"shares_of_tolerance": shares, "broken_cases": broken}

    def clips(
        self,
        name: str,
        dtype: str,
        *,
        compiled: bool = False,
        plain: bool = False,
        offload: str = "none",
    ) -> Result:
        """Seconds of each stage of the median clip, and peak memory."""
        pipeline: Any = self.build(dtype, offload)
        if plain:
            pipeline = PlainPipeline(**pipeline.components)
            pipeline.set_progress_bar_config(disable=True)
        if compiled:
            accelerate(pipeline)
        first = run(pipeline, self.asked)
        measured = sorted(
            (run(pipeline, self.asked) for _ in range(self.asked.rounds)),
            key=lambda one: one.seconds["all"],
        )
        middle = measured[len(measured) // 2]
        result: Result = {
            "seconds": middle.seconds,
            "first_clip_seconds": first.seconds["all"],
            "step_seconds": middle.seconds["denoising"] / self.asked.steps,
            "peak_gib": middle.peak_bytes / 2**30,
        }
        rate = self.step_tflop / result["step_seconds"]
        result["share_of_matmul_rate"] = rate / self.matmul_tflops[dtype]
        self.frames[name] = middle.frames.cpu()
        torch.compiler.reset()
        return result

    def distances(self) -> dict[str, float]:
        """PSNR in dB of each variant's frames to those of float32, if that was measured."""
        reference = self.frames.get(EXACT)
        if reference is None:
            return {}
        return {
            name: psnr(frames, reference) for name, frames in self.frames.items() if name != EXACT
        }

    def backlog(self) -> Result:
        """The share of a backlog's time in which the worker's device drew nothing."""
        # Celery, Redis and exporters, which only this needs: without them the others are measured.
        from benchmarks.queue import idle_share

        asked = self.asked
        model = {"TOONCRAFTER_MODEL": self.folder, "TOONCRAFTER_DEVICE": asked.device}
        share = idle_share(model, QUEUED_JOBS, asked.steps, asked.width, asked.height)
        return {"idle_share": share}

    def profile(self) -> Result:
        """The kernels that take most of a clip's denoising, and the share of time without any."""
        pipeline = self.build("fp16")
        run(pipeline, self.asked)
        activity = torch.profiler.ProfilerActivity
        on_gpu = self.device.type == "cuda"
        kinds = [activity.CUDA, activity.CPU] if on_gpu else [activity.CPU]
        begun = time.perf_counter()
        with torch.profiler.profile(activities=kinds) as profiler:
            run(pipeline, self.asked)
        seconds = time.perf_counter() - begun
        taken = {
            one.key: (one.self_device_time_total if on_gpu else one.self_cpu_time_total) / 1e6
            for one in profiler.key_averages()
            if not on_gpu or one.device_type == torch.autograd.DeviceType.CUDA
        }
        busy = sum(taken.values())
        top = sorted(taken, key=lambda name: -taken[name])[:KERNELS]
        return {
            "kernel_seconds": {name: taken[name] for name in top},
            "idle_share": max(0.0, 1 - busy / seconds) if on_gpu else None,
        }
