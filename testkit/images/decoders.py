"""Decoder processes of tests."""

import psutil

DYING = "testkit.images.dying_decoder"


def children(parent: int | None = None) -> list[psutil.Process]:
    """The decoders of this process, or of another one."""
    return [
        one
        for one in psutil.Process(parent).children()
        if any("decoder" in word for word in one.cmdline())
    ]
