"""Every wrong request: what it is told, and that nothing stays behind."""

import json
from collections.abc import Callable, Iterator

import pytest
from httpx import AsyncClient

from testkit.api.calls import URL, body, data_uri, files, problems
from testkit.jobs import png

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(autouse=True)
def _leaves_nothing(nothing_left: Callable[[], None]) -> Iterator[None]:
    yield
    nothing_left()


class TestFields:
    @pytest.mark.parametrize(
        ("fields", "pointer", "code", "words"),
        [
            ({"steps": 200}, "/steps", "out_of_range", "`steps` must be at most 60; got 200"),
            ({"steps": 0}, "/steps", "out_of_range", "at least 1"),
            ({"steps": "50"}, "/steps", "wrong_type", "must be a whole number"),
            ({"steps": True}, "/steps", "wrong_type", "must be a whole number"),
            ({"steps": []}, "/steps", "wrong_type", "must be a whole number"),
            (
                {"width": 500, "height": 320},
                "/width",
                "out_of_range",
                "`width` must be divisible by 64; got 500",
            ),
            ({"width": 50_000, "height": 320}, "/width", "out_of_range", "; got 50000"),
            ({"width": 512}, "", "invalid_value", "`width` and `height` have to be given together"),
            (
                {"height": 320},
                "",
                "invalid_value",
                "`width` and `height` have to be given together",
            ),
            ({"frame_stride": 4}, "/frame_stride", "out_of_range", "at least 5"),
            ({"eta": 1.5}, "/eta", "out_of_range", "at most 1"),
            ({"guidance_scale": 0.5}, "/guidance_scale", "out_of_range", "at least 1"),
            ({"guidance_rescale": -0.1}, "/guidance_rescale", "out_of_range", "at least 0"),
            ({"seed": 2**32}, "/seed", "out_of_range", "at most 4294967295"),
            ({"seed": -1}, "/seed", "out_of_range", "at least 0"),
            ({"fps": 0}, "/fps", "out_of_range", "whole number from 1 to 60"),
            ({"fps": 23.98}, "/fps", "out_of_range", "`24000/1001`"),
            (
                {"prompt": "x" * 1001},
                "/prompt",
                "out_of_range",
                "at most 1000 characters; got 1001",
            ),
            ({"priority": "urgent"}, "/priority", "invalid_value", "'interactive' or 'batch'"),
            ({"outputs": [{"format": "avi"}]}, "/outputs/0/format", "invalid_value", "'mp4'"),
            ({"outputs": []}, "/outputs", "out_of_range", "at least 1"),
            (
                {"metadata": {str(n): "" for n in range(17)}},
                "/metadata",
                "out_of_range",
                "at most 16",
            ),
            ({"metadata": {"shot": 12}}, "/metadata/shot", "wrong_type", "must be a string"),
            (
                {"metadata": {"shot": "x" * 1001}},
                "/metadata/shot",
                "out_of_range",
                "at most 1000 characters; got 1001",
            ),
            (
                {"metadata": {"n" * 65: ""}},
                "/metadata/" + "n" * 65,
                "out_of_range",
                "at most 64 characters; got 65",
            ),
            ({"expires_in": 60}, "/expires_in", "out_of_range", "at least 3600"),
            ({"expires_in": 10**9}, "/expires_in", "out_of_range", "at most 604800"),
            ({"expires_in": 10**400}, "/expires_in", "out_of_range", "; got 1000000"),
            (
                {"width": None, "height": 320},
                "",
                "invalid_value",
                "given together",
            ),
            ({"frames_between": 63}, "/frames_between", "out_of_range", "at most 62; got 63"),
            ({"spacing": "fast"}, "/spacing", "invalid_value", "'even', 'ease_in', 'ease_out'"),
            ({"spacing": [0.5, 1]}, "/spacing/1", "out_of_range", "less than 1.0; got 1"),
            ({"spacing": [0.5]}, "/spacing", "out_of_range", "each of the 14 drawings"),
            ({"exposure": 5}, "/exposure", "out_of_range", "at most 4, or a list of numbers; got"),
            ({"exposure": True}, "/exposure", "wrong_type", "must be a whole number"),
            ({"exposure": [1, 2]}, "/exposure", "out_of_range", "each of 16 drawings; got 2"),
            (
                {"exposure": [0] + [1] * 15},
                "/exposure/0",
                "out_of_range",
                "`exposure[0]` must be at",
            ),
            ({"background": "red"}, "/background", "invalid_value", "such as #808080; got 'red'"),
            ({"fit": "zoom"}, "/fit", "invalid_value", "'pad', 'crop' or 'stretch'; got 'zoom'"),
            ({"loop": 1}, "/loop", "wrong_type", "must be true or false; got 1"),
            ({"variants": 0}, "/variants", "out_of_range", "at least 1; got 0"),
            ({"interpolate": 3}, "/interpolate", "out_of_range", "must be at most 2; got 3"),
            ({"interpolate": True}, "/interpolate", "wrong_type", "must be a whole number"),
            (
                {"outputs": [{"format": "png", "name": "../{frame}.png"}]},
                "/outputs/0/name",
                "unsafe_name",
                "inside its folder",
            ),
            (
                {"outputs": [{"format": "gif", "bits": 16}]},
                "/outputs/0/bits",
                "unknown_field",
                "`bits` is an option of `png` only; got it with `gif`",
            ),
            ({"steps": 2.5}, "/steps", "wrong_type", "must be a whole number; got 2.5"),
            ({"stepps": 5}, "/stepps", "unknown_field", "did you mean `steps`?"),
            ({"a/b~c": 5}, "/a~1b~0c", "unknown_field", "Unknown field `a/b~c`"),
        ],
    )
    async def test_each_names_its_pointer_and_its_rule(
        self, client: AsyncClient, fields: dict[str, object], pointer: str, code: str, words: str
    ) -> None:
        """What was wanted, and what came."""
        response = await client.post(URL, json=body(**fields))
        assert problems(response, 422, "invalid_request") == {pointer: code}
        assert words in response.json()["errors"][0]["detail"]

    @pytest.mark.parametrize(
        ("fields", "what_came"),
        [
            ({"prompt": ["hunter2"]}, "; got a list"),
            ({"metadata": {"shot": {"key": "hunter2"}}}, "; got an object"),
            ({"keyframes": ["https://host/?sig=hunter2"] * 2}, "; got a string of 25 characters"),
            ({"webhook": "https://host/?token=hunter2"}, "; got a string of 27 characters"),
            (
                {"keyframes": [{"image": {"data": "hunter2"}}] * 2},
                "; got a string of 7 characters",
            ),
        ],
    )
    async def test_what_may_be_a_secret_is_not_repeated(
        self, client: AsyncClient, fields: dict[str, object], what_came: str
    ) -> None:
        """Clients log what they are told; where a number or a word of a list is wanted, the value
        is shown.
        """
        response = await client.post(URL, json=body(**fields))
        assert response.status_code == 422
        assert what_came in response.json()["errors"][0]["detail"]
        assert "hunter2" not in response.text

    async def test_all_problems_at_once(self, client: AsyncClient) -> None:
        """One answer lists every problem of a request."""
        keyframes = [{"image": {"data": data_uri(b"no image")}}, {"image": {}, "when": 1}]
        wrong = {"keyframes": keyframes, "steps": 200, "width": 500, "height": 320, "colour": "red"}
        response = await client.post(URL, json=wrong)
        assert problems(response, 422, "invalid_request") == {
            "/keyframes/0/image": "unreadable_image",
            "/keyframes/1/image": "invalid_value",
            "/keyframes/1/when": "unknown_field",
            "/steps": "out_of_range",
            "/width": "out_of_range",
            "/colour": "unknown_field",
        }
        assert response.json()["detail"] == "6 problems"

    async def test_answer_is_small_however_large_the_nonsense_is(self, client: AsyncClient) -> None:
        """Names, values and how many of them."""
        names = {f"field-{number}": None for number in range(10_000)}
        response = await client.post(
            URL, json=body(**{"f" * 10**6: 1, "steps": ["x" * 10**6], **names})
        )
        assert problems(response, 422, "invalid_request")["/steps"] == "wrong_type"
        assert response.json()["detail"] == "10002 problems, of which these are the first 100"
        assert len(response.content) < 30_000

    @pytest.mark.parametrize("fields", [[], "text", 5, None, {}])
    async def test_body_that_is_no_request(self, client: AsyncClient, fields: object) -> None:
        """Good JSON, but not an object with keyframes."""
        response = await client.post(
            URL, content=json.dumps(fields), headers={"Content-Type": "application/json"}
        )
        found = problems(response, 422, "invalid_request")
        assert found == ({"/keyframes": "required"} if fields == {} else {"": "wrong_type"})

    async def test_shot_is_checked_though_other_fields_are_wrong(self, client: AsyncClient) -> None:
        """As far as the wrong ones leave its timeline certain."""
        keyframes = [
            {"image": {}, "hold": 0, "prompt": 7},
            {"image": {"data": data_uri(png())}, "frame": 0, "spacing": "even"},
        ]
        wrong = {
            "keyframes": keyframes,
            "sketches": [{"frame": 3}],
            "outputs": [{"format": "mp4"}, {"format": "mp4"}, {"format": "png", "bits": 9}],
            "width": 512,
            "variants": 5,
        }
        response = await client.post(URL, json=wrong)
        assert problems(response, 422, "invalid_request") == {
            "/keyframes/0/image": "invalid_value",
            "/keyframes/0/hold": "out_of_range",
            "/keyframes/0/prompt": "wrong_type",
            "/keyframes/1/frame": "not_growing",
            "/keyframes/1/spacing": "invalid_value",
            "/sketches/0/image": "required",
            "/outputs/1/format": "invalid_value",
            "/outputs/2/bits": "invalid_value",
            "/variants": "out_of_range",
        }
        # what depends on an uncertain field is not said
        uncertain = body(frames_between=63, sketches=[{"image": {"part": "a"}, "frame": 100}])
        response = await client.post(URL, json=uncertain)
        assert problems(response, 422, "invalid_request") == {
            "/frames_between": "out_of_range",
            "/sketches/0/image": "unreadable_image",
        }

    @pytest.mark.parametrize("count", [1, 17])
    async def test_two_to_sixteen_keyframes(self, client: AsyncClient, count: int) -> None:
        """In either form."""
        for response in (
            await client.post(URL, files=files(*[png()] * count)),
            await client.post(
                URL, json={"keyframes": [{"image": {"data": data_uri(png())}}] * count}
            ),
        ):
            assert problems(response, 422, "invalid_request") == {"/keyframes": "out_of_range"}

    async def test_no_keyframes(self, client: AsyncClient) -> None:
        none = await client.post(URL, json={"keyframes": []})
        assert problems(none, 422, "invalid_request") == {"/keyframes": "out_of_range"}
        form = await client.post(URL, files=[("request", (None, "{}"))])
        assert problems(form, 422, "invalid_request") == {"/keyframes": "required"}


class TestImages:
    @pytest.mark.parametrize(
        ("image", "code", "words"),
        [
            (b"keyframe", "unreadable_image", "must be a PNG, JPEG, WebP or TIFF image"),
            (b"", "unreadable_image", "must be a PNG, JPEG, WebP or TIFF image"),
            (b"GIF89a", "unsupported_image", "got GIF; export it as PNG"),
            (png(200, 200)[:-200], "unreadable_image", "broken or truncated"),
            (png(50_000, 1), "out_of_range", "at most 16384 pixels wide and high; got 50000x1"),
            (png(1000, 10), "out_of_range", "an aspect ratio of at most 8:1; got 100:1"),
        ],
    )
    async def test_image_that_cannot_be_used(
        self, client: AsyncClient, image: bytes, code: str, words: str
    ) -> None:
        """In either form, at its pointer."""
        keyframes = [{"image": {"data": data_uri(png())}}, {"image": {"data": data_uri(image)}}]
        for response in (
            await client.post(URL, files=files(png(), image)),
            await client.post(URL, json={"keyframes": keyframes}),
        ):
            assert problems(response, 422, "invalid_request") == {"/keyframes/1/image": code}
            assert words in response.json()["errors"][0]["detail"]

    @pytest.mark.parametrize(
        ("image", "code"),
        [
            ({"data": "data:image/png;base64,not base64"}, "unreadable_image"),
            ({"data": "data:text/html;base64,AAAA"}, "invalid_value"),
            ({"data": data_uri(png()), "part": "a"}, "invalid_value"),
            ({"part": "absent"}, "unreadable_image"),
            ({"part": None}, "invalid_value"),
            ({}, "invalid_value"),
            ("file:///etc/passwd", "wrong_type"),
        ],
    )
    async def test_source_that_is_none(self, client: AsyncClient, image: object, code: str) -> None:
        """Exactly one, and one that is there."""
        keyframes = [{"image": {"data": data_uri(png())}}, {"image": image}]
        response = await client.post(URL, json={"keyframes": keyframes})
        (found,) = problems(response, 422, "invalid_request").items()
        assert found[0].startswith("/keyframes/1/image")
        assert found[1] == code
