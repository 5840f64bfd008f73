"""What makes a placed pipeline faster without another result: compiled parts, joined products."""

from model.acceleration.compiling import CompiledOrEager, accelerate, is_compiled

__all__ = ["CompiledOrEager", "accelerate", "is_compiled"]
