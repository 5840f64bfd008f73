"""Turns of each tenant at something that may take long, so that its own slowness is all that it
waits for.
"""

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """Limit how many operations each tenant runs at a time; idle tenants use no memory."""

    def __init__(self, of_each: int) -> None:
        self._of_each = of_each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, tenant: str) -> asyncio.Semaphore:
        """What to hold while it takes."""
        return self._taken.setdefault(tenant, asyncio.Semaphore(self._of_each))
