"""What makes a placed pipeline faster without another result: compiled parts, joined products."""

from model.acceleration.compiling import (
    CompiledOrEager,
    Part,
    accelerate,
    decoder_blocks,
    is_compiled,
)

__all__ = ["CompiledOrEager", "Part", "accelerate", "decoder_blocks", "is_compiled"]
