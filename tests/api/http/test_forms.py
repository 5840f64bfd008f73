"""Multipart forms: what a gateway accepts and what it refuses."""

import pytest
from httpx import AsyncClient

from testkit.api.calls import URL, files, problems
from testkit.jobs import png

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


class TestForms:
    @pytest.mark.parametrize(
        "text", ["", "{", "[1,", '{"steps": NaN}', "\x00", '{"a": 1} trailing', "[" * 100_000]
    )
    async def test_broken_json(self, client: AsyncClient, text: str) -> None:
        """As a body, and as the part of a form."""
        broken = await client.post(URL, content=text, headers={"Content-Type": "application/json"})
        assert problems(broken, 400, "malformed_body") == {}
        part = await client.post(URL, files=files(), data={"request": text})
        assert problems(part, 400, "malformed_body") == {}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('{"steps": 5, "steps": 6}', "`steps` occurs twice"),
            ('{"metadata": {"a": "", "a": ""}}', "`a` occurs twice"),
            ('{"keyframes": [' + "{}," * 30_000 + "{}]}", "at most 20000 values"),
            ("[" * 30_000, "at most 20000 values"),
        ],
    )
    async def test_json_that_costs_or_means_more_than_it_shows(
        self, client: AsyncClient, text: str, words: str
    ) -> None:
        """One reading, and no more values than any request needs, in either form."""
        headers = {"Content-Type": "application/json"}
        for refused in (
            await client.post(URL, content=text, headers=headers),
            await client.post(URL, files=files(), data={"request": text}),
        ):
            assert problems(refused, 400, "malformed_body") == {}
            assert words in refused.json()["detail"]

    @pytest.mark.parametrize(
        ("content", "headers"),
        [
            (b"no form at all", BOUNDARY),
            (b"--x\r\nbroken\r\n\r\nx\r\n--x--\r\n", BOUNDARY),
            (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", BOUNDARY),
            (b"--x\r\n", {"Content-Type": "multipart/form-data"}),
            (b"", BOUNDARY),
        ],
    )
    async def test_broken_multipart(
        self, client: AsyncClient, content: bytes, headers: dict[str, str]
    ) -> None:
        """It is refused as a whole, or as a form that lacks its keyframes."""
        response = await client.post(URL, content=content, headers=headers)
        assert response.status_code in (400, 422)
        problems(response, response.status_code, response.json()["code"])

    async def test_multipart_without_its_end(self, client: AsyncClient) -> None:
        """A form that was cut in its last part must not run with the defaults instead."""
        image = (
            b'--x\r\nContent-Disposition: form-data; name="keyframe"; filename="a.png"\r\n\r\n'
            + png()
            + b"\r\n"
        )
        field = b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n{"steps": 5}'
        for cut in (image + image + field, image + image + field + b"\r\n--x", image + image[:-40]):
            response = await client.post(URL, content=cut, headers=BOUNDARY)
            assert problems(response, 400, "malformed_body") == {}

    async def test_too_many_parts(self, client: AsyncClient) -> None:
        """A form with thousands of parts costs as much as a form with 33."""
        response = await client.post(
            URL, files=[("keyframe", (f"{n}.png", b"x")) for n in range(33)]
        )
        assert problems(response, 400, "malformed_body") == {}

    @pytest.mark.parametrize("name", ["request", "a", "keyframe[0]"])
    async def test_two_parts_of_one_name(self, client: AsyncClient, name: str) -> None:
        """Neither counts: whoever looked at the form before us may have taken the other one."""
        part = (name, ("c.png", b"{}" if name == "request" else png()))
        several = [part, part] if name != "keyframe[0]" else [part]
        response = await client.post(URL, files=[*files(), *several])
        assert problems(response, 422, "invalid_request") == {f"/{name}": "unknown_field"}

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", ""]
    )
    async def test_other_content_types(self, client: AsyncClient, content_type: str) -> None:
        """The body is not even read."""
        response = await client.post(URL, content=b"{}", headers={"Content-Type": content_type})
        assert problems(response, 415, "unsupported_media_type") == {}

    @pytest.mark.parametrize(
        "charset", ["punycode", '"IDNA"', "undefined", "unicode_escape", "utf-16", "zlib", ""]
    )
    async def test_other_charsets(self, client: AsyncClient, charset: str) -> None:
        """A caller may choose none of Python's codecs: three megabytes of punycode take it
        hours.
        """
        field = (
            b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
            + b"a" * 500_000
            + b"\r\n--x--\r\n"
        )
        headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
        refused = await client.post(URL, content=field, headers=headers)
        assert problems(refused, 415, "unsupported_media_type") == {}

    async def test_file_that_no_field_refers_to(self, client: AsyncClient) -> None:
        """A misspelt part is told, not dropped."""
        response = await client.post(URL, files=[*files(), ("keyfarme", ("c.png", png()))])
        assert problems(response, 422, "invalid_request") == {"/keyfarme": "unknown_field"}

    async def test_field_outside_of_the_json_part(self, client: AsyncClient) -> None:
        """`-F steps=5` would otherwise be ignored."""
        response = await client.post(URL, files=files(), data={"steps": "5"})
        assert problems(response, 422, "invalid_request") == {"/steps": "unknown_field"}

    async def test_keyframes_twice(self, client: AsyncClient) -> None:
        """As files and in the JSON part: neither is guessed to be meant."""
        response = await client.post(URL, files=files(), data={"request": '{"keyframes": []}'})
        assert problems(response, 422, "invalid_request") == {"/keyframes": "unknown_field"}
