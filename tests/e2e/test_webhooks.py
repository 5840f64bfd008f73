"""A stack tells a receiver of its jobs, with nothing asked in between."""

import asyncio

from standardwebhooks import Webhook

from core.store.tenants.webhook_secrets import WebhookSecrets
from scripts.stack import Stack
from testkit.client import Client
from testkit.servers import wait_until
from testkit.web import always, http, web_server


async def test_a_receiver_is_told_from_the_first_step_to_the_video(
    quick_stack: Stack, client: Client, receiver_port: int
) -> None:
    """Each event is signed, the versions grow, and the last one is the job as it is read."""
    async with web_server(always(http()), port=receiver_port) as receiver:
        secrets = WebhookSecrets((quick_stack.state / "redis.url").read_text())
        secret = secrets.create("default")
        webhook = {"url": receiver.url, "events": ["running", "progress", "succeeded"]}
        job_id = await asyncio.to_thread(client.submit, webhook=webhook)
        job = await asyncio.to_thread(client.wait, job_id)
        await asyncio.to_thread(
            wait_until, lambda: all_told(client, job_id), "both events are delivered"
        )
        secrets.close()
    told = {}
    for visit in receiver.visits:
        message = Webhook(secret.secret).verify(visit.body, visit.headers)
        told[message["type"].partition(".")[2]] = message["data"]
    assert {"running", "progress", "succeeded"} <= told.keys()
    assert told["running"]["version"] < told["progress"]["version"] < told["succeeded"]["version"]
    del job["plan"]["drawings"]  # a message has room for less
    assert told["succeeded"] | {"outputs": []} == job | {"outputs": []}
    (output,) = told["succeeded"]["outputs"]
    video = await asyncio.to_thread(client.http.get, output["url"])
    assert len(video.content) == output["bytes"]


def all_told(caller: Client, job_id: str) -> bool:
    """Whether both events that leave a trace are delivered and nothing is left to do."""
    log = caller.http.get(f"/v1/interpolations/{job_id}/deliveries").json()["data"]
    return [delivery["status"] for delivery in log] == ["delivered", "delivered"]
