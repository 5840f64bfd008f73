"""A deployment to measure: Redis, one dispatcher and some Celery workers as processes, and jobs for
them.

The workers draw with a real model, or with the stand-in of the chaos runs, whose jobs take a fixed
time: then what is measured is the way of a job and not the model.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from core.objects.object_keys import input_key
from core.objects.storage import open_storage
from core.records.ids import new_job_id
from core.records.job import Job, JobState
from core.records.request import Keyframe, StoredImage
from core.records.worker import WorkerState
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import generation_request, png
from testkit.servers import Process, RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.device_log import FOLDER as DEVICE_LOG

INJECTED = Path(__file__).resolve().parent.parent / "testkit" / "chaos" / "injected"
START_SECONDS = 300.0
SIDE = 128  # pixels of a drawing, so that encoding the video costs next to nothing


def stand_in(step_seconds: float) -> dict[str, str]:
    """Return a worker's environment for the stand-in, which takes this long for a step."""
    return {
        "CHAOS_MODEL": "1",
        "CHAOS_STEP_SECONDS": str(step_seconds),
        "TOONCRAFTER_MODEL": "tiny",
        "TOONCRAFTER_DEVICE": "cpu",
        "TOONCRAFTER_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


class Deployment:
    """Redis, one dispatcher and some workers, as processes.

    Args:
        folder: for sockets, logs and stored objects.
        workers: how many.
        model: of the workers, as their environment says it.
    """

    def __init__(self, folder: Path, workers: int, model: Mapping[str, str]) -> None:
        self.server = RedisServer(folder)
        self.settings = Settings(state_dir=folder / "state")
        self.device_log = folder / "device"
        self.device_log.mkdir()
        self._folder, self._workers, self._model = folder, workers, model

    @contextmanager
    def run(self, start_seconds: float = START_SECONDS) -> Iterator[None]:
        """Start all, and return when the workers are idle.

        Raises:
            AssertionError: they were not after `start_seconds`.
        """
        self.server.start()
        with ExitStack() as processes:
            processes.callback(self.server.stop)
            self.dispatcher = processes.enter_context(
                self._process("dispatcher", "-m", "dispatcher")
            )
            self.workers = [
                processes.enter_context(self._process(f"worker-{number}", "-m", "worker"))
                for number in range(self._workers)
            ]
            self.store = WorkerStore(self.server.url)
            operator = OperatorStore(self.server.url)
            processes.callback(operator.close)
            idle = WorkerState.IDLE
            wait_until(
                lambda: [worker.state for worker in operator.workers()] == [idle] * self._workers,
                "all workers are idle",
                start_seconds,
            )
            yield

    def _process(self, name: str, *command: str) -> Process:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TOONCRAFTER_")
        }
        environment |= {
            "TOONCRAFTER_REDIS_URL": self.server.url,
            "TOONCRAFTER_STATE_DIR": str(self.settings.state_dir),
            DEVICE_LOG: str(self.device_log),
            "PYTHONPATH": os.pathsep.join([str(INJECTED), str(INJECTED.parents[2])]),
            **self._model,
        }
        return Process([sys.executable, *command], self._folder / f"{name}.log", environment)


class Load:
    """Submits jobs as a gateway does, past HTTP."""

    def __init__(
        self, deployment: Deployment, steps: int, width: int = SIDE, height: int = SIDE
    ) -> None:
        self._store = deployment.store
        self._async = TenantJobs(deployment.server.url)
        self._storage = open_storage(deployment.settings)
        self._steps = steps
        self._submitted = 0
        self._width, self._height = width, height
        self._picture = png(width, height)
        digest = hashlib.sha256(self._picture).hexdigest()
        self._keyframe = Keyframe(
            image=StoredImage(
                sha256=digest,
                content_type="image/png",
                width=width,
                height=height,
                bytes=len(self._picture),
            )
        )

    async def submit(self) -> str:
        """One job, unlike those before. Answers its id."""
        job_id = new_job_id()
        self._submitted += 1  # its seed: what was drawn before is not drawn again
        keyframes = [self._keyframe, self._keyframe]
        request = generation_request(
            keyframes=keyframes,
            steps=self._steps,
            width=self._width,
            height=self._height,
            seed=self._submitted,
        )
        self._storage.put(input_key(job_id, self._keyframe.image), self._picture, "image/png")
        await self._async.submit(
            job_id, request, metadata={}, ttl=timedelta(hours=1), request_id=""
        )
        return job_id

    async def close(self) -> None:
        """Let go of Redis."""
        await self._async.close()

    async def wait_for(self, job_id: str, look_seconds: float = 0.02) -> Job:
        """The job once it has ended.

        Raises:
            RuntimeError: it did not succeed.
        """
        while True:
            job = self._store.get(job_id)
            if job and job.status.is_final:
                if job.status is not JobState.SUCCEEDED:
                    raise RuntimeError(f"{job_id} is {job.status}: {job.error}")
                return job
            await asyncio.sleep(look_seconds)
