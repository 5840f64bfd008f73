"""Names of stored objects, and what every kind of storage demands of them."""

import re
from datetime import datetime
from typing import NamedTuple

from core.errors import Unavailable

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class StoredObject(NamedTuple):
    """An object as a listing shows it."""

    key: str
    modified: datetime


class ObjectTooLarge(ValueError):
    """An object exceeds what its reader takes."""


def checked_key(key: str) -> str:
    """The key as it came, if it names an object and cannot leave its folder.

    Raises:
        ValueError: it does not.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix without the slash at its end.

    Raises:
        ValueError: it has none, or what is before it is no key.
    """
    if not prefix.endswith("/"):
        raise ValueError(f"a prefix has to end in a slash but is {prefix!r}")
    return checked_key(prefix[:-1])


def demand_size(size: int, max_bytes: int | None) -> None:
    """Return if an object of this size may be read.

    Raises:
        ObjectTooLarge: it exceeds the limit.
    """
    if max_bytes is not None and size > max_bytes:
        raise ObjectTooLarge(f"has to have at most {max_bytes} bytes but has {size}")


def storage_unavailable(error: Exception) -> Unavailable:
    """What went wrong with the storage, in words that show no path, address or key."""
    return Unavailable(f"the object storage does not answer ({type(error).__name__})")
