"""Define the base of everything that is stored as JSON."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

# Version of a stored job record; docs/decisions/0004 says what neighbouring versions do with it.
SCHEMA_VERSION = 2  # 2: rates may be fractions; shots


class Record(BaseModel):
    """An immutable record; fields that a newer version of the service added are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class View(BaseModel):
    """What callers are shown. The text below a field describes it in the contract."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def from_milliseconds(value: int) -> datetime:
    """Convert milliseconds since the epoch, as Redis holds times, to a moment in UTC."""
    return datetime.fromtimestamp(value / 1000, UTC)


def to_milliseconds(moment: datetime) -> int:
    """Convert a moment to milliseconds since the epoch, as Redis holds times."""
    return round(moment.timestamp() * 1000)
