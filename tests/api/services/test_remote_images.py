"""Keyframes by URL: fetched from a host of the operator's own, and from nowhere else that is
private.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from httpx import AsyncClient

from core.objects.object_keys import input_key
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.api.calls import KEY, URL, data_uri, files, problems, replayed
from testkit.api.gateway import gateway
from testkit.jobs import noise_png, png
from testkit.servers import RedisServer
from testkit.web import Answer, Visit, WebServer, by_resource, http, web_server

TEAL, GOLD = png(color="teal"), png(color="gold")
DRAWINGS = {
    "/teal.png?sig=hunter2": http(TEAL),
    "/gold.png": http(GOLD),
    "/gold-again.png": http(GOLD),
}

Studio = Callable[..., AbstractAsyncContextManager[tuple[AsyncClient, WebServer]]]


@pytest.fixture
def studio(settings: Settings) -> Studio:
    """A gateway, and a web server inside the studio that it may fetch from."""

    @asynccontextmanager
    async def studio(
        answer: Answer, **changes: object
    ) -> AsyncIterator[tuple[AsyncClient, WebServer]]:
        async with web_server(answer) as server:
            own = Settings(
                **settings.model_dump(exclude={"allowed_hosts", *changes}),
                allowed_hosts=[f"127.0.0.1:{server.port}"],
                **changes,
            )
            async with gateway(own) as client:
                yield client, server

    return studio


def request(*urls: str, **fields: object) -> dict[str, object]:
    return {"keyframes": [{"image": {"url": url}} for url in urls], **fields}


class TestSubmission:
    async def test_two_urls_make_a_job(
        self, studio: Studio, store: WorkerStore, stored_keys: Callable[[], set[str]]
    ) -> None:
        """The images are the job's own from then on."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            urls = f"{server.url}/teal.png?sig=hunter2", f"{server.url}/gold.png"
            response = await client.post(URL, json=request(*urls))
            assert response.status_code == 202, response.text
            inline = await client.post(URL, files=files(TEAL, GOLD))
        fetched, sent = (answer.json()["request"]["keyframes"] for answer in (response, inline))
        assert fetched == sent
        job = store.get(response.json()["id"])
        assert job is not None
        assert stored_keys() >= {
            input_key(job.id, keyframe.image) for keyframe in job.request.keyframes
        }

    async def test_url_beside_another_form(self, studio: Studio) -> None:
        """Each image may come its own way; the order of the keyframes is kept."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            keyframes = [
                {"image": {"data": data_uri(TEAL)}},
                {"image": {"url": f"{server.url}/gold.png"}},
            ]
            response = await client.post(URL, json={"keyframes": keyframes})
            inline = await client.post(URL, files=files(TEAL, GOLD))
        assert response.json()["request"]["keyframes"] == inline.json()["request"]["keyframes"]

    async def test_one_url_twice_is_fetched_once(self, studio: Studio) -> None:
        """A loop."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            response = await client.post(URL, json=request(*[f"{server.url}/gold.png"] * 2))
            assert response.status_code == 202, response.text
            assert len(server.visits) == 1

    async def test_images_are_fetched_at_the_same_time(self, studio: Studio) -> None:
        """Neither is answered before both were asked for."""
        both = asyncio.Barrier(2)

        async def together(_: Visit) -> AsyncIterator[bytes]:
            await both.wait()
            yield http(GOLD)

        async with studio(together) as (client, server):
            response = await client.post(URL, json=request(f"{server.url}/a", f"{server.url}/b"))
            assert response.status_code == 202, response.text

    async def test_gateway_bounds_what_it_fetches_at_once(self, studio: Studio) -> None:
        """All others wait for their turn, and get it."""
        fetching, most = 0, 0

        async def counted(_: Visit) -> AsyncIterator[bytes]:
            nonlocal fetching, most
            fetching += 1
            most = max(most, fetching)
            await asyncio.sleep(0.01)
            fetching -= 1
            yield http(GOLD)

        async with studio(counted, fetch_concurrency=2) as (client, server):
            sent = [request(f"{server.url}/{n}/a", f"{server.url}/{n}/b") for n in range(4)]
            answers = await asyncio.gather(*(client.post(URL, json=fields) for fields in sent))
        assert [answer.status_code for answer in answers] == [202] * 4
        assert most == 2

    async def test_secret_of_a_url_stays_nowhere(
        self, studio: Studio, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A presigned link opens its object to any reader."""
        caplog.set_level("INFO")
        async with studio(by_resource(DRAWINGS)) as (client, server):
            urls = f"{server.url}/teal.png?sig=hunter2", f"{server.url}/gold.png"
            accepted = await client.post(URL, json=request(*urls), headers=KEY)
            read = await client.get(accepted.headers["location"])
            refused = await client.post(
                URL, json=request(urls[0], f"{server.url}/absent.png?sig=hunter2")
            )
        assert (accepted.status_code, refused.status_code) == (202, 422)
        hashes = [
            redis_server.client.hgetall(key) for key in redis_server.client.scan_iter(_type="hash")
        ]
        texts = [accepted.text, read.text, refused.text, caplog.text, str(hashes)]
        assert not [text for text in texts if "hunter2" in text]


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _leaves_nothing(self, nothing_left: Callable[[], None]) -> AsyncIterator[None]:
        yield
        nothing_left()

    @pytest.mark.parametrize(
        "url",
        [
            *(
                "https://127.0.0.1/",
                "https://10.0.0.1/",
                "https://169.254.169.254/latest/meta-data/",
                "https://[::1]/",
            ),
            *(
                "https://[::ffff:127.0.0.1]/",
                "https://2130706433/",
                "https://0x7f.1/",
                "https://localhost/",
            ),
            *(
                "http://images.example.com/a.png",
                "https://u:p@images.example.com/",
                "https://images.example.com:22/",
            ),
            *("file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "", "/a.png"),
        ],
    )
    async def test_forbidden_url(self, studio: Studio, url: str) -> None:
        """Told at its own pointer; a host of the operator's own opens no other."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            response = await client.post(URL, json=request(f"{server.url}/gold.png", url))
        assert problems(response, 422, "invalid_request") == {
            "/keyframes/1/image/url": "forbidden_url"
        }

    async def test_everything_at_once(self, studio: Studio) -> None:
        """What is wrong with URLs, with what lies there, and with other fields."""
        odd = {"/page.html": http(b"<html>"), "/large.png": http(noise_png(100, 80))}
        async with studio(by_resource(odd), max_image=20_000) as (client, server):
            first = await client.post(
                URL, json=request("https://10.0.0.1/", f"{server.url}/absent.png", steps=200)
            )
            second = await client.post(
                URL, json=request(f"{server.url}/page.html", f"{server.url}/large.png")
            )
        assert problems(first, 422, "invalid_request") == {
            "/keyframes/0/image/url": "forbidden_url",
            "/keyframes/1/image/url": "unreachable_url",
            "/steps": "out_of_range",
        }
        assert problems(second, 422, "invalid_request") == {
            "/keyframes/0/image": "unreadable_image",
            "/keyframes/1/image": "out_of_range",
        }
        assert "at most 20000 bytes" in second.json()["errors"][1]["detail"]

    async def test_host_that_takes_too_long(self, studio: Studio) -> None:
        """The caller gets an error within the time limit."""

        async def silent(_: Visit) -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        async with studio(silent, fetch_timeout="0.2") as (client, server):
            response = await client.post(
                URL, json=request(f"{server.url}/a.png", f"{server.url}/b.png")
            )
        assert problems(response, 422, "invalid_request") == {
            "/keyframes/0/image/url": "unreachable_url",
            "/keyframes/1/image/url": "unreachable_url",
        }

    async def test_url_beside_data(self, studio: Studio) -> None:
        """One of them; neither is guessed to be meant."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            image = {"url": f"{server.url}/gold.png", "data": data_uri(GOLD)}
            response = await client.post(
                URL, json={"keyframes": [{"image": image}, {"image": image}]}
            )
            assert set(problems(response, 422, "invalid_request").values()) == {"invalid_value"}
            assert server.visits == []


class TestIdempotency:
    async def test_same_urls_are_the_same_request(
        self, studio: Studio, operator: OperatorStore
    ) -> None:
        """Nothing is fetched again, so a link that has expired meanwhile does no harm."""
        answers = dict(DRAWINGS)
        async with studio(by_resource(answers)) as (client, server):
            fields = request(f"{server.url}/teal.png?sig=hunter2", f"{server.url}/gold.png")
            first = await client.post(URL, json=fields, headers=KEY)
            answers.clear()
            again = await client.post(URL, json=fields, headers=KEY)
            assert len(server.visits) == 2
        assert (first.status_code, again.status_code, replayed(again)) == (202, 200, True)
        assert again.json()["id"] == first.json()["id"]
        assert operator.count_ready() == 1

    async def test_another_url_is_another_request(self, studio: Studio) -> None:
        """Even where the same drawing lies there: what was asked differs."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            names = ("gold.png", "gold-again.png")
            answers = [
                await client.post(URL, json=request(*[f"{server.url}/{name}"] * 2), headers=KEY)
                for name in names
            ]
        assert answers[0].status_code == 202
        assert problems(answers[1], 422, "idempotency_key_reused") == {}

    async def test_ten_at_the_same_moment_make_one_job(
        self, studio: Studio, operator: OperatorStore
    ) -> None:
        """However often the images are fetched meanwhile."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            fields = request(f"{server.url}/gold.png", f"{server.url}/gold-again.png")
            answers = await asyncio.gather(
                *(client.post(URL, json=fields, headers=KEY) for _ in range(10))
            )
        assert sorted(answer.status_code for answer in answers) == [200] * 9 + [202]
        assert operator.count_ready() == 1

    async def test_refused_url_does_not_use_up_the_key(self, studio: Studio) -> None:
        """The corrected request may carry the same one."""
        async with studio(by_resource(DRAWINGS)) as (client, server):
            gold = f"{server.url}/gold.png"
            refused = await client.post(URL, json=request(gold, "https://10.0.0.1/"), headers=KEY)
            accepted = await client.post(URL, json=request(gold, gold), headers=KEY)
        assert (refused.status_code, accepted.status_code) == (422, 202)
