"""When a worker's device drew: a line for each drawing, for measurements of how long it idles."""

import os
import time
from pathlib import Path

# A folder, in which each process writes a file of its own; unset for no log.
FOLDER = "CHAOS_DEVICE_LOG"


def log_drawing(begun: float) -> None:
    """Note a drawing that ends now, if that is wanted; times are `time.monotonic`'s."""
    if folder := os.environ.get(FOLDER):
        with Path(folder, str(os.getpid())).open("a") as log:
            log.write(f"{begun} {time.monotonic()}\n")
