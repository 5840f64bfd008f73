"""Replicate's official client, pointed at our address."""

import asyncio
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from core.store.tenants.webhook_secrets import WebhookSecrets
from scripts.stack import Stack
from testkit.client import KEYFRAMES
from testkit.servers import wait_until
from testkit.web import always, http, web_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is written for pydantic 1, whose copy in pydantic 2 warns
    import replicate
    from replicate.exceptions import ReplicateError

FIRST, LAST = KEYFRAMES


@pytest.fixture
def client(quick_stack: Stack) -> Iterator[replicate.Client]:
    client = replicate.Client(api_token="any", base_url=quick_stack.url)
    yield client
    client._client.close()


def images() -> dict[str, Any]:
    return {"image_1": FIRST, "image_2": LAST}


def test_run_returns_addresses_of_films(client: replicate.Client) -> None:
    """One call, as callers of `fofr/tooncrafter` have it; files are uploaded by the client."""
    (film,) = client.run("fofr/tooncrafter", input={**images(), "prompt": "a kitten", "seed": 7})
    assert httpx.get(film).headers["content-type"] == "video/mp4"


def test_life_of_a_prediction(client: replicate.Client) -> None:
    """Created, followed by its logs, found in the list."""
    prediction = client.models.predictions.create(
        "fofr/tooncrafter", input={**images(), "loop": True, "max_width": 256, "max_height": 256}
    )
    assert prediction.status == "starting"
    logs = [prediction.logs or ""]
    while prediction.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.1)
        prediction.reload()
        logs.append(prediction.logs or "")
    assert prediction.status == "succeeded"
    assert all(after.startswith(before) for before, after in pairwise(logs))
    assert prediction.progress.percentage == 1
    assert (prediction.input["max_width"], prediction.input["loop"]) == (256, True)
    assert prediction.metrics["predict_time"] > 0
    assert prediction.id in [one.id for one in client.predictions.list().results]


def test_cancel(client: replicate.Client) -> None:
    prediction = client.models.predictions.create("fofr/tooncrafter", input=images())
    prediction.cancel()
    while prediction.status not in ("succeeded", "failed", "canceled"):
        time.sleep(0.1)
        prediction.reload()
    assert prediction.status == "canceled"


async def test_webhook_posts_the_prediction(
    client: replicate.Client, quick_stack: Stack, receiver_port: int
) -> None:
    """Only what the filter names, signed with the tenant's secret."""
    with closing(WebhookSecrets((quick_stack.state / "redis.url").read_text())) as secrets:
        secret = secrets.create("default").secret
    async with web_server(always(http()), port=receiver_port) as receiver:
        prediction = await asyncio.to_thread(
            client.models.predictions.create,
            "fofr/tooncrafter",
            input=images(),
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        await asyncio.to_thread(wait_until, lambda: receiver.visits, "the webhook is sent")
    (visit,) = receiver.visits
    told = Webhook(secret).verify(visit.body, visit.headers)
    assert (told["id"], told["status"]) == (prediction.id, "succeeded")
    film = await asyncio.to_thread(httpx.get, told["output"][0])
    assert film.headers["content-type"] == "video/mp4"


def test_versions_are_digests_of_weights(client: replicate.Client) -> None:
    """A version that is served works; another one is refused by a sentence."""
    model = client.models.get("fofr/tooncrafter")
    version = model.latest_version.id
    assert [one.id for one in model.versions.list().results] == [version]
    assert model.versions.get(version).openapi_schema["components"]["schemas"]["Output"]
    made = client.predictions.create(version=version, input=images())
    client.predictions.cancel(made.id)
    with pytest.raises(ReplicateError, match="is not served here; name the model alone"):
        client.predictions.create(version="0486ff07", input=images())
    with pytest.raises(ReplicateError, match="no model fofr/other is served here"):
        client.models.get("fofr/other")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_width": 1024}, "max_width"),
        ({"steps": 50}, "steps"),
        ({"image_2": "https://127.0.0.1/x.png"}, "input/image_2"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    client: replicate.Client, change: dict[str, Any], words: str
) -> None:
    """By a sentence that names the input."""
    with pytest.raises(ReplicateError, match=words):
        client.models.predictions.create("fofr/tooncrafter", input={**images(), **change})
