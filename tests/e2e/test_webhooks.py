"""A stack tells a receiver of its jobs, with nothing asked in between."""

import asyncio
import json
from collections.abc import Callable

from standardwebhooks import Webhook

from core.store.tenants.webhook_secrets import WebhookSecrets
from scripts.stack import Stack
from testkit.client import Client
from testkit.servers import wait_until
from testkit.web import always, http, web_server


async def test_a_receiver_is_told_from_the_first_step_to_the_video(
    new_stack: Callable[..., Stack], client_of: Callable[[Stack], Client]
) -> None:
    async with web_server(always(http())) as receiver:
        stack = new_stack(allowed_hosts=json.dumps([f"127.0.0.1:{receiver.port}"]))
        await asyncio.to_thread(stack.start)
        secrets = WebhookSecrets((stack.state / "redis.url").read_text())
        secret = secrets.create("default")
        caller = client_of(stack)
        webhook = {"url": receiver.url, "events": ["running", "progress", "succeeded"]}
        job_id = await asyncio.to_thread(caller.submit, webhook=webhook)
        job = await asyncio.to_thread(caller.wait, job_id)
        await asyncio.to_thread(
            wait_until, lambda: all_told(caller, job_id), "both events are delivered"
        )
        secrets.close()
    told = {}
    for visit in receiver.visits:
        message = Webhook(secret.secret).verify(visit.body, visit.headers)
        told[message["type"].partition(".")[2]] = message["data"]
    assert {"running", "progress", "succeeded"} <= told.keys()
    assert told["running"]["version"] < told["progress"]["version"] < told["succeeded"]["version"]
    assert told["succeeded"] | {"outputs": []} == job | {"outputs": []}
    (output,) = told["succeeded"]["outputs"]
    video = await asyncio.to_thread(caller.http.get, output["url"])
    assert len(video.content) == output["bytes"]


def all_told(caller: Client, job_id: str) -> bool:
    """Whether the log has both events that leave a trace, and nothing is to be done for either."""
    log = caller.http.get(f"/v1/interpolations/{job_id}/deliveries").json()["data"]
    return [delivery["status"] for delivery in log] == ["delivered", "delivered"]
