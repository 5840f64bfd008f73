"""Published files become a folder with the same weights, or an error and nothing."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from model.checkpoint import converted, load_pipeline
from model.conversion import convert
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import TINY, TOONCRAFTER_512
from model.published_file import CheckpointError
from testkit.model.published_layout import (
    LARGER,
    Tensors,
    expected_state,
    layout,
    meta_parts,
    recipe,
    save_half_safetensors,
    save_sharded,
    save_state_dict,
)

KEYS = Path(__file__).parents[1] / "data" / "checkpoint_keys.json.gz"
MISSING = "model.diffusion_model.out.2.bias"


@pytest.fixture(scope="module")
def folder(published: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted folder with the sketch encoder."""
    files = tmp_path_factory.mktemp("published")
    save_state_dict(files / "model.ckpt", published)
    torch.save(recipe(layout(TINY)[1]), files / "sketch_encoder.ckpt")
    convert(files / "model.ckpt", files / "tiny", files / "sketch_encoder.ckpt", TINY)
    return files / "tiny"


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> ToonCrafterPipeline:
    """What the converted folder holds."""
    return ToonCrafterPipeline.from_pretrained(str(folder))


class WrittenBytes(TorchDispatchMode):
    """Counts what is copied, converted or drawn at random in memory, in bytes."""

    WRITING = frozenset({"copy_", "_to_copy", "clone", "normal_", "uniform_", "randn", "rand"})

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func._schema.name.removeprefix("aten::")
        if name in self.WRITING and output.device.type != "meta":
            self.count += output.nbytes
        return output


def clip(pipeline: ToonCrafterPipeline) -> np.ndarray:
    """Five small frames of one step."""
    keys = [np.full((64, 64, 3), level, np.uint8) for level in (40, 200)]
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(7)
    return pipeline(
        keys,
        "a walk",
        height=64,
        width=64,
        num_frames=6,
        num_inference_steps=1,
        generator=generator,
    ).frames


class TestNames:
    def test_every_published_tensor_has_its_place(self) -> None:
        """The official key list at full size, names and shapes, nothing more and nothing less."""
        groups = json.loads(gzip.decompress(KEYS.read_bytes()))["groups"]
        official = {
            group: {name: tuple(shape) for name, shape in keys["tensors"].items()}
            for group, keys in groups.items()
        }
        sketch = official.pop("sketch_encoder")
        main = {name: shape for group in official.values() for name, shape in group.items()}
        assert layout(TOONCRAFTER_512) == (main, sketch)


class TestConversion:
    @pytest.mark.parametrize("save", [save_state_dict, save_sharded, save_half_safetensors])
    def test_keeps_every_weight(
        self, save: Callable[[Path, Tensors], None], published: Tensors, tmp_path: Path
    ) -> None:
        """Whichever way the file is laid out."""
        save(tmp_path / "published", published)
        convert(tmp_path / "published", tmp_path / "folder", sizes=TINY)
        pipeline = ToonCrafterPipeline.from_pretrained(str(tmp_path / "folder"))
        parts = meta_parts(TINY)
        del parts["sketch_encoder"]
        for name, part in parts.items():
            loaded = getattr(pipeline, name).state_dict()
            wanted = expected_state(name, part, published)
            assert loaded.keys() == wanted.keys()
            assert all(torch.equal(loaded[key], wanted[key]) for key in wanted), name
        assert pipeline.sketch_encoder is None

    def test_gives_the_same_video(self, pipeline: ToonCrafterPipeline, published: Tensors) -> None:
        """A pipeline made in memory from the same weights draws the same frames."""
        in_memory = ToonCrafterPipeline.from_preset("tiny")
        for name, part in meta_parts(TINY).items():
            if name != "sketch_encoder":
                getattr(in_memory, name).load_state_dict(expected_state(name, part, published))
        assert np.array_equal(clip(in_memory), clip(pipeline))

    def test_takes_the_sketch_encoder_along(self, pipeline: ToonCrafterPipeline) -> None:
        part = meta_parts(TINY)["sketch_encoder"]
        wanted = expected_state("sketch_encoder", part, recipe(layout(TINY)[1]))
        loaded = pipeline.sketch_encoder.state_dict()
        assert all(torch.equal(loaded[key], wanted[key]) for key in wanted)

    def test_leaves_only_the_folder(self, folder: Path) -> None:
        assert {path.name for path in folder.parent.iterdir()} == {
            "model.ckpt",
            "sketch_encoder.ckpt",
            "tiny",
        }

    def test_a_killed_conversion_does_not_stand_in_the_way(
        self, published: Tensors, tmp_path: Path
    ) -> None:
        """Its unfinished folder and its lock file are taken over."""
        (tmp_path / ".folder.converting").mkdir()
        (tmp_path / ".folder.converting" / "unet").write_text("half")
        (tmp_path / ".folder.lock").touch()
        save_half_safetensors(tmp_path / "published", published)
        convert(tmp_path / "published", tmp_path / "folder", sizes=TINY)
        assert {path.name for path in tmp_path.iterdir()} == {"published", "folder"}


CONVERT_AND_MEASURE = """
from pathlib import Path
from model.conversion import convert
from model.presets import TINY
from testkit.model.published_layout import LARGER

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))

# what libraries load and keep at their first use is not the point
convert(Path("tiny"), Path("warm-up"), sizes=TINY)
before = memory("VmRSS:")
convert(Path("published"), Path("folder"), sizes=LARGER)
print(memory("VmHWM:") - before)
"""


class TestMemory:
    @pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc"
    )
    @pytest.mark.long
    @pytest.mark.parametrize("save", [save_half_safetensors, save_state_dict])
    def test_conversion_stays_below_the_largest_part(
        self, save: Callable[[Path, Tensors], None], published: Tensors, tmp_path: Path
    ) -> None:
        """1.3 times its bytes in the file: neither the whole file nor a second copy is ever in
        memory.
        """
        shapes = layout(LARGER)[0]
        tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
        save(tmp_path / "published", tensors)
        save(tmp_path / "tiny", published)
        unet = sum(
            tensor.numel()
            for name, tensor in tensors.items()
            if name.startswith("model.diffusion_model.")
        )
        largest = unet * (4 if save is save_state_dict else 2)
        ended = subprocess.run(
            [sys.executable, "-c", CONVERT_AND_MEASURE],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(ended.stdout) < 1.3 * largest


class TestLoading:
    def test_tiny_is_known_to_be_untrained(self) -> None:
        loaded = load_pipeline("tiny", device="cpu", dtype=torch.float32)
        assert (loaded.name, loaded.trained) == ("tiny", False)
        assert loaded.weights.startswith("sha256:")

    def test_a_folder_of_converted_weights_is_trained(self, folder: Path) -> None:
        loaded = load_pipeline(str(folder), device="cpu", dtype=torch.bfloat16)
        assert (loaded.name, loaded.trained, loaded.pipeline.dtype) == (
            "tiny",
            True,
            torch.bfloat16,
        )

    def test_in_its_own_precision_nothing_is_initialised_or_copied(self, folder: Path) -> None:
        """The file's pages are the weights until they move to the device."""
        with WrittenBytes() as written:
            pipeline = load_pipeline(str(folder), device="cpu", dtype=torch.float16).pipeline
        parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        weights = sum(weight.nbytes for part in parts for weight in part.parameters())
        assert written.count < weights / 50

    def test_a_folder_of_random_weights_is_not(self, tmp_path: Path) -> None:
        ToonCrafterPipeline.from_preset("tiny").save_pretrained(str(tmp_path / "saved"))
        assert not load_pipeline(str(tmp_path / "saved"), device="cpu", dtype=torch.float32).trained

    def test_a_published_file_is_converted_once(self, published: Tensors, tmp_path: Path) -> None:
        save_half_safetensors(tmp_path / "published.ckpt", published)
        first = converted(tmp_path / "published.ckpt", tmp_path / "cache", TINY)
        made = first.stat().st_mtime_ns
        assert converted(tmp_path / "published.ckpt", tmp_path / "cache", TINY) == first
        assert first.stat().st_mtime_ns == made

    def test_another_file_of_the_same_name_is_converted_anew(
        self, published: Tensors, tmp_path: Path
    ) -> None:
        save_state_dict(tmp_path / "published.ckpt", published)
        first = converted(tmp_path / "published.ckpt", tmp_path / "cache", TINY)
        save_half_safetensors(tmp_path / "published.ckpt", published)
        assert converted(tmp_path / "published.ckpt", tmp_path / "cache", TINY) != first

    def test_weights_are_named_by_their_content(self, tmp_path: Path) -> None:
        """The digest changes with one bit of one part, kept digest or not."""
        pipeline = ToonCrafterPipeline.from_preset("tiny")
        pipeline.save_pretrained(str(tmp_path / "same"))
        with torch.no_grad():
            pipeline.vae.quant_conv.bias[0] += 1
        pipeline.save_pretrained(str(tmp_path / "other"))
        same, other = (
            load_pipeline(str(tmp_path / name), device="cpu", dtype=torch.float32).weights
            for name in ("same", "other")
        )
        assert same != other
        pipeline.save_pretrained(str(tmp_path / "same"))  # over the folder whose digest was kept
        assert (
            load_pipeline(str(tmp_path / "same"), device="cpu", dtype=torch.float32).weights
            == other
        )

    @pytest.mark.parametrize("name", ["nothing-there", "."])
    def test_a_name_of_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(
            CheckpointError, match="has to be `tiny`, a diffusers folder or a published file"
        ):
            load_pipeline(name, device="cpu", dtype=torch.float32)
