"""Prose stays in the words of the field: none of those that the style page names comes back."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = ("*.py", "*.lua", "*.md", "*.yml", "*.yaml", "Makefile")
EXEMPT = ("CHANGELOG.md", "tests/architecture/test_prose.py")
BANNED = re.compile(
    r"\b(whoever|nobody|anew|so\s+long|so\s+many|thereof|verdicts?|doorkeepers?|mourn\w*|dut(y|ies))\b",
    re.IGNORECASE,
)


def test_no_word_that_readers_stumble_over() -> None:
    """A sentence may break within "so many", so whole files are searched."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *FILES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    hits = []
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(EXEMPT) or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text()
        for match in BANNED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            hits.append(f"{name}:{line}: {match[0]!r}")
    assert not hits, "\n".join(hits)
