"""Turns of each tenant at something that may take long, so that its own slowness is all that it
waits for.
"""

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """So many at the same time for each tenant; of tenants that have none nothing is kept."""

    def __init__(self, of_each: int) -> None:
        self._of_each = of_each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, tenant: str) -> asyncio.Semaphore:
        """What to hold while it takes."""
        return self._taken.setdefault(tenant, asyncio.Semaphore(self._of_each))
