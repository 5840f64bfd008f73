"""Images inside JSON, as clients write them."""

import base64
import re
import textwrap

import pytest
from httpx import AsyncClient

from api.schemas.data_uris import PATTERN, decode_data_uri
from core.images.errors import UnreadableImage
from testkit.jobs import png

DATA = png()
TEXT = base64.b64encode(DATA).decode()
URIS = {
    "plain": f"data:image/png;base64,{TEXT}",
    "wrapped": "data:image/png;base64,\r\n" + "\r\n".join(textwrap.wrap(TEXT, 76)),
    "final newline": f"data:image/png;base64,{TEXT}\n",
    "octet-stream": f"data:application/octet-stream;base64,{TEXT}",
    "octet-stream of S3": f"data:binary/octet-stream;base64,{TEXT}",
    "no type": f"data:;base64,{TEXT}",
    "charset": f"data:image/png;charset=utf-8;base64,{TEXT}",
    "name": f"data:image/png;name=key%201.png;base64,{TEXT}",
    "quoted name": f'data:image/png;name="a b";base64,{TEXT}',
    "upper case": f"DATA:IMAGE/PNG;BASE64,{TEXT}",
    "another type": f"data:image/x-icon;base64,{TEXT}",
    "spaces": f"data: image/png; base64, {TEXT}",
    "percent-encoded": "data:image/png;base64," + TEXT.replace("+", "%2B").replace("=", "%3D"),
    "no padding": "data:image/png;base64," + TEXT.rstrip("="),
}


@pytest.mark.parametrize("uri", URIS.values(), ids=URIS.keys())
def test_what_clients_write_is_read(uri: str) -> None:
    """The bytes are those of the file."""
    assert re.search(PATTERN, uri)
    assert decode_data_uri(uri) == DATA


@pytest.mark.parametrize(
    "uri",
    [
        TEXT,
        f"image/png;base64,{TEXT}",
        f"data:image/png,{TEXT}",
        f"data:text/html;base64,{TEXT}",
        f"https://example.com/?data:image/png;base64,{TEXT}",
    ],
)
def test_what_is_no_data_uri_of_an_image_does_not_match(uri: str) -> None:
    """It is refused as a wrong value of its field."""
    assert not re.search(PATTERN, uri)


@pytest.mark.parametrize("text", ["not base64", "iVBORw0KGg*", "é", "=", "AAAAA"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    """No letter is skipped silently."""
    with pytest.raises(UnreadableImage, match="must be base64 after"):
        decode_data_uri(f"data:image/png;base64,{text}")


@pytest.mark.parametrize("name", ["wrapped", "final newline", "no type", "upper case", "name"])
async def test_a_job_is_made_of_them(client: AsyncClient, name: str) -> None:
    """The same words and digests as for the plain form."""
    keyframes = [{"image": {"data": uri}} for uri in (URIS["plain"], URIS[name])]
    response = await client.post("/v1/interpolations", json={"keyframes": keyframes})
    assert response.status_code == 202
    first, second = response.json()["request"]["keyframes"]
    assert first["image"] == second["image"]
