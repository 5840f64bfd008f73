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
class Need:
    """Device memory that grows with the canvas: `fixed + per_pixel · width · height`, in bytes."""

    fixed: int
    per_pixel: int

    def bytes(self, pixels: int) -> int:
        """Return what a canvas of this area needs."""
        return self.fixed + self.per_pixel * pixels


@dataclass(frozen=True)
class StagePeak(Need):
    """What a stage holds at most beside weights.

    Attributes:
        parts: whose weights it needs, one after the other.
    """

    parts: tuple[str, ...]


ENCODE = StagePeak(2_000_000, 3_060, ("image_encoder", "text_encoder", "image_projection", "vae"))
DENOISE = StagePeak(36_000_000, 10_430, ("unet",))
DENOISE_IN_TURNS = StagePeak(36_000_000, 6_660, ("unet",))  # with `guidance_in_turns`
DECODE = StagePeak(0, 25_510, ("vae",))
DECODE_SMALL = StagePeak(204_000_000, 20_050, ("vae",))  # in pieces of `SMALL_CHUNK`


def stage_needs(
    offload: str = "none", *, in_turns: bool = False, value_bytes: int = 2, sketches: bool = False
) -> list[Need]:
    """Return what each stage of a job needs, weights included; a canvas needs the most of them.

    Args:
        offload: `none`; `encoders` leave after the first stage; `model` has one part at a time on
            the device, `group` one layer, and both decode in small pieces.
        in_turns: with `guidance_in_turns`.
        value_bytes: 2 for half precision, 4 for float32.
        sketches: whether the sketch encoder is loaded.
    """
    scale = value_bytes // HALF_PRECISION_BYTES
    stages = (
        ENCODE,
        DENOISE_IN_TURNS if in_turns else DENOISE,
        DECODE_SMALL if offload in ("model", "group") else DECODE,
    )
    return [
        Need(
            scale * (_weights_bytes(stage, offload, sketches) + stage.fixed),
            scale * stage.per_pixel,
        )
        for stage in stages
    ]


def _weights_bytes(stage: StagePeak, offload: str, sketches: bool) -> int:
    """The weights that lie on the device during a stage, in half precision."""
    if offload == "group":
        return 0
    if offload == "model":
        return max(WEIGHTS_BYTES[part] for part in stage.parts)
    extra = SKETCH_ENCODER_BYTES if sketches else 0
    gone = ENCODE.parts[:-1] if offload == "encoders" and stage is not ENCODE else ()
    return extra + sum(size for part, size in WEIGHTS_BYTES.items() if part not in gone)
