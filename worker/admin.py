"""Forward `python -m worker.admin` to `python -m admin` for one more release."""

import sys
from collections.abc import Sequence

from admin.__main__ import main

_NEW_NAMES = {"pause-queue": "pause", "resume-queue": "unpause"}


def forward(arguments: Sequence[str]) -> None:
    """Run the new command for arguments of the old form."""
    words = [_NEW_NAMES.get(word, word) for word in arguments[:1]] + list(arguments[1:])
    sys.stderr.write(
        f"`python -m worker.admin` is now `python -m admin {words[0] if words else '…'}`\n"
    )
    main(words)


if __name__ == "__main__":
    forward(sys.argv[1:])
