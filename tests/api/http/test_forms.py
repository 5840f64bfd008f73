"""Multipart forms: what a gateway accepts and what it refuses."""

import gzip
import hashlib
import json

import pytest
from httpx import AsyncClient

from testkit.api.calls import URL, data_uri, files, problems
from testkit.jobs import png

JSON = "application/json"
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
        """A form with thousands of parts costs as much as one with one part more than all images
        and the request.
        """
        response = await client.post(
            URL, files=[("keyframe", (f"{n}.png", b"x")) for n in range(16 + 64 + 2)]
        )
        assert problems(response, 400, "malformed_body") == {}

    @pytest.mark.parametrize("name", ["keyframe[]", "keyframes", "keyframes[]"])
    async def test_other_spellings_of_keyframe(self, client: AsyncClient, name: str) -> None:
        """Many forms call a list so; the answer says how it is called here."""
        parts = [(name, (f"{n}.png", png(), "image/png")) for n in range(2)]
        response = await client.post(URL, files=parts)
        assert problems(response, 422, "invalid_request") == {f"/{name}": "unknown_field"}
        assert "must be called `keyframe`" in response.json()["errors"][0]["detail"]

    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd"])
    async def test_compressed_body(self, client: AsyncClient, encoding: str) -> None:
        """Refused by the name of its encoding, not for bytes that are no text."""
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        upload = (await client.post("/v1/uploads")).json()
        for refused in (
            await client.post(URL, content=gzip.compress(b"{}"), headers=headers),
            await client.post(f"{URL}/estimate", content=gzip.compress(b"{}"), headers=headers),
            await client.post("/v1/uploads", content=gzip.compress(b"{}"), headers=headers),
            await client.post("/v1/webhooks/test", content=gzip.compress(b"{}"), headers=headers),
            await client.post(URL, files=files(), headers={"Content-Encoding": encoding}),
            await client.put(upload["upload_url"], content=gzip.compress(png()), headers=headers),
        ):
            assert problems(refused, 415, "unsupported_media_type") == {}
            assert f"Content-Encoding: {encoding}" in refused.json()["detail"]

    async def test_body_without_compression_may_say_so(self, client: AsyncClient) -> None:
        headers = {"Content-Encoding": "identity"}
        assert (await client.post(URL, files=files(), headers=headers)).status_code == 202

    @pytest.mark.parametrize("digits", [5_000, 100_000])
    async def test_number_of_thousands_of_digits(self, client: AsyncClient, digits: int) -> None:
        """Python's advice to change an interpreter setting is none for callers."""
        text = '{"steps": ' + "1" * digits + "}"
        response = await client.post(URL, content=text, headers={"Content-Type": JSON})
        assert problems(response, 400, "malformed_body") == {}
        assert response.json()["detail"] == (
            f"the JSON cannot be read: a number must have at most 4300 digits; got {digits}"
        )

    @pytest.mark.parametrize("body", [b"\x8b\x08\x00", b"\xff\xfe\xfd"])
    async def test_bytes_that_are_no_text(self, client: AsyncClient, body: bytes) -> None:
        """The answer speaks of UTF-8, not of a codec that failed at a position."""
        response = await client.post(URL, content=body, headers={"Content-Type": JSON})
        assert problems(response, 400, "malformed_body") == {}
        assert "codec" not in response.json()["detail"]

    @pytest.mark.parametrize("name", ["request", "a", "keyframe[0]"])
    async def test_two_parts_of_one_name(self, client: AsyncClient, name: str) -> None:
        """Refused: a proxy that inspected the form may have read the other part."""
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
        """A file that no entry takes is not dropped, in favour of whichever was meant."""
        image = {"image": {"data": data_uri(png())}}
        response = await client.post(
            URL, files=files(), data={"request": json.dumps({"keyframes": [image, image]})}
        )
        assert problems(response, 422, "invalid_request") == {
            "/keyframe[0]": "unknown_field",
            "/keyframe[1]": "unknown_field",
        }

    async def test_entries_without_image_take_the_files_in_order(self, client: AsyncClient) -> None:
        """So that a form can say more of a keyframe than its file does."""
        own = {"image": {"data": data_uri(png(color="teal"))}}
        response = await client.post(
            URL,
            files=files(png(color="gold")),
            data={"request": json.dumps({"keyframes": [own, {"image": None}]})},
        )
        assert response.status_code == 202
        digests = [one["image"]["sha256"] for one in response.json()["request"]["keyframes"]]
        assert digests == [
            hashlib.sha256(png(color=color)).hexdigest() for color in ("teal", "gold")
        ]

    async def test_fewer_files_than_entries_without_image(self, client: AsyncClient) -> None:
        """Each entry that got none is named."""
        response = await client.post(
            URL, files=files(png()), data={"request": json.dumps({"keyframes": [{}, {}]})}
        )
        assert problems(response, 422, "invalid_request") == {"/keyframes/1/image": "required"}


async def test_sketch_file_left_empty_is_none(client: AsyncClient) -> None:
    """As pages send a place for a file that was not filled."""
    empty = ("sketch", ("", b"", "application/octet-stream"))
    answer = await client.post(f"{URL}/estimate", files=[*files(), empty])
    assert answer.status_code == 200, answer.text
