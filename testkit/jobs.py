"""What tests submit: drawings, and requests as the gateway understood them."""

import io
from datetime import timedelta

import numpy as np
from PIL import Image

from core.records.job import Output
from core.records.request import GenerationRequest, Keyframe, OutputFormat, Priority, StoredImage
from core.records.tenant import TenantLimits
from core.records.worker import ModelInfo

TENANT_LIMITS = TenantLimits(
    submissions_per_minute=600,
    reads_per_minute=6_000,
    max_queued=1_000,
    max_upload_bytes=2**30,
    max_retention=timedelta(days=7),
)
MODEL = ModelInfo(name="stand-in", trained=False, weights="sha256:0", dtype="float32", device="cpu")


def drawing(width: int = 64, height: int = 40, color: str = "teal") -> Image.Image:
    """A flat ground with a diagonal line, so that turned and mirrored copies differ."""
    image = Image.new("RGB", (width, height), color)
    for x in range(min(width, height)):
        image.putpixel((x, x), (0, 0, 0))
    return image


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png(width: int = 64, height: int = 40, color: str = "teal") -> bytes:
    return encoded(drawing(width, height, color))


def noise_png(width: int, height: int) -> bytes:
    """An image whose size in bytes follows from its size in pixels: noise does not compress."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels))


def generation_request(
    priority: Priority = Priority.INTERACTIVE, **changes: object
) -> GenerationRequest:
    image = StoredImage(sha256="0" * 64, content_type="image/png", width=64, height=40, bytes=100)
    defaults: dict[str, object] = {
        "keyframes": [Keyframe(image=image), Keyframe(image=image)],
        "prompt": "",
        "negative_prompt": "",
        "frame_stride": 10,
        "steps": 4,
        "eta": 1.0,
        "guidance_scale": 7.5,
        "guidance_rescale": 0.7,
        "seed": 7,
        "width": 128,
        "height": 128,
        "fps": 8,
        "outputs": [OutputFormat()],
        "priority": priority,
    }
    return GenerationRequest.model_validate(defaults | changes)


def stored_output(data: bytes = b"video") -> Output:
    return Output(
        name="video.mp4",
        format="mp4",
        content_type="video/mp4",
        bytes=len(data),
        sha256="1" * 64,
        width=128,
        height=128,
        frames=16,
        fps=8,
    )
