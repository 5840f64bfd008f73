"""`python -m testkit.contract`: call a gateway by its contract for as long as one likes; each seed
makes other calls.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from testkit.contract.deployment import deployment
from testkit.contract.run import generated_calls


def main() -> int:
    """The exit status: 0 where every answer was as the contract says."""
    parser = argparse.ArgumentParser(prog="python -m testkit.contract", description=__doc__)
    parser.add_argument(
        "--examples", type=int, default=500, help="calls of each operation (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=secrets.randbits(32), help="of the calls (another each time)"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tc-") as folder, deployment(Path(folder)) as running:
        report = generated_calls(
            running, Path(folder), f"--seed={asked.seed}", f"--max-examples={asked.examples}"
        )
    sys.stdout.write(f"{report.text}\n{report}; seed {asked.seed}\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
