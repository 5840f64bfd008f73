"""What generated calls meet: a gateway process, two tenants, and somebody who ends jobs as soon as
they are claimed.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from core.errors import CancelRequested, NumericalFailure, StaleClaim
from core.objects.object_keys import drawing_key, output_key
from core.objects.storage import open_storage
from core.records.job import Progress, Stage, Timing
from core.settings import Settings
from core.store.roles.worker import Claim, WorkerStore
from core.store.tenants.webhook_secrets import WebhookSecrets
from testkit.api.gateway import gateway_process, make_key
from testkit.jobs import MODEL, png, stored_output
from testkit.servers import Process, RedisServer
from testkit.web import answering

TENANTS = ("studio-a", "studio-b")
VIDEO = b"video"
RATES = (
    "tenant_submissions_per_minute",
    "tenant_reads_per_minute",
    "tenant_max_queued",
    "max_queued",
)
MANY = "1000000000"  # they have tests of their own


@dataclass(frozen=True)
class Deployment:
    """Where it is, and how one calls it."""

    gateway: Process
    url: str
    keys: dict[str, str]  # by tenant
    friend: str  # a host of the operator's own, that has an image and takes messages

    def write_keys(self, path: Path) -> Path:
        """The tenants as users, in the form that schemathesis reads (Web Fuzzing Commons)."""
        users = [
            {"name": tenant, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
            for tenant, key in self.keys.items()
        ]
        path.write_text(json.dumps({"auth": users}))
        return path


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """All of it, in a folder with a short path."""
    with ExitStack() as running:
        redis = RedisServer(folder)
        redis.start()
        running.callback(redis.stop)
        friend = running.enter_context(_friend())
        settings = Settings(redis_url=redis.url, state_dir=folder / "state", allowed_hosts=[friend])
        secrets = WebhookSecrets(redis.url)
        running.callback(secrets.close)
        for tenant in TENANTS:
            secrets.create(tenant)
        keys = {tenant: make_key(settings, tenant) for tenant in TENANTS}
        more = dict.fromkeys(RATES, MANY)
        more |= {
            "allowed_hosts": json.dumps([friend]),
            "trusted_proxies": json.dumps(["127.0.0.1"]),
        }
        gateway, url = running.enter_context(
            gateway_process(settings, folder / "gateway.log", **more)
        )
        running.enter_context(_worker(settings, redis))
        yield Deployment(gateway, url, keys, friend)


@contextmanager
def _friend() -> Iterator[str]:
    class Friend(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            image = png()
            self.send_response(200)
            self.send_header("Content-Length", str(len(image)))
            self.end_headers()
            self.wfile.write(image)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Discard the line."""

    with answering(Friend) as address:
        yield address


@contextmanager
def _worker(settings: Settings, redis: RedisServer) -> Iterator[None]:
    """Claims and ends jobs through the same store as real workers do: every third fails, the others
    succeed.
    """
    store, storage, stop = WorkerStore(redis.url), open_storage(settings), threading.Event()

    def end(claim: Claim, number: int) -> None:
        with suppress(StaleClaim, CancelRequested):
            for step in (1, 2):
                percent = 50 * step
                progress = Progress(
                    stage=Stage.DENOISING, step=step, steps=2, percent=percent, eta_seconds=None
                )
                store.renew(claim, progress)
                time.sleep(0.005)
            if number % 3 == 0:
                store.fail(claim, NumericalFailure("NaN"), Timing(), MODEL)
                return
            storage.put(output_key(*claim.args, "video.mp4"), VIDEO, "video/mp4")
            for index in range(2):
                storage.put(drawing_key(*claim.args, 1, index), png(), "image/png")
            store.succeed(claim, [stored_output(VIDEO)], Timing(), MODEL)

    def work() -> None:
        number = 0
        while not stop.wait(0.01):
            while claim := store.claim("worker-1"):
                number += 1
                end(claim, number)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    store.close()
