"""Any order of events at the job store leaves every job in exactly the places that its state
demands.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    run_state_machine_as_test,
)

from testkit.servers import RedisServer
from testkit.store.machine import JobStoreMachine
from testkit.suite.examples import examples


@pytest.fixture
def machine(redis_server: RedisServer) -> type[JobStoreMachine]:
    JobStoreMachine.server = redis_server
    return JobStoreMachine


def test_any_order_of_events(machine: type[JobStoreMachine]) -> None:
    """Submit, cancel, delete, claim, renew, end, give back and lose in any order."""
    limits = settings(
        max_examples=examples(60),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(machine, settings=limits)
