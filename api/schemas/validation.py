"""Convert pydantic's errors to problems: pointer, code and a sentence."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from api.schemas.body import KINDS, ONE
from core.errors import Problem

_OUT_OF_RANGE = {
    "greater_than": "must be greater than {gt}",
    "less_than": "must be less than {lt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be divisible by {multiple_of}",
    "finite_number": "must be a finite number",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
}
_INVALID = {
    "string_pattern_mismatch": "must have the form that the contract gives",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
_INTEGER, _NUMBER = ("int_type", "int_parsing"), ("float_type", "float_parsing")
_TIME, _OBJECT = "must be a time such as 2026-11-02T09:30:00Z", "must be an object"
_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    **dict.fromkeys([*_OUT_OF_RANGE, "rate"], "out_of_range"),
    **dict.fromkeys([*_INVALID, "value_error"], "invalid_value"),
}
_WANTED = {
    **_OUT_OF_RANGE,
    **_INVALID,
    **dict.fromkeys([*_INTEGER, "int_from_float"], "must be a whole number"),
    "int_parsing_size": "must be a smaller number",
    **dict.fromkeys(_NUMBER, "must be a number"),
    "bool_type": "must be true or false",
    **dict.fromkeys(("datetime_parsing", "datetime_from_date_parsing"), _TIME),
    "timezone_aware": "must have a time zone, such as the Z of 2026-11-02T09:30:00Z",
    "string_type": "must be a string",
    "list_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _OBJECT),
}
# Strings are shown if numbers or words of a list are wanted. Elsewhere a string may be an image, a
# prompt or a URL with a key in it, and callers log problems.
_SHOW_STRINGS = {*_INTEGER, *_NUMBER, "literal_error", "enum", "rate"}
_SHOWN_CHARACTERS = 40  # of a refused value: enough to recognise it, never a whole image
_SHOWN_NAME = 100  # characters of the name of a field
_brief = reprlib.Repr()  # looks at little more than is shown
_brief.maxstring = _brief.maxother = _brief.maxlong = 3 * _SHOWN_CHARACTERS
_brief.maxlevel = 2


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Describe every problem of a body in the order of the fields."""
    return [_problem(entry, model) for entry in error.errors(include_url=False)]


def problems_of_parameters(entries: Iterable[Any]) -> list[Problem]:
    """Describe problems of query, headers and path, whose pointer is the parameter's name."""
    return [_problem({**entry, "loc": entry["loc"][1:]}) for entry in entries]


def pointer_of(location: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a field."""
    return "".join("/" + _name(part).replace("~", "~0").replace("/", "~1") for part in location)


def unknown(kind: str, location: tuple[str | int, ...], known: Iterable[str]) -> Problem:
    """Describe a field or parameter that does not exist, with the known one it resembles."""
    name = _name(location[-1])
    nearest = get_close_matches(name, known, n=1)
    hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
    return Problem(pointer_of(location), "unknown_field", f"Unknown {kind} `{name}`{hint}")


def shown(value: object) -> str:
    """Return a value as JSON would have it, cut if it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = _brief.repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _name(part: str | int) -> str:
    text = str(part)
    return text if len(text) <= _SHOWN_NAME else text[:_SHOWN_NAME] + "…"


def _shown_name(location: tuple[str | int, ...]) -> str:
    """Return the last name of a location, an entry of a list as `name[0]`."""
    if isinstance(location[-1], int) and len(location) > 1:
        return f"{_name(location[-2])}[{location[-1]}]"
    return _name(location[-1])


def _problem(entry: Any, model: type[BaseModel] | None = None) -> Problem:
    kind = entry["type"]
    location = tuple(part for part in entry["loc"] if part not in KINDS)
    if kind == "extra_forbidden":
        return unknown("field", location, _fields_at(model, location[:-1]))
    if len(location) > 2 and location[-1] == "[key]":  # pydantic's word for the name of an entry
        location = location[:-1]
    name = f"`{_shown_name(location)}`" if location else "the body"
    return Problem(pointer_of(location), _CODES.get(kind, "wrong_type"), _detail(kind, name, entry))


def _fields_at(model: Any, location: Iterable[str | int]) -> list[str]:
    """Return the fields of the object at a location below a model."""
    for part in location:
        if isinstance(part, str) and model:
            field = model.model_fields.get(part)
            model = _model_in(field.annotation) if field else None
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> Any:
    """Return the model in an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _detail(kind: str, name: str, entry: Any) -> str:
    if kind == "missing":
        return f"{name} is required"
    if kind == "value_error":
        reason = str(entry["ctx"]["error"])
        return reason if reason.startswith("`") else f"{name} {reason}"
    wanted = _WANTED[kind].format(**entry.get("ctx", {})) if kind in _WANTED else entry["msg"]
    if ONE in entry["loc"]:
        wanted += ", or a list of numbers"
    return f"{name} {wanted}; got {_what_came(kind, entry)}"


def _what_came(kind: str, entry: Any) -> str:
    value = entry["input"]
    if kind in ("too_short", "too_long"):
        return str(entry["ctx"]["actual_length"])
    if kind in ("string_too_short", "string_too_long"):
        return str(len(value))
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and kind not in _SHOW_STRINGS:
        return _number(value) or f"a string of {len(value)} characters"
    return shown(value)


def _number(text: str) -> str:
    """Return a number that came in a query string, where every value is text."""
    return text if text.lstrip("-").isdecimal() and len(text) <= _SHOWN_CHARACTERS else ""
