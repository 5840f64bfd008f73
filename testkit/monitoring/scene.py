"""A real stack with a bucket, a receiver of webhooks and a Prometheus, and the faults that a
dashboard has to show.

All of them are real: the storage is reached through a proxy that can be slow, the receiver listens
until it is gone, the worker is killed and not restarted.
"""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from core.objects.bucket import make_bucket
from core.settings import Settings
from core.store.tenants.webhook_secrets import WebhookSecrets
from scripts.stack import Stack
from testkit.chaos.service.proxy import Proxy, Streams
from testkit.client import Client
from testkit.monitoring.prometheus import Prometheus, without_patience
from testkit.servers import S3Server
from testkit.stacks import end_all_of, without_torch
from testkit.web import always, http, web_server

# in each direction; a gateway gives up after two seconds of silence
SLOW_SECONDS = 0.6
WAIT_SECONDS = 180.0  # for what takes seconds on an idle machine


class Scene:
    """What a test of the monitoring needs; `open_scene` makes it."""

    def __init__(
        self,
        stack: Stack,
        prometheus: Prometheus,
        caller: Client,
        proxy: Proxy,
        receiver: AsyncExitStack,
        url: str,
    ) -> None:
        self.stack, self.prometheus = stack, prometheus
        self._caller, self._proxy, self._receiver = caller, proxy, receiver
        self._webhook = {"url": url, "events": ["succeeded"]}
        self.begun = time.time()

    async def do_jobs(self, count: int) -> None:
        """Run small jobs one after the other; the receiver gets an event for each end."""
        for _ in range(count):
            job_id = await self.submit()
            await self.until(
                lambda job_id=job_id: self._has_succeeded(job_id), "a job of the scene succeeds"
            )

    async def submit(self, **request: Any) -> str:
        """Submit one job, again after each 503, and do not wait for its end."""
        body = {"webhook": self._webhook, "steps": 1, **request}
        answer = await asyncio.to_thread(self._caller.send, "/v1/interpolations", body)
        while answer.status_code == 503:
            await asyncio.sleep(1)
            answer = await asyncio.to_thread(self._caller.send, "/v1/interpolations", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def _has_succeeded(self, job_id: str) -> bool:
        answer = self._caller.http.get(f"/v1/interpolations/{job_id}")
        return answer.status_code == 200 and answer.json()["status"] == "succeeded"

    def slow_storage_down(self) -> None:
        """Let each operation take more than a second from now on."""
        self._proxy.slow(SLOW_SECONDS)

    def heal_storage(self) -> None:
        """Let the storage be as fast as before."""
        self._proxy.heal()

    async def end_receiver(self) -> None:
        """Stop listening where webhooks are sent."""
        await self._receiver.aclose()

    def kill_worker(self, *, for_good: bool) -> None:
        """Kill the worker as the kernel does when memory runs out.

        `for_good` suspends supervisord first, so that no other worker is started.
        """
        keeper = psutil.Process(self.stack.process.pid)
        workers = [process for process in keeper.children() if "-m worker" in _line(process)]
        workers += [process for process in keeper.children() if "worker.celery" in _line(process)]
        if for_good:
            keeper.suspend()
        for process in workers:
            process.kill()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Return once the condition holds."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {WAIT_SECONDS:.0f} s in vain: {what}")
            await asyncio.sleep(0.2)

    def is_firing(self, alert: str) -> bool:
        """Return whether an alert is firing."""
        return bool(self.prometheus.query(f'ALERTS{{alertstate="firing", alertname="{alert}"}}'))


@contextmanager
def scene_in_background(
    folder: Path, storage: S3Server
) -> Iterator[tuple[Scene, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    """Open a scene whose event loop runs in a thread.

    Yields:
        The scene, and a function that runs a coroutine in that loop.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scene")
    thread.start()

    def run(step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, loop).result()

    opened = open_scene(folder, storage)
    try:
        scene = run(opened.__aenter__())
        try:
            yield scene, run
        finally:
            run(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def open_scene(folder: Path, storage: S3Server) -> AsyncIterator[Scene]:
    """Open a scene; Prometheus has scraped every process when it begins.

    Args:
        folder: its path has to be short, since sockets are made in it.
        storage: which gets a bucket for the scene.
    """
    async with AsyncExitStack() as opened:

        async def connect() -> Streams:
            return await asyncio.open_connection("127.0.0.1", int(storage.url.rpartition(":")[2]))

        proxy = Proxy(connect)
        await proxy.start()
        opened.push_async_callback(proxy.stop)
        receiver = await opened.enter_async_context(AsyncExitStack())
        listening = await receiver.enter_async_context(web_server(always(http())))
        in_bucket = {
            "s3_bucket": f"scene-{secrets.token_hex(4)}",
            "s3_endpoint_url": storage.url,
            "s3_access_key_id": storage.access_key,
            "s3_secret_access_key": storage.secret_key,
        }
        await asyncio.to_thread(make_bucket, Settings.model_validate(in_bucket))
        through_proxy = {**in_bucket, "s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}
        hosts = json.dumps([f"127.0.0.1:{listening.port}"])
        stack = Stack(folder / "state", threads="1", allowed_hosts=hosts, **through_proxy)
        without_torch(stack)
        opened.push_async_callback(asyncio.to_thread, end_all_of, stack)
        await asyncio.to_thread(stack.start)
        WebhookSecrets((stack.state / "redis.url").read_text()).create("default")
        rules = without_patience(folder)
        prometheus = await asyncio.to_thread(
            Prometheus, folder, stack.state / "metrics.json", rules
        )
        opened.callback(prometheus.stop)
        http_client = opened.enter_context(httpx.Client(base_url=stack.url, timeout=60))
        scene = Scene(stack, prometheus, Client(http_client), proxy, receiver, listening.url)
        await scene.until(
            lambda: len(prometheus.query("up == 1")) == 4, "all processes are scraped"
        )
        yield scene


def _line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())
