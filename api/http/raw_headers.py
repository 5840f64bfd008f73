"""Headers of a request as ASGI carries them. Starlette's mapping is made anew by each who looks,
and decodes all.
"""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first of this name, in lower case; None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def headers(scope: Scope, name: bytes) -> list[str]:
    """All of this name, in lower case, in their order."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
