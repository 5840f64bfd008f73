"""Run every golden case of a folder: `python scripts/check_goldens.py tests/data/goldens [CASE
...]`.

Prints one line per case: the output that comes closest to its tolerance, its largest error, and
that error's share of the tolerance. Ends with 1 if any output is out of tolerance.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

# started as a file: the packages lie beside `scripts`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.goldens.answers import ANSWERS
from scripts.goldens.compare import Deviation, deviations
from scripts.goldens.parts import Parts
from scripts.goldens.registry import Case
from scripts.goldens.sampling import loop


def read_cases(folder: Path) -> list[Case]:
    """The cases of a folder, in its order, sharing one set of parts."""
    goldens = json.loads((folder / "goldens.json").read_text())
    parts = Parts(goldens["config"], goldens["seed"])
    entries = goldens["cases"]
    return [Case(name, entry, goldens["seed"], parts) for name, entry in entries.items()]


@torch.no_grad()
def check(case: Case, folder: Path) -> list[Deviation]:
    """Answer one case and compare. Every case whose name begins with `ddim` and that lists steps is
    a sampling loop.

    Raises:
        ValueError: the case is unknown, or an output is missing or has another shape.
    """
    answer = ANSWERS.get(case.name) or (
        loop if case.name.startswith("ddim") and "steps" in case.entry else None
    )
    if answer is None:
        raise ValueError(f"case {case.name}: unknown, known are {', '.join(sorted(ANSWERS))}")
    return deviations(case, answer(case), folder)


def main() -> int:
    """Check the folder named on the command line; 0 if every output is within its tolerance."""
    parser = argparse.ArgumentParser(
        description="Compare the model with a folder of golden vectors."
    )
    parser.add_argument(
        "folder", type=Path, help="holds goldens.json and a safetensors file per case"
    )
    parser.add_argument("cases", nargs="*", help="only these cases (default: all)")
    arguments = parser.parse_args()
    cases = [
        case
        for case in read_cases(arguments.folder)
        if case.name in arguments.cases or not arguments.cases
    ]

    failed = 0
    for case in cases:
        began = time.monotonic()
        try:
            worst = max(check(case, arguments.folder), key=lambda deviation: deviation.share)
        except Exception as error:  # one case that cannot be answered must not hide the others
            failed += 1
            print(f"FAIL {case.name:<18} {type(error).__name__}: {error}", flush=True)
            continue
        failed += worst.share > 1
        print(
            f"{'ok  ' if worst.share <= 1 else 'FAIL'} {case.name:<18} error {worst.error:9.3g}"
            f"  share of tolerance {worst.share:7.4f}  in {worst.output:<28} "
            f"{time.monotonic() - began:6.1f} s",
            flush=True,
        )
    print(f"{len(cases) - failed} of {len(cases)} cases within their tolerance")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
