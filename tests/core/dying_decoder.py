"""The real process that decodes, but an image may say what is done instead: a word, and what belongs to it."""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core import decoder_process
from core.images import ImageFacts, UnreadableImage, inspect_image

HEAVY = {"pydantic", "redis", "boto3", "structlog", "fastapi", "numpy"}


def inspect_or_act(data: bytes, *, max_pixels: int) -> ImageFacts:
    word, _, rest = data.partition(b" ")
    if word not in ACTIONS:
        return inspect_image(data, max_pixels=max_pixels)
    ACTIONS[word](rest.decode())
    return ImageFacts("image/png", 1, 1)


def die_once(marker: str) -> None:
    """The first process dies of it, the second one does not."""
    if not Path(marker).exists():
        os.mkfifo(marker)
        os.abort()


def compute(_: str) -> None:
    while True:
        pass


def answer(text: str) -> None:
    os.write(1, decoder_process.ANSWER.pack(len(text), 0) + text.encode())
    time.sleep(3600)


def tell(_: str) -> None:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    state = {
        "environment": sorted(os.environ),
        "descriptors": [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()],
        "resident_kib": int(status["VmRSS"].split()[0]),
        "heavy": sorted(HEAVY & set(sys.modules)),
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "pid": os.getpid(),
    }
    raise UnreadableImage(json.dumps(state))


def fail(_: str) -> None:
    raise RuntimeError


ACTIONS: dict[bytes, Callable[[str], object]] = {
    b"segfault": lambda _: ctypes.string_at(0),
    b"abort": lambda _: os.abort(),
    b"exit": lambda _: os._exit(3),
    b"raise": fail,
    b"killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    b"memory": lambda _: bytearray(2**40),
    b"compute": compute,
    b"sleep": lambda _: time.sleep(3600),
    b"once": die_once,
    b"answer": answer,
    b"print": lambda words: os.write(2, words.encode()),
    b"write": lambda path: Path(path).write_bytes(b"x"),
    b"tell": tell,
}

if __name__ == "__main__":
    decoder_process.inspect_image = inspect_or_act
    decoder_process.main()
