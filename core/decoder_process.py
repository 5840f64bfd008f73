"""The process that decodes images of strangers, and may die of them; `core.decoder` starts it and talks to it.

Orders come by descriptor 0: `ORDER`, which says what is wanted and how many bytes follow, then the bytes. Answers go to
descriptor 1: `ANSWER`, which says how long the JSON object and the pixels are that follow. The first one, an empty
object, says that the process is ready. It imports as little as it can, holds no secret, and ends when its orders do.
"""

import json
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from math import ceil
from pathlib import Path
from time import process_time
from typing import BinaryIO

from core.images import UnreadableImage, inspect_image, read_drawing

ORDER = struct.Struct(">cQ")
ANSWER = struct.Struct(">IQ")
INSPECT, DRAW = b"i", b"d"
FILES = 16  # descriptors: three, and what a late import opens


def main() -> None:
    """Arguments: pixels that an image may have, bytes of memory, seconds of CPU time for one image."""
    max_pixels, memory, cpu_seconds = map(int, sys.argv[1:])
    _confine(memory)
    with open(0, "rb") as orders, open(1, "wb") as answers:
        _answer(answers, b"{}")
        while order := orders.read(ORDER.size):
            wanted, length = ORDER.unpack(order)
            _allow_cpu_time(cpu_seconds)
            _answer(answers, *_carry_out(wanted, orders, length, max_pixels))


def _carry_out(wanted: bytes, orders: BinaryIO, length: int, max_pixels: int) -> tuple[bytes, bytes]:
    """The answer to an order: a JSON object, and pixels where they were wanted."""
    try:
        data = orders.read(length)
        if wanted == INSPECT:
            return json.dumps(vars(inspect_image(data, max_pixels=max_pixels))).encode(), b""
        drawing = read_drawing(data, max_pixels=max_pixels)
        return json.dumps({"width": drawing.width, "height": drawing.height}).encode(), drawing.tobytes()
    except UnreadableImage as error:
        return json.dumps({"refused": str(error)}).encode(), b""
    except MemoryError:
        return json.dumps({"out_of_memory": True}).encode(), b""


def _answer(answers: BinaryIO, head: bytes, pixels: bytes = b"") -> None:
    answers.write(ANSWER.pack(len(head), len(pixels)) + head)
    answers.write(pixels)
    answers.flush()


def _confine(memory: int) -> None:
    """From here on: no file written, no core dumped, few files open, so much memory; and the first to go without it."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    if sys.platform == "linux":  # macOS counts what all processes share, and refuses
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # until now it led to the parent's log; a decoder may print what it decodes


def _allow_cpu_time(seconds: int) -> None:
    """The kernel ends the process (SIGXCPU) once it has computed so long from now on."""
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(process_time()) + seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
