"""Reading the published checkpoint files: never code from a pickle, never a whole file in memory.

Both formats are mapped: a tensor's bytes are read when it is used. Mapped pages count as this
process's memory until the mapping ends, so code that reads gigabytes opens the file once per
part.
"""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.published_names import Shape

SHARDED_PREFIX = 16  # characters that a sharded training run put before each key
# quantised copies need scales that this does not know
READ_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
CLIP_PREFIXES = ("cond_stage_model.", "embedder.")  # what pruned copies leave out
NAMES_SHOWN = 8  # of each kind of mistake; a file of another model has thousands


class CheckpointError(ValueError):
    """A checkpoint is no file that we read, or not this model's."""


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Tensor]]:
    """The tensors of a published file by name, valid until the block ends.

    Raises:
        CheckpointError: the file does not exist, is damaged, holds code, or holds something other
            than tensors.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if beginning.startswith(b"PK"):
        yield _pickled(path)
    elif beginning.endswith(b"{"):
        try:
            with safe_open(path, framework="pt") as file:
                yield {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged or cut short: {error}") from error
    else:
        raise CheckpointError(f"{path} is neither a torch checkpoint nor a safetensors file")


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, perhaps code, and is not read"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged or cut short: {error}") from error
    tensors = _state_dict(content)
    if not tensors or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in tensors.items()
    ):
        raise CheckpointError(
            f"{path} holds no state dict, be it under `state_dict`, under `module` or by itself"
        )
    return tensors


def _state_dict(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        return {}
    if isinstance(content.get("state_dict"), dict):
        return dict(content["state_dict"])
    if isinstance(content.get("module"), dict):
        return {str(name)[SHARDED_PREFIX:]: value for name, value in content["module"].items()}
    return content


def check_names_and_shapes(
    path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Shape]
) -> None:
    """Compare a file with the published layout.

    Raises:
        CheckpointError: a tensor is missing, surplus, of another shape or no plain floating-point
            number; the message names it.
    """
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    if problems and all(problem.startswith(CLIP_PREFIXES) for problem in problems):
        raise CheckpointError(
            f"{path} is a pruned copy without the text and image encoders; the full file is needed"
        )
    problems += [f"{name} is not part of this model" for name in tensors if name not in wanted]
    problems += [
        f"{name} has to be {list(shape)} but is {list(tensors[name].shape)}"
        for name, shape in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    problems += [
        f"{name} has to be float32, float16 or bfloat16 but is "
        f"{str(tensor.dtype).removeprefix('torch.')}"
        for name, tensor in tensors.items()
        if name in wanted and tensor.dtype not in READ_DTYPES
    ]
    if problems:
        shown = "; ".join(problems[:NAMES_SHOWN])
        more = f"; and {len(problems) - NAMES_SHOWN} more" if len(problems) > NAMES_SHOWN else ""
        raise CheckpointError(f"{path} is not laid out as the published checkpoint: {shown}{more}")
