"""Limits on the size of a body and of the images in it."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from core.settings import Settings
from testkit.api.calls import URL, data_uri, files, problems
from testkit.api.gateway import gateway
from testkit.jobs import noise_png, png

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


class TestSizes:
    @pytest.fixture
    async def small(self, settings: Settings) -> AsyncIterator[AsyncClient]:
        """A gateway with limits that a test can exceed quickly."""
        async with gateway(
            settings.model_copy(update={"max_image": 20_000, "max_body": 100_000})
        ) as client:
            yield client

    async def test_too_large_image(self, small: AsyncClient) -> None:
        """413 where it is a file of its own, a problem of the field where it stands in the JSON."""
        image = noise_png(100, 80)
        assert 20_000 < len(image) < 30_000
        form = await small.post(URL, files=files(png(), image))
        assert problems(form, 413, "image_too_large") == {}
        keyframes = [{"image": {"data": data_uri(data)}} for data in (png(), image)]
        fields = await small.post(URL, json={"keyframes": keyframes})
        assert problems(fields, 422, "invalid_request") == {"/keyframes/1/image": "out_of_range"}

    async def test_too_many_pixels(self, settings: Settings) -> None:
        """The operator's limit, counted before anything is decoded."""
        async with gateway(settings.model_copy(update={"max_image_pixels": 1000})) as client:
            response = await client.post(URL, files=files(png(40, 40), png(20, 20)))
        assert problems(response, 422, "invalid_request") == {"/keyframes/0/image": "out_of_range"}

    async def test_too_large_body_by_its_announced_length(self, small: AsyncClient) -> None:
        """Before a byte of it is read: the stream behind it would raise."""

        async def never_read() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        headers = {"Content-Type": "application/json", "Content-Length": "100001"}
        response = await small.post(URL, content=never_read(), headers=headers)
        assert problems(response, 413, "body_too_large") == {}

    @pytest.mark.parametrize("content_type", ["application/json", BOUNDARY["Content-Type"]])
    async def test_too_large_body_without_a_length(
        self, small: AsyncClient, content_type: str
    ) -> None:
        """A stream without end is cut where the limit is."""
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b"--x\r\n"
            yield b'Content-Disposition: form-data; name="keyframe"; filename="a.png"\r\n\r\n'
            while True:
                sent += 1
                yield b"x" * 10_000

        response = await small.post(URL, content=endless(), headers={"Content-Type": content_type})
        assert problems(response, 413, "body_too_large") == {}
        assert sent <= 11
