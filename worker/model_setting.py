"""Check the setting that names a worker's model; imports little, since each start waits for it."""

from pathlib import Path

from core.environment import read_settings
from core.records.offer import NAMES


def refuse_to_start_without_model() -> None:
    """End this process if no model is named, so that no caller gets random weights by accident.

    Raises:
        SystemExit: `TOONCRAFTER_MODEL` is unset or names nothing that exists.
    """
    model = read_settings().model
    if model is None:
        raise SystemExit(
            "TOONCRAFTER_MODEL is not set: it has to name a diffusers folder or a published "
            "checkpoint file; `preview` is the preview engine, which is not ToonCrafter, and "
            "`tiny` an untrained model for tests"
        )
    if model not in NAMES and not Path(model).exists():
        raise SystemExit(f"TOONCRAFTER_MODEL names {model}, which does not exist")
