"""The deployment as callers see it."""

from collections import Counter, defaultdict
from typing import NamedTuple

from api.schemas.deployment import (
    MOST_SHOWN,
    BasedOn,
    EstimateView,
    ExpectedSeconds,
    LaneView,
    LimitsView,
    MemoryView,
    ModelList,
    ModelSizeView,
    ModelView,
    QueueView,
    SizeView,
    WorkersView,
    WorkerView,
)
from api.schemas.interpolation import MAX_STEPS
from core.records.job import Caution
from core.records.offer import Engine, Offer
from core.records.plan import plan_of
from core.records.request import GenerationRequest
from core.records.worker import ModelInfo, WorkerRecord, WorkerState
from core.shots import canvas as shot
from core.shots.canvas import Size
from core.shots.fit import placements, result_size
from core.shots.passes import NUM_FRAMES
from core.store.deployment import Deployment, Lane, Unknown
from core.store.forecast import decodings_of, network_passes


class Held(NamedTuple):
    """A model, or an adapter of one, that a live worker holds."""

    worker: WorkerRecord
    model: ModelInfo


DECIMALS = 1  # of expected seconds; more would claim what no median knows


def estimate_view(
    request: GenerationRequest, warnings: list[Caution], deployment: Deployment
) -> EstimateView:
    """Return the plan of a request, and what it would take by the deployment's recent runs."""
    canvas = Size(request.width, request.height)
    plan = plan_of(request, with_drawings=True)
    drawings = plan.drawings or []
    pixels = canvas.width * canvas.height
    runs = deployment.runs
    return EstimateView(
        segments=plan.segments,
        model_passes=plan.passes,
        frames=len(drawings),
        canvas=SizeView(**canvas._asdict()),
        output=SizeView(**_result_size(request, canvas)._asdict()),
        plan=plan,
        seconds=_seconds(
            deployment.expected_run(
                passes=network_passes(request), pixels=pixels, decodings=decodings_of(request)
            ),
            deployment.expected_wait(request.priority, pixels),
        ),
        based_on=BasedOn(
            runs=len(runs),
            model=runs[0].model if runs else None,
            device=runs[0].device if runs else None,
        ),
        warnings=warnings,
    )


def model_list(deployment: Deployment) -> ModelList:
    """What the live workers hold; workers of the same weights and precision are one model.

    The preview engine comes last, so that the first is what a request gets that names none.
    """
    held: defaultdict[tuple[bool, str, str, str], list[Held]] = defaultdict(list)
    for worker in deployment.workers:
        is_preview = worker.engine is Engine.PREVIEW
        for model in (*((worker.model,) if worker.model else ()), *worker.adapters):
            held[is_preview, model.name, model.weights, model.dtype].append(Held(worker, model))
    return ModelList(data=[_model(held[identity]) for identity in sorted(held)])


def queue_view(deployment: Deployment) -> QueueView:
    """What waits, and who works on it."""
    states = Counter(worker.state for worker in deployment.workers)
    by_name = sorted(deployment.workers, key=lambda worker: worker.name)
    return QueueView(
        paused=deployment.is_paused,
        lanes=[_lane(lane, deployment.expected_wait(lane.priority)) for lane in deployment.lanes],
        running=len(deployment.remaining_seconds),
        workers=WorkersView(**{state.value: states[state] for state in WorkerState}),
        fleet=[_worker(worker) for worker in by_name[:MOST_SHOWN]],
    )


def _result_size(request: GenerationRequest, canvas: Size) -> Size:
    first = request.keyframes[0].image
    (placement,) = placements([Size(first.width, first.height)], canvas, request.fit)
    return result_size(placement, request.output_size)


def _seconds(run: float | Unknown, wait: float | Unknown) -> ExpectedSeconds:
    known_run, known_wait = _known(run), _known(wait)
    return ExpectedSeconds(
        run=known_run,
        queue_wait=known_wait,
        total=None
        if known_run is None or known_wait is None
        else round(known_run + known_wait, DECIMALS),
        unknown=next((why for why in (wait, run) if isinstance(why, Unknown)), None),
    )


def _lane(lane: Lane, wait: float | Unknown) -> LaneView:
    return LaneView(
        priority=lane.priority,
        depth=lane.waiting,
        oldest_seconds=lane.oldest_seconds,
        expected_wait_seconds=_known(wait),
        unknown=wait if isinstance(wait, Unknown) else None,
    )


def _worker(worker: WorkerRecord) -> WorkerView:
    memory = worker.memory
    return WorkerView(
        state=worker.state,
        model=worker.model.name if worker.model else None,
        device=worker.model.device if worker.model else None,
        memory=MemoryView(**memory.model_dump()) if memory else None,
    )


def _known(seconds: float | Unknown) -> float | None:
    return None if isinstance(seconds, Unknown) else round(seconds, DECIMALS)


def _model(held: list[Held]) -> ModelView:
    """One model, by the workers that hold it."""
    limits = [one.worker.max_canvas_pixels for one in held]
    known_limits = [limit for limit in limits if limit is not None]
    worker, model = held[0]
    offer = worker.offer or Offer.of_setting(model.name)
    return ModelView(
        # what both know of it is named alike; of an adapter, the model's own facts count
        **(dict(offer) | dict(model) | {"engine": offer.engine}),
        devices=sorted({one.model.device for one in held}),
        workers=len(held),
        sizes=[_model_size(canvas, offer) for canvas in shot.CANVASES],
        limits=LimitsView(
            min_side=shot.MIN_SIDE,
            max_side=shot.MAX_SIDE,
            side_multiple=shot.CANVAS_MULTIPLE,
            max_canvas_pixels=max(known_limits) if len(known_limits) == len(limits) else None,
            max_steps=MAX_STEPS,
            frames=NUM_FRAMES,
        ),
    )


def _model_size(canvas: Size, offer: Offer) -> ModelSizeView:
    memory = offer.memory_bytes(canvas.width * canvas.height)
    return ModelSizeView(**canvas._asdict(), memory_bytes=memory)
