"""How much device memory a canvas needs, by counts of weights and live tensors.

`benchmarks/counts/memory.py` counts them on tensors without memory, at the published sizes in half
precision; what a stage holds grows linearly with the canvas's area. Libraries' workspaces and the
allocator's gaps come on top: leave a gigabyte.
"""

from dataclasses import dataclass

HALF_PRECISION_BYTES = 2  # of one value, for which the numbers below hold

WEIGHTS_BYTES = {
    "vae": 199_883_000,
    "text_encoder": 680_716_000,
    "image_encoder": 1_261_500_000,
    "image_projection": 97_575_000,
    "unet": 2_877_710_000,
}
SKETCH_ENCODER_BYTES = 728_456_000


@dataclass(frozen=True)
class StagePeak:
    """What a stage holds at most beside weights: `fixed + per_pixel · width · height`, in bytes.

    Attributes:
        parts: whose weights it needs, one after the other.
    """

    parts: tuple[str, ...]
    fixed: int
    per_pixel: int

    def bytes(self, pixels: int) -> int:
        """Return the peak for a canvas of this area."""
        return self.fixed + self.per_pixel * pixels


ENCODE = StagePeak(("image_encoder", "text_encoder", "image_projection", "vae"), 2_000_000, 3_060)
DENOISE = StagePeak(("unet",), 36_000_000, 10_430)
DENOISE_IN_TURNS = StagePeak(("unet",), 36_000_000, 6_660)  # with `guidance_in_turns`
DECODE = StagePeak(("vae",), 204_000_000, 20_050)


@dataclass(frozen=True)
class MemoryNeeds:
    """Device memory of one job.

    Attributes:
        resident_bytes: with all weights on the device.
        offloaded_bytes: with one part at a time on the device.
    """

    resident_bytes: int
    offloaded_bytes: int


def memory_needs(
    width: int, height: int, *, value_bytes: int = HALF_PRECISION_BYTES, sketches: bool = False
) -> MemoryNeeds:
    """Return what a job on a canvas needs.

    Args:
        width: of the canvas in pixels.
        height: likewise.
        value_bytes: 2 for half precision, 4 for float32.
        sketches: whether the sketch encoder is loaded.
    """
    pixels = width * height
    extra = SKETCH_ENCODER_BYTES if sketches else 0
    weights = sum(WEIGHTS_BYTES.values()) + extra
    resident = weights + max(stage.bytes(pixels) for stage in (ENCODE, DENOISE, DECODE))
    offloaded = max(
        max(WEIGHTS_BYTES[part] for part in stage.parts) + stage.bytes(pixels)
        for stage in (ENCODE, DENOISE, DECODE)
    )
    scale = value_bytes / HALF_PRECISION_BYTES
    return MemoryNeeds(round(resident * scale), round(offloaded * scale))


def largest_canvas_pixels(device_bytes: int, *, offload: bool, sketches: bool = False) -> int:
    """Return the area that fits a device in half precision; 0 if none does.

    Args:
        device_bytes: that the job may use.
        offload: with one part at a time on the device.
        sketches: whether the sketch encoder is loaded.
    """

    def needed(pixels: int) -> int:
        needs = memory_needs(pixels, 1, sketches=sketches)
        return needs.offloaded_bytes if offload else needs.resident_bytes

    # The need grows with the area: halve the interval until it is one pixel wide.
    fits, too_many = 0, device_bytes
    if needed(0) > device_bytes:
        return 0
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if needed(middle) <= device_bytes:
            fits = middle
        else:
            too_many = middle
    return fits
