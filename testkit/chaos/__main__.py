"""`python -m testkit.chaos`: drive a whole service, harm it by a seeded schedule, and prove that it
kept its promises.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from testkit.chaos.run import LONGEST_FAULT_SECONDS, SECONDS_OF_A_FAULT, Plan, Run


def main() -> int:
    """The exit status: 0 where nothing was violated."""
    parser = argparse.ArgumentParser(prog="python -m testkit.chaos", description=__doc__)
    parser.add_argument(
        "--jobs", type=int, default=500, help="how many are submitted (%(default)s)"
    )
    parser.add_argument(
        "--faults", type=int, default=30, help="how many happen meanwhile (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of load and faults (%(default)s)")
    parser.add_argument(
        "--pace", type=float, default=SECONDS_OF_A_FAULT, help="seconds per fault (%(default)s)"
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=LONGEST_FAULT_SECONDS,
        help="seconds of a fault (%(default)s)",
    )
    parser.add_argument(
        "--break",
        dest="broken",
        choices=["fencing", "sweep"],
        help="take a guarantee away: must fail",
    )
    asked = parser.parse_args()
    plan = Plan(asked.jobs, asked.faults, asked.seed, asked.pace, asked.longest, asked.broken)
    outcome = asyncio.run(Run(plan, Path("out") / f"chaos-{plan.seed}", _say).play())
    return 1 if outcome.violations else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
