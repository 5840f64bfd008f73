"""Decode images in the process that `core.images.decoder` starts.

Descriptor 0 is a socket to the parent. Each order is two messages: what is wanted, and the file.
Each answer is a JSON object and, where a drawing was wanted, the pixels. The first message, from
here, is an empty object: ready. The process ends when the socket does.
"""

import json
import resource
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from core.images.errors import ImageRefused
from core.images.formats import inspect_image, read_drawing
from core.images.messages import INSPECT

FILES = 32  # descriptors
MAX_WORDS = 300  # letters of a refusal, which may name what is in the file


def main() -> None:
    """Arguments: pixels an image may have, bytes of memory, seconds of CPU time per image."""
    max_pixels, memory, cpu_seconds = map(int, sys.argv[1:])
    limit_resources(memory)
    with Connection(0) as parent, suppress(EOFError):
        parent.send_bytes(b"{}")
        while True:
            wanted, data = parent.recv_bytes(), parent.recv_bytes()
            limit_cpu_time(cpu_seconds)
            answer, pixels = carry_out(wanted, data, max_pixels)
            parent.send_bytes(json.dumps(answer).encode())
            if pixels is not None:
                parent.send_bytes(pixels)


def carry_out(
    wanted: bytes, data: bytes, max_pixels: int
) -> tuple[dict[str, object], bytes | None]:
    """Decode one image: facts or a refusal as JSON, and pixels if a drawing was wanted."""
    try:
        if wanted == INSPECT:
            return vars(inspect_image(data, max_pixels=max_pixels)), None
        drawing = read_drawing(data, max_pixels=max_pixels)
        facts: dict[str, object] = {
            "width": drawing.width,
            "height": drawing.height,
            "channels": len(drawing.mode),
        }
        return facts, drawing.tobytes()
    except ImageRefused as error:
        return {"code": error.code, "refused": str(error)[:MAX_WORDS]}, None
    except MemoryError:
        return {"out_of_memory": True}, None


def limit_resources(memory: int) -> None:
    """Write no file, dump no core, open few files, and map at most `memory` bytes."""
    with suppress(OSError):  # Linux: the kernel ends this process first if memory runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    if sys.platform == "linux":  # macOS counts shared memory too, and refuses the limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def limit_cpu_time(seconds: int) -> None:
    """Let the kernel end the process (SIGXCPU) after this much more CPU time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
