"""Share a few places among tenants, so that one tenant's load delays only itself."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """A number of places for each tenant; tenants without waiting calls take no memory."""

    def __init__(self, of_each: int) -> None:
        self._of_each = of_each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of_tenant(self, tenant: str) -> asyncio.Semaphore:
        """Return what a call holds while it uses a place."""
        return self._taken.setdefault(tenant, asyncio.Semaphore(self._of_each))


class FairTurns:
    """Places for all tenants: a free one goes to the next waiting tenant, round robin.

    Within a tenant, calls are served in their order.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        # the next tenant is first
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Hold a place from this tenant's turn on."""
        await self._take(tenant)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, tenant: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place came at the same moment
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            tenant, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[tenant] = turns  # behind all others
            if not turn.done():  # else it was canceled
                turn.set_result(None)
                return
        self._free += 1
