"""Published files to a diffusers folder: the whole folder or none."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from model.assembly import build_modules
from model.clip import clip_tokenizer
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import TOONCRAFTER_512, Preset
from model.published_file import CheckpointError, check_names_and_shapes, opened
from model.published_names import (
    Names,
    Shape,
    autoencoder,
    from_published,
    image_encoder,
    never_read,
    published_shapes,
    text_encoder,
)
from model.published_unet_names import image_projection, sketch_encoder, unet
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.weights_digest import folder_digest

NAMES: dict[str, Names] = {
    "unet": unet,
    "vae": autoencoder,
    "text_encoder": text_encoder,
    "image_encoder": image_encoder,
    "image_projection": image_projection,
    "sketch_encoder": sketch_encoder,
}
SKETCH_ENCODER = "sketch_encoder"  # the one part that is published in its own file
STORED = torch.float16  # the published half-precision copies show that nothing is lost


def convert(
    source: Path, folder: Path, sketch: Path | None = None, sizes: Preset = TOONCRAFTER_512
) -> None:
    """Write a diffusers folder in float16 from published files.

    Args:
        source: model.ckpt, or the same tensors in a safetensors file.
        folder: does not exist yet.
        sketch: sketch_encoder.ckpt, or the same tensors in a safetensors file.
        sizes: of the model in the files.

    Raises:
        CheckpointError: a file is damaged or not this model, the folder exists, or the disk is
            full. Nothing is left.
    """
    folder = folder.absolute()
    _require_absent(folder)
    with locked(folder):
        _require_absent(folder)  # who held the lock before may have made it
        convert_locked(source, folder, sketch, sizes)


def convert_locked(source: Path, folder: Path, sketch: Path | None, sizes: Preset) -> None:
    """Convert; the caller holds the folder's lock and has checked that the folder is missing."""
    with torch.device("meta"):
        parts: dict[str, Any] = dict(build_modules(sizes))
    if sketch is None:
        del parts[SKETCH_ENCODER]
    _check(parts, source, sketch)

    unfinished = _unfinished(folder)
    # of a conversion that was killed: the lock says it no longer runs
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir()
        _require_space(unfinished, parts)
        for name, part in parts.items():
            with opened(sketch if sketch and name == SKETCH_ENCODER else source) as tensors:
                _write_part(
                    unfinished / name,
                    part,
                    from_published(part, NAMES[name](part), _reader(tensors)),
                )
        tokenizer, scheduler = clip_tokenizer(), DDIMRescaledScheduler()
        tokenizer.save_pretrained(str(unfinished / "tokenizer"))
        scheduler.save_pretrained(str(unfinished / "scheduler"))
        ToonCrafterPipeline(**parts, tokenizer=tokenizer, scheduler=scheduler).save_config(
            str(unfinished)
        )
        # kept in the folder, so that no start has to read gigabytes for it
        folder_digest(unfinished)
        unfinished.rename(folder)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _require_absent(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise CheckpointError(f"{folder} exists already; the conversion wants to make it")


def _check(parts: Mapping[str, Any], source: Path, sketch: Path | None) -> None:
    wanted = {name: published_shapes(part, NAMES[name](part)) for name, part in parts.items()}
    sketch_wanted = wanted.pop(SKETCH_ENCODER, {})
    main: dict[str, Shape] = {
        name: shape for shapes in wanted.values() for name, shape in shapes.items()
    }
    main |= never_read(parts["text_encoder"], parts["image_encoder"], parts["vae"])
    with opened(source) as tensors:
        check_names_and_shapes(source, tensors, main)
    if sketch is not None:
        with opened(sketch) as tensors:
            check_names_and_shapes(sketch, tensors, sketch_wanted)


def _reader(tensors: Mapping[str, Tensor]) -> Any:
    return lambda name, shape: tensors[name]


def _require_space(folder: Path, parts: Mapping[str, Any]) -> None:
    needed = sum(
        tensor.numel() * STORED.itemsize
        for part in parts.values()
        for tensor in part.state_dict().values()
    )
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"{folder.parent} has {free / 2**30:.1f} GiB free; the folder needs "
            f"{needed / 2**30:.1f}"
        )


def _write_part(folder: Path, part: Any, state: Mapping[str, Tensor]) -> None:
    """A part's config and weights, as its `from_pretrained` finds them."""
    folder.mkdir()
    if hasattr(part, "save_config"):  # a diffusers model; else a transformers one
        part.save_config(str(folder))
        _write_safetensors(folder / "diffusion_pytorch_model.safetensors", state)
    else:
        # unless the loader is told another: the library's default is the files' type
        part.config.dtype = "float32"
        part.config.save_pretrained(str(folder))
        _write_safetensors(folder / "model.safetensors", state)


def _write_safetensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensor by tensor. The library's own writer wants all of them in memory, in their final
    type.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in state.items():
        end = offset + tensor.numel() * STORED.itemsize
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # the format aligns the first tensor
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, tensor in state.items():
            stored = tensor.to(STORED).contiguous()
            if not stored.isfinite().all():
                raise CheckpointError(
                    f"{name} of {path.parent.name} has values that are not finite in float16"
                )
            file.write(stored.numpy().data)


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.converting")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time make `folder`; the kernel frees the lock however the process
    ends.
    """
    path = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes no open file
            path.unlink()  # a waiting process notices and makes its own
        lock.release()
