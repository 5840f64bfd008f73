"""A model by its name, and the command line that converts one.

`python -m model.checkpoint convert model.ckpt FOLDER [--sketch-encoder sketch_encoder.ckpt]` reads
the official files or their half-precision copies in safetensors. Either the whole folder appears or
none: a wrong tensor, a damaged file or a full disk ends in an error that names it.
"""

import argparse
import hashlib
import logging
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPTextModel, CLIPVisionModel

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.clip import clip_tokenizer
from model.conversion import convert, convert_locked, locked
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import PRESETS, TINY, TOONCRAFTER_512, Preset
from model.published_file import CheckpointError
from model.resampler import ImageResampler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet
from model.weights_digest import folder_digest, preset_digest

TINY_SEED = 0
EXPERIMENTAL = "tiny-experimental"  # taught on a CPU; its tokenizer is the package's own
# The UNet, half of all weights, comes first: it moves to the device while the others are built.
PARTS: dict[str, Any] = {
    "unet": ToonCrafterUNet,
    "image_encoder": CLIPVisionModel,
    "text_encoder": CLIPTextModel,
    "vae": AutoencoderKLDualRef,
    "image_projection": ImageResampler,
    "sketch_encoder": SketchEncoder,
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedPipeline:
    """A pipeline on its device, and what it is.

    Attributes:
        name: what was asked for, without folders.
        trained: False where the weights are random and the video shows noise.
        weights: `sha256:…`, the same wherever the weights are the same.
    """

    pipeline: ToonCrafterPipeline
    name: str
    trained: bool
    weights: str


def load_pipeline(
    name: str, *, device: str, dtype: torch.dtype, cache_dir: Path | None = None
) -> LoadedPipeline:
    """Load a model once, for a process that keeps it.

    Args:
        name: `tiny`, `tiny-experimental`, a diffusers folder, or a published file, which is
            converted into `cache_dir` at its first use.
        device: where the pipeline computes, such as `cuda` or `cpu`.
        dtype: of its weights.
        cache_dir: keeps converted files; needed for published files only.

    Raises:
        CheckpointError: nothing is there, the file is not the published model, or there is no place
            to convert it to.
    """
    if name == EXPERIMENTAL:
        folder = Path(__file__).parent / "tiny_experimental"
        pipeline = ToonCrafterPipeline.from_pretrained(
            str(folder), tokenizer=clip_tokenizer(), dtype=dtype
        )
        return LoadedPipeline(pipeline.to(device), name, True, folder_digest(folder))
    if name == "tiny":
        pipeline = ToonCrafterPipeline.from_preset("tiny", seed=TINY_SEED).to(device)
        if pipeline.dtype != dtype:
            pipeline.to(dtype)
        return LoadedPipeline(pipeline, name, trained=False, weights=preset_digest(TINY, TINY_SEED))
    folder = Path(name)
    if folder.is_file():
        if cache_dir is None:
            raise CheckpointError(
                f"{name} is a published file and has to be converted first, but no cache is named"
            )
        folder = converted(folder, cache_dir)
    if not (folder / ToonCrafterPipeline.config_name).is_file():
        raise CheckpointError(
            f"{name} has to be `tiny`, a diffusers folder or a published file, but is none of them"
        )
    parts = _parts_on(device, folder, dtype)
    pipeline = ToonCrafterPipeline.from_pretrained(str(folder), **parts)
    trained = bool(pipeline.config.get("trained", True))
    return LoadedPipeline(pipeline, Path(name).name, trained, folder_digest(folder))


def _parts_on(device: str, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Load each part that has weights; one goes to the device while the next is built.

    The library builds a part without memory and takes the file's pages as its weights, so that
    nothing is initialised, and in the file's own precision nothing is copied before the device.
    """
    moving: dict[str, Future[Any]] = {}
    with ThreadPoolExecutor(1) as mover:
        for name, kind in PARTS.items():
            if (folder / name).is_dir():
                part = kind.from_pretrained(str(folder / name), dtype=dtype).eval()
                moving[name] = mover.submit(_moved, name, part, device)
        return {name: part.result() for name, part in moving.items()}


def _moved(name: str, part: nn.Module, device: str) -> nn.Module:
    begun = time.monotonic()
    part.to(device)
    gigabytes = sum(weight.nbytes for weight in part.parameters()) / 1e9
    seconds = time.monotonic() - begun
    logger.info("%s: %.2f GB on %s in %.2f s", name, gigabytes, device, seconds)
    return part


def converted(source: Path, cache_dir: Path, sizes: Preset = TOONCRAFTER_512) -> Path:
    """The diffusers folder of a published file, converted now if the cache has none of this very
    file.
    """
    state = source.stat()
    identity = hashlib.sha256(
        f"{source.resolve()} {state.st_size} {state.st_mtime_ns}".encode()
    ).hexdigest()
    folder = cache_dir / f"{source.stem}-{identity[:12]}"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not folder.exists():
            convert_locked(source, folder, None, sizes)
    return folder


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m model.checkpoint", description="Convert the published weights."
    )
    command = parser.add_subparsers(required=True).add_parser(
        "convert", help="published files to a diffusers folder"
    )
    command.add_argument("source", type=Path, help="model.ckpt, or the same tensors as safetensors")
    command.add_argument("folder", type=Path, help="the folder to make")
    command.add_argument(
        "--sketch-encoder",
        type=Path,
        help="sketch_encoder.ckpt, or the same tensors as safetensors",
    )
    command.add_argument(
        "--preset",
        choices=PRESETS,
        default="tooncrafter-512",
        help="sizes of the model in the files",
    )
    arguments = parser.parse_args()
    try:
        convert(
            arguments.source, arguments.folder, arguments.sketch_encoder, PRESETS[arguments.preset]
        )
    except CheckpointError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.folder} is ready\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
