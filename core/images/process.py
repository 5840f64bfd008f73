"""The process that decodes images of strangers, and may die of them; `core.images.decoder` starts
it and talks to it.

Orders come by descriptor 0: `ORDER`, which says what is wanted and how many bytes follow, then the
bytes. Answers go to descriptor 1: `ANSWER`, which says how long the JSON object and the pixels are
that follow. The first one, an empty object, says that the process is ready. It imports as little as
it can, holds no secret, and ends when its orders do.
"""

import json
import os
import signal
import struct
import sys
from typing import BinaryIO

from core.images.confinement import allow_cpu_time, confine
from core.images.formats import UnreadableImage, inspect_image, read_drawing

ORDER = struct.Struct(">cQ")
ANSWER = struct.Struct(">IQ")
INSPECT, DRAW = b"i", b"d"


def main() -> None:
    """Arguments: pixels that an image may have, bytes of memory, seconds of CPU time for one
    image.
    """
    max_pixels, memory, cpu_seconds = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    _say_nothing()
    confine(memory)
    with open(0, "rb") as orders, open(1, "wb") as answers:
        _answer(answers, b"{}")
        while order := orders.read(ORDER.size):
            wanted, length = ORDER.unpack(order)
            allow_cpu_time(cpu_seconds)
            _answer(answers, *_carry_out(wanted, orders, length, max_pixels))


def _carry_out(
    wanted: bytes, orders: BinaryIO, length: int, max_pixels: int
) -> tuple[bytes, bytes]:
    """The answer to an order: a JSON object, and pixels where they were wanted."""
    try:
        data = orders.read(length)
        if wanted == INSPECT:
            return json.dumps(vars(inspect_image(data, max_pixels=max_pixels))).encode(), b""
        drawing = read_drawing(data, max_pixels=max_pixels)
        return json.dumps(
            {"width": drawing.width, "height": drawing.height}
        ).encode(), drawing.tobytes()
    except UnreadableImage as error:
        return json.dumps({"refused": str(error)}).encode(), b""
    except MemoryError:
        return json.dumps({"out_of_memory": True}).encode(), b""


def _answer(answers: BinaryIO, head: bytes, pixels: bytes = b"") -> None:
    answers.write(ANSWER.pack(len(head), len(pixels)) + head)
    answers.write(pixels)
    answers.flush()


def _say_nothing() -> None:
    """Standard error led to the parent's log until now; a decoder may print what it decodes."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


if __name__ == "__main__":
    main()
