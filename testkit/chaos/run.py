"""One run: a stack, its load and its faults, and what the checker says about both."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from testkit.chaos.checker import check
from testkit.chaos.faults import Injector
from testkit.chaos.final import come_to_rest, read_final
from testkit.chaos.history import History, What
from testkit.chaos.load import Load
from testkit.chaos.recovery import Recoveries
from testkit.chaos.schedule import Fault, Kind, draw_faults
from testkit.chaos.service.stack import Stack
from testkit.chaos.stories import draw_stories

SECONDS_OF_A_FAULT = 12.0  # from one to the next, on average
# at most; three workers could do twice as many, had they the two cores for themselves
JOBS_OF_A_SECOND = 3.0
LONGEST_FAULT_SECONDS = 30.0
LONGEST_REQUEST_SECONDS = 20.0  # of a submission, beside a fault that holds it up
SHOWN_VIOLATIONS = 20


@dataclass(frozen=True)
class Plan:
    """What a run does. `broken` names the guarantee that is taken away on purpose, `only` the kinds
    of faults.
    """

    jobs: int
    faults: int
    seed: int
    seconds_of_a_fault: float = SECONDS_OF_A_FAULT
    longest_fault_seconds: float = LONGEST_FAULT_SECONDS
    broken: str | None = None
    only: tuple[Kind, ...] = ()

    @property
    def seconds(self) -> float:
        """How long jobs arrive and faults happen."""
        return max(self.faults * self.seconds_of_a_fault, self.jobs / JOBS_OF_A_SECOND)


@dataclass(frozen=True)
class Outcome:
    """The violations and the summary of a run."""

    violations: list[str]
    summary: str


class Run:
    """Plays a plan.

    Args:
        plan: what to do.
        folder: for history and logs; removed where nothing was violated.
        say: takes each line for people.
    """

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan, self._folder, self._say = plan, folder, say

    async def play(self) -> Outcome:
        """The whole run, from the first process to the last."""
        rmtree(self._folder, ignore_errors=True)
        orphan_age = self._plan.longest_fault_seconds + LONGEST_REQUEST_SECONDS
        async with Stack(self._folder / "logs", orphan_age, self._plan.broken) as stack:
            self._history = History(self._folder / "history.jsonl")
            self._recoveries = Recoveries(stack, self._history)
            self._injector = Injector(stack, self._recoveries)
            load = Load(list(stack.gateway_urls.values()), self._history)
            plan = self._plan
            async with asyncio.TaskGroup() as parts:
                parts.create_task(load.play(draw_stories(plan.seed, plan.jobs, plan.seconds)))
                for fault in draw_faults(
                    plan.seed, plan.faults, plan.seconds, plan.longest_fault_seconds, plan.only
                ):
                    parts.create_task(self._play_fault(fault))
            await self._recoveries.settle()
            await come_to_rest(stack)
            await stack.stop_services()
            final = await read_final(stack)
        self._history.close()
        return self._judge(check(self._history.events, final), len(final.jobs))

    async def _play_fault(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        cost = fault.cost
        # told before it is done, so that nothing it causes comes before it
        self._history.record(
            What.FAULT,
            fault=fault.number,
            detail=fault.kind.value,
            lost_leases=cost.lost_leases,
            given_back=cost.given_back,
            excuses=cost.excuses,
        )
        hit = await self._injector.inflict(fault)
        begun = self._history.now
        await asyncio.sleep(fault.seconds)
        await hit.heal()
        healed = self._history.now
        self._history.record(What.HEALED, fault=fault.number)
        lasted = f"after {healed - begun:.1f} s" if healed - begun > 0.05 else "at once"
        self._say(
            f"{begun:7.1f} s  {fault.number:3}  {fault.kind.value}: {hit.whom}; over {lasted}"
        )

    def _judge(self, violations: list[str], records: int) -> Outcome:
        """The last line, after the violations. What they are found in is kept."""
        for violation in violations[:SHOWN_VIOLATIONS]:
            self._say(f"VIOLATION {violation}")
        if violations:
            self._say(f"history and logs are in {self._folder}")
        else:
            rmtree(self._folder)
        accepted = len({e.job for e in self._history.events if e.what is What.ACCEPTED})
        plan = self._plan
        summary = (
            f"seed {plan.seed}: {accepted} of {plan.jobs} jobs accepted, {records} records left, "
            f"{plan.faults} faults "
            f"in {self._history.now:.0f} s; {self._recoveries.summary()}; violations "
            f"{len(violations)}"
        )
        self._say(summary)
        return Outcome(violations, summary)
