"""What a file has to be before any of it is converted."""

from pathlib import Path

import pytest
import torch

from model.conversion import convert
from model.published_file import CheckpointError, check_names_and_shapes, opened


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.float64])
def test_numbers_that_would_need_a_scale_are_refused_by_name(dtype: torch.dtype) -> None:
    """A quantised copy has the published names and shapes, and would convert to noise."""
    tensors = {"out.weight": torch.zeros(2, 3).to(dtype)}
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(
        CheckpointError, match=f"out.weight has to be float32, float16 or bfloat16 but is {kind}"
    ):
        check_names_and_shapes(Path("copy.safetensors"), tensors, {"out.weight": (2, 3)})


def test_pruned_copy_is_called_what_it_is() -> None:
    """It lacks all tensors of the encoders; the message says so instead of listing them."""
    wanted = {"model.weight": (2,), "cond_stage_model.a": (2,), "embedder.b": (2,)}
    with pytest.raises(CheckpointError, match="pruned copy without the text and image encoders"):
        check_names_and_shapes(Path("pruned.safetensors"), {"model.weight": torch.zeros(2)}, wanted)


@pytest.mark.parametrize("folder", [".", "/", ".."])
def test_folder_that_has_no_name_is_refused_as_one_that_exists(folder: str) -> None:
    with pytest.raises(CheckpointError, match="exists already"):
        convert(Path("model.ckpt"), Path(folder))


def test_keys_that_are_no_names_are_no_state_dict(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(2)}, tmp_path / "model.ckpt")
    with (
        pytest.raises(CheckpointError, match="holds no state dict"),
        opened(tmp_path / "model.ckpt"),
    ):
        pass
