"""Pictures of a running job: small, seldom, and never a reason to fail."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from redis.exceptions import ConnectionError as RedisAway

from core.records.preview import Preview
from core.records.request import Keyframe, StoredImage
from testkit.jobs import generation_request
from worker.frames.framing import Pixels
from worker.jobs import previews
from worker.jobs.previews import LONG_SIDE, MAX_BYTES, Previews


class Channel:
    """Takes what is published."""

    def __init__(self) -> None:
        self.sent: list[Preview] = []
        self.is_away = False

    def show(self, job_id: str, preview: Preview) -> None:
        if self.is_away:
            raise RedisAway("connection refused")
        self.sent.append(preview)


@pytest.fixture
def channel() -> Channel:
    return Channel()


def sender_to(
    channel: Channel, canvas: tuple[int, int] = (512, 320), key: tuple[int, int] = (512, 320)
) -> Previews:
    """Of a job whose first key and canvas are of these widths and heights."""
    image = StoredImage(sha256="0", content_type="image/png", width=key[0], height=key[1], bytes=1)
    request = generation_request(
        keyframes=[Keyframe(image=image)] * 2, width=canvas[0], height=canvas[1]
    )
    return Previews(channel, SimpleNamespace(id="itp_1", request=request))


def offer(sender: Previews, pixels: Pixels, step: int = 1) -> None:
    sender.offer(lambda: pixels, variant=1, segment=2, step=step)


def opened(preview: Preview) -> tuple[Image.Image, int]:
    kind, _, text = preview.image.partition(",")
    assert kind == "data:image/jpeg;base64"
    data = base64.b64decode(text)
    return Image.open(io.BytesIO(data)), len(data)


class TestPreviews:
    @pytest.mark.parametrize("shape", [(40, 64, 3), (1024, 576, 3), (320, 512, 4)])
    def test_picture_is_small(self, channel: Channel, shape: tuple[int, ...]) -> None:
        """Noise is the worst that a JPEG can be given; small ones are enlarged."""
        canvas = (576, 1024) if shape[0] > shape[1] else (512, 320)
        noise = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        offer(sender_to(channel, canvas, key=canvas), noise)
        (preview,) = channel.sent
        picture, size = opened(preview)
        assert size <= MAX_BYTES
        assert picture.size == (preview.width, preview.height)
        assert max(picture.size) == LONG_SIDE
        assert preview.width / preview.height == pytest.approx(shape[1] / shape[0], rel=0.01)
        assert (preview.segment, preview.step) == (2, 1)

    def test_padding_of_the_canvas_is_cut_away(self, channel: Channel) -> None:
        """A square key in the middle of a wide canvas: the result is square, and so is this."""
        canvas = np.zeros((320, 512, 3), np.uint8)
        canvas[:, 96:416] = 255
        offer(sender_to(channel, key=(1000, 1000)), canvas)
        picture, _ = opened(channel.sent[0])
        assert picture.size == (LONG_SIDE, LONG_SIDE)
        assert np.asarray(picture).min() > 200

    def test_what_is_transparent_is_paper(self, channel: Channel) -> None:
        offer(sender_to(channel), np.zeros((32, 32, 4), np.uint8))
        picture, _ = opened(channel.sent[0])
        assert picture.getpixel((128, 128)) == (255, 255, 255)

    def test_at_most_two_a_second(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes between is not even made."""
        now = 100.0
        monkeypatch.setattr(previews.time, "monotonic", lambda: now)
        sender = sender_to(channel)
        for step in range(40):
            offer(sender, np.zeros((32, 32, 3), np.uint8), step)
            now += 0.0625  # a step; exact in binary
        assert [preview.step for preview in channel.sent] == [0, 8, 16, 24, 32]

    def test_redis_that_is_away_harms_no_job(self, channel: Channel) -> None:
        channel.is_away = True
        offer(sender_to(channel), np.zeros((32, 32, 3), np.uint8))
        assert channel.sent == []
