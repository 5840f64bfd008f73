"""Estimate the time of the next job from the last ones.

A job has three parts that grow differently: denoising with passes and pixels, decoding with the
model's runs and pixels, and the rest (reading, encoding, writing), which hardly grows at all. Each
is the median of the recent runs, so that a run which shared its device or waited for a slow storage
changes nothing.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from core.records.base import Record
from core.records.job import Timing
from core.records.plan import passes_of, timeline_of
from core.records.request import GenerationRequest, Quality
from core.records.worker import ModelInfo

KEPT_RUNS = 200  # of all models and devices together: an evening of one GPU, 45 KB in Redis
# of one canvas: from then on only they count, since attention grows faster than the pixels
ENOUGH_RUNS = 3

FINAL_DECODINGS = 2  # of each clip, the second for the middle drawings; a draft's is decoded once

# weights, precision and kind of device: what decides how fast a run is
Maker = tuple[str, str, str]


class RecentRun(Record):
    """One successful run: on what, how much, how long in seconds."""

    model: str
    weights: str
    dtype: str
    device: str
    pixels: int  # of the canvas
    passes: int  # evaluations of the network, in all runs of the model
    model_runs: int = 1
    decodings: int | None = None  # of a clip; None of versions that decoded each run's twice
    denoise: float
    decode: float
    rest: float

    @property
    def seconds(self) -> float:
        """From claim to commit."""
        return self.denoise + self.decode + self.rest

    @property
    def decoder_runs(self) -> int:
        """How often the decoder ran over a clip."""
        return self.decodings or FINAL_DECODINGS * self.model_runs

    @property
    def maker(self) -> Maker:
        """The weights, precision and kind of device of the run."""
        return self.weights, self.dtype, self.device


def runs_of(request: GenerationRequest) -> int:
    """Return how often the model runs for a request, all segments and variants together."""
    runs = sum(len(segment.passes) for segment in timeline_of(request).segments)
    return runs * request.variants


def decodings_of(request: GenerationRequest) -> int:
    """Return how often the decoder runs over a clip for a request."""
    return runs_of(request) * (1 if request.quality is Quality.DRAFT else FINAL_DECODINGS)


def network_passes(request: GenerationRequest) -> int:
    """Return how often the network is evaluated; at least 1, so that times can be divided by it."""
    return max(1, passes_of(request, timeline_of(request)))


def recent_run(
    request: GenerationRequest, timing: Timing, model: ModelInfo, model_runs: int | None = None
) -> RecentRun:
    """Return what is worth remembering of a job that succeeded.

    Args:
        request: of the job.
        timing: of its last attempt.
        model: that drew it.
        model_runs: how often the model ran in that attempt, 1 or more: fewer than the request needs
            where segments were reused. None for all.
    """
    planned = max(1, runs_of(request))
    ran = planned if model_runs is None else model_runs
    return RecentRun(
        model=model.name,
        weights=model.weights,
        dtype=model.dtype,
        device=model.device,
        pixels=request.width * request.height,
        passes=max(1, network_passes(request) * ran // planned),
        model_runs=ran,
        decodings=max(1, decodings_of(request) * ran // planned),
        denoise=timing.denoise_seconds,
        decode=timing.decode_seconds,
        rest=round(timing.run_seconds - timing.denoise_seconds - timing.decode_seconds, 3),
    )


def maker_of(model: ModelInfo) -> Maker:
    """Return the `Maker` of a loaded model's runs."""
    return model.weights, model.dtype, model.device


class StageSeconds(NamedTuple):
    """How long the parts of a run take."""

    denoise: float
    decode: float
    rest: float


def expected_stages(
    runs: Sequence[RecentRun], *, passes: int, pixels: int, decodings: int = FINAL_DECODINGS
) -> StageSeconds | None:
    """Return how long a job's parts will take; None if no run is known.

    Args:
        runs: of one model on one kind of device. Those of the same number of pixels decide alone
            once there are `ENOUGH_RUNS` of them.
        passes: evaluations of the network, in all runs of the model.
        pixels: of the canvas.
        decodings: how often the decoder runs over a clip.
    """
    same_size = [run for run in runs if run.pixels == pixels]
    alike = same_size if len(same_size) >= ENOUGH_RUNS else runs
    if not alike:
        return None
    per_pass_and_pixel = median(run.denoise / (run.passes * run.pixels) for run in alike)
    per_pixel = median(run.decode / (run.decoder_runs * run.pixels) for run in alike)
    return StageSeconds(
        denoise=passes * pixels * per_pass_and_pixel,
        decode=decodings * pixels * per_pixel,
        rest=median(run.rest for run in alike),
    )


def expected_seconds(
    runs: Sequence[RecentRun], *, passes: int, pixels: int, decodings: int = FINAL_DECODINGS
) -> float | None:
    """Return how long a job will take, as `expected_stages` has it."""
    stages = expected_stages(runs, passes=passes, pixels=pixels, decodings=decodings)
    return sum(stages) if stages else None


def typical_seconds(runs: Sequence[RecentRun]) -> float | None:
    """Return how long a job of this deployment takes, of any size; None if no run is known."""
    return median(run.seconds for run in runs) if runs else None
