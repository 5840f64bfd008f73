"""Write `.env.example`: every setting with what it means, its unit and its default. A test compares
the two.
"""

import textwrap
from datetime import timedelta
from pathlib import Path

from pydantic import ByteSize

from core.settings import Settings

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
HEADER = """\
# Copy to `.env` and uncomment what you change. Variables of the environment win over the file;
# empty means unset. Written by `make env-example` from core/settings.py.
"""


def render() -> str:
    """The text of `.env.example`."""
    sections = [HEADER]
    for name, field in Settings.model_fields.items():
        words = textwrap.fill(
            field.description or "", width=110, initial_indent="# ", subsequent_indent="# "
        )
        sections.append(f"{words}\n# TOONCRAFTER_{name.upper()}={_as_text(field.default)}\n")
    return "\n".join(sections)


def _as_text(default: object) -> str:
    """A default as one would type it."""
    if default is None:
        return ""
    if isinstance(default, timedelta):
        return f"{default.total_seconds():.0f}"
    if isinstance(default, ByteSize):
        return default.human_readable().replace(".0", "")
    return str(default)


if __name__ == "__main__":
    EXAMPLE.write_text(render())
