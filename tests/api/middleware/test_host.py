"""A gateway that asks for no key answers this machine, and no web page of elsewhere."""

import pytest
from httpx import AsyncClient

from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway

ELSEWHERE = "https://elsewhere.example"


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "127.8.9.1",
            "[::1]:8000",
            "toon.localhost",
            "localhost.",
            "localhost.:8000",
        ],
    )
    async def test_this_machine(self, client: AsyncClient, host: str) -> None:
        """Every name that leads here and nowhere else."""
        assert (await client.get(URL, headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "elsewhere.example",
            "localhost.elsewhere.example",
            "10.0.0.1",
            "[fe80::1]",
            "me@localhost",
            "localhost/",
            "",
        ],
    )
    async def test_other_name(self, client: AsyncClient, host: str) -> None:
        """Somebody gave it this machine's address, so that a browser takes the gateway for a part
        of that site.
        """
        response = await client.post(URL, files=files(), headers={"Host": host})
        assert problems(response, 421, "untrusted_host") == {}
        assert (await client.get(URL)).json()["data"] == []

    async def test_name_of_the_deployment(self, settings: Settings) -> None:
        """The public address and what the operator lists."""
        named = settings.model_dump(exclude={"public_url", "gateway_names"})
        public = Settings(
            **named, public_url="https://toon.example/api/", gateway_names=["gateway"]
        )
        async with gateway(public) as client:
            for host in ("toon.example", "gateway:8000", "localhost"):
                assert (await client.get(URL, headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    async def test_probe_of_a_cluster(self, client: AsyncClient, path: str) -> None:
        """It comes under the address of the pod."""
        assert (await client.get(path, headers={"Host": "10.1.2.3:8000"})).status_code == 200


class TestOrigin:
    @pytest.mark.parametrize("origin", [ELSEWHERE, "http://localhost:3000", "null", ""])
    async def test_page_of_elsewhere(self, client: AsyncClient, origin: str) -> None:
        """A form or script there can send this; refused before it does anything, and unreadable for
        the page.
        """
        response = await client.post(URL, files=files(), headers={"Origin": origin})
        assert problems(response, 403, "untrusted_origin") == {}
        assert "access-control-allow-origin" not in response.headers
        assert (await client.get(URL)).json()["data"] == []

    @pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
    async def test_own_page(self, client: AsyncClient, origin: str) -> None:
        """TLS may end before the gateway, so the scheme says nothing."""
        assert (
            await client.post(URL, files=files(), headers={"Origin": origin})
        ).status_code == 202

    async def test_picture_in_a_page_of_elsewhere(self, client: AsyncClient) -> None:
        """Such a request bears no origin, but browsers say where it comes from."""
        fetch = {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "no-cors",
            "Sec-Fetch-Dest": "image",
        }
        assert problems(await client.get(URL, headers=fetch), 403, "untrusted_origin") == {}

    async def test_link_in_a_page_of_elsewhere(self, client: AsyncClient) -> None:
        """Somebody followed it, to the documentation say; that page learns nothing of it."""
        fetch = {
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        }
        assert (await client.get("/docs", headers=fetch)).status_code == 200
        framed = fetch | {"Sec-Fetch-Dest": "iframe"}
        assert problems(await client.get("/docs", headers=framed), 403, "untrusted_origin") == {}


class TestCors:
    @pytest.fixture
    def open_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"cors_origins": [ELSEWHERE]})

    async def test_named_page_is_served(self, open_settings: Settings) -> None:
        """And may read what a client needs beside the body."""
        async with gateway(open_settings) as client:
            response = await client.post(URL, files=files(), headers={"Origin": ELSEWHERE})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (
            202,
            ELSEWHERE,
        )
        readable = {
            name.strip().lower()
            for name in response.headers["access-control-expose-headers"].split(",")
        }
        assert {"etag", "location", "retry-after", "link", "x-request-id"} <= readable
        assert "origin" in response.headers["vary"].lower()

    async def test_named_page_may_read_why_it_failed(self, open_settings: Settings) -> None:
        """An error without the header is none that a script can show."""
        async with gateway(open_settings) as client:
            response = await client.post(URL, content=b"{", headers={"Origin": ELSEWHERE})
        assert problems(response, 415, "unsupported_media_type") == {}
        assert response.headers["access-control-allow-origin"] == ELSEWHERE

    async def test_browser_asks_first(self, open_settings: Settings) -> None:
        """Any header of a request, and the methods that there are."""
        asked = {
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "idempotency-key, prefer",
        }
        async with gateway(open_settings) as client:
            response = await client.options(URL, headers={"Origin": ELSEWHERE, **asked})
            refused = await client.options(
                URL, headers={"Origin": "https://other.example", **asked}
            )
        assert response.status_code == 200
        assert "DELETE" in response.headers["access-control-allow-methods"]
        assert "idempotency-key" in response.headers["access-control-allow-headers"]
        assert problems(refused, 403, "untrusted_origin") == {}


class TestWhatEveryAnswerSays:
    @pytest.mark.parametrize("path", [URL, "/healthz", "/docs", "/openapi.json", "/nowhere"])
    async def test_to_browsers(self, client: AsyncClient, path: str) -> None:
        """No guessing of types, no frames, no addresses in referrers, no use by pages of
        elsewhere.
        """
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"

    async def test_to_caches(self, client: AsyncClient) -> None:
        """A job's state changes at once and belongs to one tenant."""
        job = await client.post(URL, files=files())
        assert {
            job.headers["cache-control"],
            (await client.get(job.headers["location"])).headers["cache-control"],
        } == {"no-store"}
