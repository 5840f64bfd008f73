"""Describe a job as Replicate's clients see it, in responses and in webhook messages."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel

from core.records.job import JobState
from core.records.view import JobView

MODEL_NAME = "tooncrafter"
_LINE_PERCENT = 5  # a line of the log for each


class PredictionEvent(StrEnum):
    """What `webhook_events_filter` may name."""

    START = "start"
    OUTPUT = "output"
    LOGS = "logs"
    COMPLETED = "completed"


class PredictionView(BaseModel):
    """A prediction, by Replicate's names."""

    id: str
    model: str
    version: str
    status: Literal["starting", "processing", "succeeded", "failed", "canceled"]
    input: dict[str, Any]
    output: list[str] | None
    logs: str
    error: str | None
    metrics: dict[str, float]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    urls: dict[str, str]


_STATES: dict[JobState, Literal["starting", "processing", "succeeded", "failed", "canceled"]] = {
    JobState.QUEUED: "starting",
    JobState.RUNNING: "processing",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELED: "canceled",
}


def prediction_view(job: JobView, base_url: str) -> PredictionView:
    """Return a job by Replicate's names.

    Args:
        job: as our own callers see it.
        base_url: the gateway's address.
    """
    request = job.request
    address = f"{base_url}/v1/predictions/{job.id}"
    return PredictionView(
        id=job.id,
        model=f"{MODEL_NAME}/{request.model or MODEL_NAME}",
        version=job.model.weights.removeprefix("sha256:") if job.model else "",
        status=_STATES[job.status],
        input={  # without the images, which are shown nowhere again
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "loop": request.loop,
            "interpolate": request.interpolate == 2,
            "color_correction": request.color_match,
            "max_width": request.width,
            "max_height": request.height,
            "seed": request.seed,
        },
        output=[output.url for output in job.outputs] or None,
        logs=_logs(job),
        error=f"{job.error.code}: {job.error.detail}" if job.error else None,
        metrics={"predict_time": job.timing.run_seconds} if job.status.is_final else {},
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.finished_at,
        urls={"get": address, "cancel": f"{address}/cancel"},
    )


def _logs(job: JobView) -> str:
    """Return lines that only grow while an attempt runs; Replicate's client reads progress there.

    The last line of each form ` 45%|####      | 9/20` is its progress.
    """
    lines = [f"Using seed: {job.request.seed}"]
    lines += [f"warning: {warning.detail}" for warning in job.warnings]
    percent = 100.0 if job.status is JobState.SUCCEEDED else 0.0
    if job.progress and job.status is not JobState.SUCCEEDED:
        percent = job.progress.percent
    total = 100 // _LINE_PERCENT
    for done in range(1, int(percent) // _LINE_PERCENT + 1):
        bar = "#" * (done * 10 // total)
        lines.append(f"{done * _LINE_PERCENT:3d}%|{bar:<10}| {done}/{total}")
    if job.error:
        lines.append(f"{job.error.code}: {job.error.detail}")
    if job.status is JobState.SUCCEEDED:
        lines.append(f"done in {job.timing.run_seconds:.1f} s")
    return "\n".join(lines) + "\n"
