"""What pydantic found wrong with a body, in the words of the API: pointer, code, what was wanted
and what came.
"""

import reprlib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from core.errors import Problem

_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "multiple_of": "out_of_range",
    "finite_number": "out_of_range",
    "too_short": "out_of_range",
    "too_long": "out_of_range",
    "string_too_long": "out_of_range",
    "string_pattern_mismatch": "invalid_value",
    "literal_error": "invalid_value",
    "enum": "invalid_value",
    "value_error": "invalid_value",
}
_WANTED = {
    "greater_than_equal": "has to be at least {ge}",
    "less_than_equal": "has to be at most {le}",
    "multiple_of": "has to be divisible by {multiple_of}",
    "finite_number": "has to be a finite number",
    "too_short": "has to have at least {min_length} entries",
    "too_long": "has to have at most {max_length} entries",
    "string_too_long": "has to have at most {max_length} characters",
    "string_pattern_mismatch": "has to match {pattern}",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "float_type": "has to be a number",
    "string_type": "has to be a string",
    "list_type": "has to be a list",
    "dict_type": "has to be an object",
    "model_type": "has to be an object",
    "model_attributes_type": "has to be an object",
}
# Where numbers and words of a list are wanted. Elsewhere a string may be an image, a prompt or a
# URL with a key in it, and problems are what callers log.
_SHOW_STRINGS = {"int_type", "int_parsing", "float_type", "float_parsing", "literal_error", "enum"}
_SHOWN_CHARACTERS = 40  # of a refused value: enough to recognise it, never a whole image
_SHOWN_NAME = 100  # characters of the name of a field that somebody made up
_brief = reprlib.Repr()  # looks at little more than is shown
_brief.maxstring = _brief.maxother = _brief.maxlong = 3 * _SHOWN_CHARACTERS
_brief.maxlevel = 2


def problems_of(error: ValidationError) -> list[Problem]:
    """Every problem that pydantic found, in the order of the fields."""
    return [_problem(entry) for entry in error.errors(include_url=False)]


def problems_of_parameters(entries: Iterable[Any]) -> list[Problem]:
    """The same for query parameters, headers and parts of the path, whose pointer is their name."""
    return [_problem({**entry, "loc": entry["loc"][1:]}) for entry in entries]


def pointer_of(location: Iterable[str | int]) -> str:
    """JSON pointer (RFC 6901) of a field."""
    return "".join("/" + _name(part).replace("~", "~0").replace("/", "~1") for part in location)


def _name(part: str | int) -> str:
    text = str(part)
    return text if len(text) <= _SHOWN_NAME else text[:_SHOWN_NAME] + "…"


def _problem(entry: Any) -> Problem:
    kind, location = entry["type"], entry["loc"]
    if len(location) > 2 and location[-1] == "[key]":  # pydantic's word for the name of an entry
        location = location[:-1]
    name = f"`{_name(location[-1])}`" if location else "the body"
    return Problem(pointer_of(location), _CODES.get(kind, "wrong_type"), _detail(kind, name, entry))


def _detail(kind: str, name: str, entry: Any) -> str:
    if kind == "missing":
        return f"{name} is required"
    if kind == "extra_forbidden":
        return f"{name} is no field of this request"
    if kind == "value_error":
        reason = str(entry["ctx"]["error"])
        return reason if reason.startswith("`") else f"{name} {reason}"
    wanted = _WANTED[kind].format(**entry.get("ctx", {})) if kind in _WANTED else entry["msg"]
    return f"{name} {wanted} but {_what_came(kind, entry)}"


def _what_came(kind: str, entry: Any) -> str:
    if kind in ("too_short", "too_long"):
        return f"has {entry['ctx']['actual_length']}"
    if kind == "string_too_long":
        return f"has {len(entry['input'])}"
    value = entry["input"]
    if isinstance(value, dict | list):
        return "is an object" if isinstance(value, dict) else "is a list"
    if isinstance(value, str) and kind not in _SHOW_STRINGS:
        return f"is a string of {len(value)} characters"
    return f"is {shown(value)}"


def shown(value: object) -> str:
    """A value as problems tell it: cut where it is long."""
    text = _brief.repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
