"""Forward `python -m api.keys` to `python -m admin` for one more release."""

import sys
from collections.abc import Sequence

from admin.__main__ import main

_NEW_NAMES = {"usage": ["usage"], "webhook-secret": ["secrets"]}


def forward(arguments: Sequence[str]) -> None:
    """Run the new command for arguments of the old form."""
    first, rest = arguments[:1], arguments[1:]
    words = [*_NEW_NAMES.get(first[0], ["keys", *first]), *rest] if first else ["keys"]
    sys.stderr.write(f"`python -m api.keys` is now `python -m admin {words[0]}`\n")
    main(words)


if __name__ == "__main__":
    forward(sys.argv[1:])
