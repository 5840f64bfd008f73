"""The real process that decodes, but an image may say what is done instead: a word, and what
belongs to it.
"""

import ctypes
import json
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from core.images import process as decoder_process
from core.images.errors import UnreadableImage
from core.images.formats import inspect_image
from core.images.messages import ImageFacts

is_spoiled = False
HEAVY = {"pydantic", "redis", "boto3", "structlog", "fastapi", "celery"}


def inspect_or_act(data: bytes, *, max_pixels: int) -> ImageFacts:
    if is_spoiled:
        os.abort()
    word, _, rest = data.partition(b" ")
    if word not in ACTIONS:
        return inspect_image(data, max_pixels=max_pixels)
    ACTIONS[word](rest.decode())
    return ImageFacts("image/png", 1, 1)


def spoil(_: str) -> None:
    """Damage the process so that the next image is its end."""
    global is_spoiled
    is_spoiled = True


def compute(_: str) -> None:
    while True:
        pass


def answer(text: str) -> None:
    Connection(os.dup(0)).send_bytes(text.encode())
    time.sleep(3600)


def tell(_: str) -> None:
    state = {
        "environment": sorted(os.environ),
        "descriptors": dict(filter(None, map(kind_of, range(1024)))),
        "heavy": sorted(HEAVY & set(sys.modules)),
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "pid": os.getpid(),
    }
    raise UnreadableImage(json.dumps(state))


def kind_of(descriptor: int) -> tuple[int, str] | None:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return None
    return descriptor, "socket" if stat.S_ISSOCK(mode) else "device" if stat.S_ISCHR(
        mode
    ) else "other"


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
    b"spoil": spoil,
    b"answer": answer,
    b"print": lambda words: os.write(2, words.encode()),
    b"tell": tell,
}

if __name__ == "__main__":
    decoder_process.inspect_image = inspect_or_act
    decoder_process.main()
