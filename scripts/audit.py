"""`make audit`: ask https://osv.dev which of the locked versions have known holes.

Without a way there it says so and is content: a desk without a network can still run `make check`.
"""

import argparse
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = ROOT / ".venv" / "auditors" / "bin" / "pip-audit"
OSV = "https://api.osv.dev/v1/query"
PATIENCE_SECONDS = 10


class Hole(NamedTuple):
    """A version that should not be used any more."""

    package: str
    version: str
    name: str
    fixed_in: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask for all versions in the files named, or in all of the project's.

    Raises:
        SystemExit: there are holes, or the answers make no sense.
    """
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument(
        "files", nargs="*", type=Path, help="of versions; constraints*.txt if left out"
    )
    parser.add_argument("--osv-url", default=OSV, help="who is asked")
    asked = parser.parse_args(arguments)
    if not is_reached(asked.osv_url):
        print(f"audit: {asked.osv_url} is not reached from here: nobody looked for known holes")
        return
    files = asked.files or sorted(ROOT.glob("constraints*.txt"))
    holes = sorted({hole for file in files for hole in holes_in(file, asked.osv_url)})
    for hole in holes:
        print(
            f"audit: {hole.package} {hole.version}: {hole.name}, fixed in "
            f"{', '.join(hole.fixed_in) or 'no version'}"
        )
    if holes:
        sys.exit(f"audit: {len(holes)} known hole{'s' * (len(holes) > 1)}")
    print(f"audit: no known hole in {', '.join(file.name for file in files)}")


def is_reached(url: str) -> bool:
    """Whether somebody answers there, whatever it is."""
    try:
        urllib.request.urlopen(url, timeout=PATIENCE_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it wants another method
    except (OSError, ValueError):
        return False
    return True


def holes_in(file: Path, osv_url: str) -> list[Hole]:
    """What is known of the versions in a file.

    Raises:
        SystemExit: not all of them were looked up.
    """
    command = [
        str(PIP_AUDIT),
        "--vulnerability-service",
        "osv",
        "--osv-url",
        osv_url,
        "--requirement",
        str(file),
    ]
    options = [
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "--strict",
    ]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        found = json.loads(ended.stdout)["dependencies"]
    except ValueError:
        last_words = (ended.stderr.strip() or "it says nothing").splitlines()[-1]
        sys.exit(f"audit: pip-audit failed on {file.name}: {last_words}")
    return [
        Hole(one["name"], one["version"], hole["id"], tuple(hole["fix_versions"]))
        for one in found
        for hole in one["vulns"]
    ]


if __name__ == "__main__":
    main()
