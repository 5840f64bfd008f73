"""Ids that sort by the time at which they were made (https://github.com/ulid/spec).

Each request makes one or two, which python-ulid does in 7 µs each on the machine of
docs/performance.md, and this in 2.
"""

import os
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]  # ten bits each
_SHIFTS = range(120, -1, -10)  # of the 13 pairs, the first of which holds 8 bits

_MILLISECOND = 1_000_000  # in nanoseconds
_FINE_BITS = 20  # a millisecond in parts of a nanosecond
_CHANCE_BITS = 80 - _FINE_BITS


def new_ulid() -> str:
    """26 digits: 48 bits of milliseconds since 1970, 20 of what has passed of that millisecond,
    then 60 random ones.

    So those of one millisecond sort by time as well, which the specification leaves to chance: a
    process makes several.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), _MILLISECOND)
    fine = (nanoseconds << _FINE_BITS) // _MILLISECOND
    chance = int.from_bytes(os.urandom(8)) >> (64 - _CHANCE_BITS)
    value = (milliseconds << _FINE_BITS | fine) << _CHANCE_BITS | chance
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
