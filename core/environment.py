"""Read the settings when a process starts, and explain what is wrong with them."""

import difflib
import os
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError

from core.settings import ENV_FILE, PREFIX, Settings


def read_settings() -> Settings:
    """Read the settings from the environment and `.env`.

    Raises:
        SystemExit: `.env` is not UTF-8, or a value is invalid; the message says which.
    """
    _require_utf8(Path(ENV_FILE))
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}; got {problem['input']!r}"
            for problem in error.errors()
        ]
        raise SystemExit("\n".join(lines)) from None
    except SettingsError as error:  # a list that is not JSON
        raise SystemExit(f'{error}; lists are JSON, such as `["a", "b"]`') from None


def misspelt_names() -> list[str]:
    """Return a sentence for each `TOONCRAFTER_…` variable that is no setting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    names = {*os.environ, *dotenv_values(ENV_FILE, encoding="utf-8-sig")}
    return [
        _sentence(name, known)
        for name in sorted(names)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _sentence(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}?" if near else ".env.example lists the settings"
    return f"{name} is set but is no setting; {hint}"


def _require_utf8(path: Path) -> None:
    """Return if the file is UTF-8 text or does not exist.

    Raises:
        SystemExit: it is in another encoding.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        text = "\0"
    if "\0" in text:
        raise SystemExit(f"{path.resolve()} cannot be read as UTF-8 text: save it in that encoding")
