"""Calls that a machine generates from the contract, sent to a gateway that runs, and what came of
them.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testkit.contract.deployment import Deployment
from testkit.servers import ROOT

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
BY_CHANCE = ("examples", "fuzzing", "stateful")
# "coverage" goes through every value at the edge of what a field takes: the most calls by far
PHASES = (*BY_CHANCE, "coverage")


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    passed: bool
    text: str  # what the tool says to people
    cases: Counter[str]  # calls that were generated, by phase
    answers: Counter[tuple[str, int]]  # by operation and status
    checks: Counter[str]  # answers that were looked at, by check
    links: Counter[str]  # calls to which a link led, by phase

    @property
    def followed(self) -> int:
        """Calls to which a link of another one's answer led."""
        return self.links.total()

    def __str__(self) -> str:
        phases = ", ".join(f"{number} {phase}" for phase, number in self.cases.items())
        return f"{self.cases.total()} cases ({phases}), {self.followed} by links"


def generated_calls(
    to: Deployment, folder: Path, *options: str, phases: tuple[str, ...] = PHASES
) -> Report:
    """Generate calls of every operation and check every answer.

    Args:
        to: the gateway that is called.
        folder: where the report and the log are written.
        options: more of the tool's own, such as `--max-examples=100` or `--seed=7`.
        phases: in which ways calls are generated.
    """
    events = folder / "events.ndjson"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "CONTRACT_GATEWAY": to.url,
        "CONTRACT_FRIEND": to.friend,
        "CONTRACT_KEYS": str(to.write_keys(folder / "keys.json")),
    }
    report = ["--report", "ndjson", "--report-ndjson-path", str(events)]
    tool = [Path(sys.executable).with_name("st"), "--no-color", "--config-file", CONFIGURATION]
    ran = subprocess.run(
        [*tool, "run", f"{to.url}/openapi.json", "--phases", ",".join(phases), *report, *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return _report(ran, events)


def _report(ran: subprocess.CompletedProcess[str], events: Path) -> Report:
    report = Report(
        ran.returncode == 0, ran.stdout + ran.stderr, Counter(), Counter(), Counter(), Counter()
    )
    for scenario in _scenarios(events):
        recorder = scenario["recorder"]
        for case_id, case in recorder.get("cases", {}).items():
            report.cases[scenario["phase"]] += 1
            report.links[scenario["phase"]] += bool(case.get("is_transition_applied"))
            for check in recorder.get("checks", {}).get(case_id, []):
                report.checks[check["name"]] += 1
            if (interaction := recorder.get("interactions", {}).get(case_id)) and interaction.get(
                "response"
            ):
                name = f"{case['value']['method']} {case['value']['path']}"
                report.answers[name, interaction["response"]["status_code"]] += 1
    return report


def _scenarios(events: Path) -> Iterator[dict[str, Any]]:
    with events.open() as lines:
        for line in lines:
            if finished := json.loads(line).get("ScenarioFinished"):
                yield finished
