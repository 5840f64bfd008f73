"""How far an attempt is and how long it will take, by the stage times that estimates use."""

import math

from core.records.job import Stage
from core.store.forecast import StageSeconds

# Percent of a 50-step job of the published model on a GPU, until this model has finished a run.
_TYPICAL = {
    Stage.LOADING: 1.0,
    Stage.ENCODING: 2.0,
    Stage.DENOISING: 87.0,
    Stage.DECODING: 7.0,
    Stage.EXPORTING: 2.0,
    Stage.UPLOADING: 1.0,
}
_TYPICAL_STEPS = 50
# What reading, encoding and writing share of a run's rest.
_OF_REST = {
    Stage.LOADING: 0.1,
    Stage.ENCODING: 0.4,
    Stage.EXPORTING: 0.4,
    Stage.UPLOADING: 0.1,
}
PACE_KNOWN_FROM = 0.1  # share of a run after which its own pace corrects the expected times
STEADY = 0.8  # share of a stage's expected time up to which its share grows with time


class Estimate:
    """Turns stage, step and time into a share that never falls, and into remaining seconds.

    Args:
        expected: stage times by recent runs; None if this model has finished none.
        steps: denoising steps.
    """

    def __init__(self, expected: StageSeconds | None, steps: int) -> None:
        self.is_measured = expected is not None
        self._steps = steps
        self._share = 0.0
        if expected is None:
            self._weights = dict(_TYPICAL)
            self._weights[Stage.DENOISING] *= steps / _TYPICAL_STEPS
        else:
            self._weights = {stage: part * expected.rest for stage, part in _OF_REST.items()}
            self._weights[Stage.DENOISING] = expected.denoise
            self._weights[Stage.DECODING] = expected.decode
        self._total = max(sum(self._weights.values()), 1e-6)

    def update(
        self, stage: Stage, step: int, stage_seconds: float, run_seconds: float
    ) -> tuple[float, float]:
        """Return the share that is done, 0 to 1, and the remaining seconds.

        Args:
            stage: what the attempt does.
            step: denoising steps that are done.
            stage_seconds: since the stage began.
            run_seconds: since the attempt began.
        """
        done = sum(self._weights[one] for one in Stage if _is_before(one, stage))
        pace = self._pace(run_seconds - stage_seconds, done)
        if stage is Stage.DENOISING:
            within = step / self._steps
        else:
            within = _settling(stage_seconds, self._weights[stage] * pace)
        share = (done + within * self._weights[stage]) / self._total
        self._share = max(self._share, share)
        pace = self._pace(run_seconds, self._share * self._total)
        return self._share, (1 - self._share) * self._total * pace

    def _pace(self, run_seconds: float, done: float) -> float:
        """Return real seconds for each expected one."""
        if self.is_measured and done < PACE_KNOWN_FROM * self._total:
            return 1.0
        return run_seconds / done if done > 0 else 1.0


def _is_before(one: Stage, other: Stage) -> bool:
    stages = list(Stage)
    return stages.index(one) < stages.index(other)


def _settling(seconds: float, expected: float) -> float:
    """Return the share of a stage that is done by time: it always grows and never reaches 1."""
    if expected <= 0:
        return 0.0
    ratio = seconds / expected
    if ratio <= STEADY:
        return ratio
    return STEADY + (1 - STEADY) * (1 - math.exp(-(ratio - STEADY) / (1 - STEADY))) * 0.99
