"""Ids that sort by the time at which they were made (https://github.com/ulid/spec).

Each request makes one or two, which python-ulid does in 7 µs each on the machine of docs/performance.md, and this in 1.
"""

import os
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # ten bits each
_SHIFTS = range(120, -1, -10)  # of the 13 pairs, the first of which holds 8 bits


def new_ulid() -> str:
    """26 digits: 48 bits of milliseconds since 1970, then 80 random ones."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
