"""How `pytest -n` deals test files to its processes."""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Tests that start whole stacks: they take turns in one process, so that a stack has a core to
# itself and all of them share the one that the session starts.
STACKS = (
    "tests/e2e/",
    "tests/chaos/",
    "tests/contract/",
    "tests/monitoring/",
    "tests/clients/service/",
)


class FilesAndStacks(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Keeps each file in one process, and all stacks in one process."""

    def _split_scope(self, nodeid: str) -> str:
        """The scope of a test: tests of one scope run in one process."""
        return "stacks" if nodeid.startswith(STACKS) else nodeid.split("::")[0]


def stacks_first(items: list[pytest.Item]) -> None:
    """Order tests so that the longest scope is dealt first and the other files fill the rest.

    In it, those that need real models come last: the models load meanwhile.
    """
    items.sort(key=lambda item: (not item.nodeid.startswith(STACKS), needs_models(item)))


def needs_models(item: pytest.Item) -> bool:
    """Whether a test asks for the stack with real models, of `tests/e2e/conftest.py`."""
    return isinstance(item, pytest.Function) and "real_stack" in item.fixturenames
