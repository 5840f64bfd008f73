"""Read the Lua scripts of `core/store/lua`.

A script is a file of commands; the first argument of a call names the command. A line
`-- include shared/name.lua` stands for that file, once. The constants that a script names as
`C.NAME` are put in front of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from core.store.constants import CONSTANTS
from core.store.encoding import argument

FOLDERS: list[Traversable] = [files("core.store") / "lua"]  # the first that has a file wins

_INCLUDE = re.compile(r"-- include (\S+)")
_CONSTANT = re.compile(r"\bC\.(\w+)")


@cache
def load(name: str) -> str:
    """Return the source of a script of `lua/` as Redis runs it."""
    return complete(_read(f"{name}.lua"))


def complete(source: str) -> str:
    """Return Lua with its included files and the constants that it names.

    Raises:
        KeyError: it names a constant that does not exist.
    """
    body = "\n".join(_resolve(source, set()))
    constants = {name: CONSTANTS[name] for name in sorted(set(_CONSTANT.findall(body)))}
    return f"local C = {_literal(constants)}\n{body}\n"


def _resolve(source: str, included: set[str]) -> Iterator[str]:
    for line in source.splitlines():
        include = _INCLUDE.fullmatch(line)
        if include is None:
            yield line
        elif include[1] not in included:
            included.add(include[1])
            yield from _resolve(_read(include[1]), included)


def _read(path: str) -> str:
    found = next(file for folder in FOLDERS if (file := folder.joinpath(path)).is_file())
    return found.read_text()


def _literal(value: Any) -> str:
    """Return a value as Lua writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_literal(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_literal, value)) + "}"
    return json.dumps(argument(value))
