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
# What reading, encoding and writing share of an attempt's rest.
_OF_REST = {
    Stage.LOADING: 0.1,
    Stage.ENCODING: 0.4,
    Stage.EXPORTING: 0.4,
    Stage.UPLOADING: 0.1,
}
PACE_KNOWN_FROM = 0.1  # share of a run after which its own pace corrects the expected times
STEADY = 0.8  # share of a stage's expected time up to which its share grows with time


# Stages of each run of the model; the others happen once in an attempt.
_OF_RUN = (Stage.ENCODING, Stage.DENOISING, Stage.DECODING)


class Estimate:
    """Turns stage, step and time into a share that never falls, and into remaining seconds.

    Attributes:
        runs: of the model in this attempt; fewer where some turn out to be needless.

    Args:
        expected: stage times of all runs by recent jobs; None if this model has finished none.
        steps: denoising steps of one run.
        runs: of the model.
    """

    def __init__(self, expected: StageSeconds | None, steps: int, runs: int = 1) -> None:
        self.is_measured = expected is not None
        self.runs = runs
        self._share = 0.0
        if expected is None:
            self._weights = dict(_TYPICAL)
            self._weights[Stage.DENOISING] *= steps / _TYPICAL_STEPS
        else:
            self._weights = {stage: part * expected.rest for stage, part in _OF_REST.items()}
            self._weights[Stage.ENCODING] /= max(1, runs)
            self._weights[Stage.DENOISING] = expected.denoise / max(1, runs)
            self._weights[Stage.DECODING] = expected.decode / max(1, runs)

    def update(
        self,
        stage: Stage,
        stage_share: float,
        stage_seconds: float,
        run_seconds: float,
        runs_done: int = 0,
    ) -> tuple[float, float]:
        """Return the share that is done, 0 to 1, and the remaining seconds.

        Args:
            stage: what the attempt does.
            stage_share: of the steps that are done, while it is denoising; 0 to 1.
            stage_seconds: since the stage began.
            run_seconds: since the attempt began.
            runs_done: of the model, before this one.
        """
        total = max(self._total(), 1e-6)
        done = self._done_before(stage, min(runs_done, self.runs))
        pace = self._pace(run_seconds - stage_seconds, done / total, done)
        if stage is Stage.DENOISING:
            within = stage_share
        else:
            within = _settling(stage_seconds, self._weights[stage] * pace)
        self._share = max(self._share, min(1.0, (done + within * self._weights[stage]) / total))
        pace = self._pace(run_seconds, self._share, self._share * total)
        return self._share, (1 - self._share) * total * pace

    def _total(self) -> float:
        return sum(
            weight * (self.runs if stage in _OF_RUN else 1)
            for stage, weight in self._weights.items()
        )

    def _done_before(self, stage: Stage, runs_done: int) -> float:
        stages = list(Stage)
        before = stages[: stages.index(stage)]
        done = sum(self._weights[one] for one in before)
        if stage in _OF_RUN:
            further = runs_done
        elif stage is Stage.LOADING:
            further = 0
        else:
            further = self.runs - 1
        return done + further * sum(self._weights[one] for one in _OF_RUN)

    def _pace(self, run_seconds: float, share: float, done: float) -> float:
        """Return real seconds for each expected one."""
        if self.is_measured and share < PACE_KNOWN_FROM:
            return 1.0
        return run_seconds / done if done > 0 else 1.0


def _settling(seconds: float, expected: float) -> float:
    """Return the share of a stage that is done by time: it always grows and never reaches 1."""
    if expected <= 0:
        return 0.0
    ratio = seconds / expected
    if ratio <= STEADY:
        return ratio
    return STEADY + (1 - STEADY) * (1 - math.exp(-(ratio - STEADY) / (1 - STEADY))) * 0.99
