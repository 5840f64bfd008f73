"""A worker in this process: real store, storage and heartbeat around a stand-in pipeline."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from core.objects.object_keys import input_key
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.records.job import Job
from core.records.request import Keyframe, StoredImage
from core.records.worker import ModelInfo
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, png
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.latents import tensors_of
from worker.engines.tooncrafter import ToonCrafterEngine
from worker.gpu.memory import DeviceMemory
from worker.jobs.rendering import ShotRenderer
from worker.jobs.runner import Limits, Runner
from worker.watch.heartbeat import Heartbeat

TTL = timedelta(hours=1)
IMAGE = StoredImage(
    sha256=sha256(png()).hexdigest(),
    content_type="image/png",
    width=64,
    height=40,
    bytes=len(png()),
)
DECODERS = Decoders(
    DecoderLimits(max_pixels=1_000_000, max_bytes=2**20, cpu_time=timedelta(seconds=10))
)


@dataclass
class StandInPipeline:
    """Takes what the pipeline takes and returns flat frames; `at_step` happens in the middle of
    each step.
    """

    at_step: Callable[[int], None] = lambda _: None
    device: str = "cpu"
    # the name under which diffusers' pipelines tell where they compute
    _execution_device: str = "cpu"
    components: ClassVar[dict[str, Any]] = {}
    seen: list[dict[str, Any]] = field(default_factory=list)
    steps_done: int = 0

    def __call__(self, **arguments: Any) -> SimpleNamespace:
        self.seen.append(arguments)
        arguments["callback_on_stage"]("encoding")
        arguments["callback_on_stage"]("denoising")
        for index in range(arguments["num_inference_steps"]):
            self.at_step(index)
            self.steps_done += 1
            arguments["callback_on_step_end"](self, index, None, tensors_of(arguments))
        arguments["callback_on_stage"]("decoding")
        shape = (arguments["num_frames"], arguments["height"], arguments["width"], 3)
        return SimpleNamespace(frames=np.full(shape, 128, dtype=np.uint8))


@dataclass
class Worker:
    """A runner with everything around it, as `worker.bootstrap` wires it."""

    store: WorkerStore
    storage: ObjectStorage
    pipeline: StandInPipeline
    name: str = "gpu-1:7"
    max_canvas_pixels: int | None = None
    job_timeout: timedelta = timedelta(minutes=10)
    segment_quota: int = 2**20
    model: ModelInfo = MODEL
    adapters: tuple[ModelInfo, ...] = ()  # in the order in which the pipeline has loaded them

    def __post_init__(self) -> None:
        self.heartbeat = Heartbeat(self.store, self.name)
        self.heartbeat.start()
        self.heartbeat.ready(self.model, load_seconds=2.5, adapters=self.adapters)
        limits = Limits(self.max_canvas_pixels, self.job_timeout, self.segment_quota)
        engine = ToonCrafterEngine(
            self.pipeline,
            DeviceMemory(self.pipeline, "cpu", "none"),
            [adapter.name for adapter in self.adapters],
        )
        renderer = ShotRenderer(engine, self.storage, DECODERS)
        self.runner = Runner(
            self.store,
            self.storage,
            self.heartbeat,
            renderer,
            (self.model, *self.adapters),
            2.5,
            limits,
        )

    def run(self) -> str | None:
        """Run one job to its end."""
        job_id = self.runner.run_next()
        self.runner.has_ended_within(None)
        return job_id


async def submit(store: TenantJobs, storage: ObjectStorage, **fields: object) -> str:
    """What the gateway does."""
    job_id = new_job_id()
    storage.put(input_key(job_id, IMAGE), png(), IMAGE.content_type)
    request = generation_request(keyframes=[Keyframe(image=IMAGE)] * 2, **fields)
    await store.submit(job_id, request, metadata={}, ttl=TTL, request_id="shot-12a")
    return job_id


def read(store: WorkerStore, job_id: str) -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


def cancel(server: RedisServer, job_id: str) -> None:
    """Cancel as a caller, from another thread: the worker occupies the test's event loop."""

    async def ask() -> None:
        gateway = TenantJobs(server.url)
        await gateway.cancel(job_id)
        await gateway.close()

    caller = threading.Thread(target=lambda: asyncio.run(ask()))
    caller.start()
    caller.join()
