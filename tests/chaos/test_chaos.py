"""The proof: a whole service under faults keeps its promises, and is found out where it does
not.
"""

from pathlib import Path

import pytest

from testkit.chaos.run import Plan, Run
from testkit.chaos.schedule import Kind

# one fault soon after the other, each at the worst moment that is known for it
SHORT = Plan(jobs=30, faults=8, seed=7, seconds_of_a_fault=3.0, longest_fault_seconds=7.0)
STALE_WORKER = Plan(
    jobs=30,
    faults=3,
    seed=1,
    seconds_of_a_fault=8.0,
    longest_fault_seconds=8.0,
    only=(Kind.STOP_WORKER,),
    broken="fencing",
)


async def test_no_promise_is_broken_by_faults(s3_server: object, tmp_path: Path) -> None:
    """Two gateways, two dispatchers, three workers, and what goes wrong around them."""
    outcome = await Run(SHORT, tmp_path / "run", print).play()
    assert outcome.violations == []


@pytest.mark.long
async def test_broken_fencing_is_found_out(s3_server: object, tmp_path: Path) -> None:
    """A worker that was frozen until another one had its job may then end it a second time: the
    checker says so.
    """
    outcome = await Run(STALE_WORKER, tmp_path / "run", print).play()
    assert any("ended more than once" in violation for violation in outcome.violations)


@pytest.mark.long
@pytest.mark.timeout(1500)
async def test_no_promise_is_broken_in_the_default_run(s3_server: object, tmp_path: Path) -> None:
    """What `make chaos` does."""
    outcome = await Run(Plan(jobs=500, faults=30, seed=1), tmp_path / "run", print).play()
    assert outcome.violations == []
