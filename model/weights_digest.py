"""Which weights a model has, as one short string."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from model.presets import Preset

DIGEST_FILE = "weights.sha256.json"


def folder_digest(folder: Path) -> str:
    """`sha256:…` over all safetensors files of a folder, kept there while their sizes and times
    stay.
    """
    paths = sorted(folder.rglob("*.safetensors"))
    states = {
        str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in paths
    }
    kept = folder / DIGEST_FILE
    try:
        record = json.loads(kept.read_text())
        if record["files"] == states:
            return str(record["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no digest yet, or not one of ours; it is computed below
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(
                f"{path.relative_to(folder)} "
                f"{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    digest = f"sha256:{total.hexdigest()}"
    if os.access(folder, os.W_OK):
        kept.write_text(json.dumps({"weights": digest, "files": states}))
    return digest


def preset_digest(preset: Preset, seed: int) -> str:
    """`sha256:…` over what random weights follow from."""
    recipe = json.dumps({"preset": asdict(preset), "seed": seed}, sort_keys=True)
    return f"sha256:{hashlib.sha256(recipe.encode()).hexdigest()}"
