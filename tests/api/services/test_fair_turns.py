"""Tenants take turns at what there is little of."""

import asyncio
from contextlib import suppress

from api.services.turns import FairTurns


async def use(turns: FairTurns, tenant: str, used: list[str]) -> None:
    async with turns.turn(tenant):
        used.append(tenant)
        await asyncio.sleep(0)


async def test_flood_of_one_delays_another_by_what_is_under_way() -> None:
    """A hundred wait; before the one that comes last go those that had a place, and one that is
    next.
    """
    turns, used = FairTurns(1), list[str]()
    crowd = [asyncio.create_task(use(turns, "crowd", used)) for _ in range(100)]
    await asyncio.sleep(0)
    late = asyncio.create_task(use(turns, "late", used))
    await asyncio.gather(*crowd, late)
    assert used.index("late") <= 3
    assert len(used) == 101


async def test_no_more_than_there_are_places() -> None:
    """All of them are used while somebody waits, and all are free again afterwards."""
    turns, inside, most = FairTurns(3), 0, 0

    async def stay(number: int) -> None:
        nonlocal inside, most
        async with turns.turn(f"tenant {number % 4}"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    for _ in range(2):
        await asyncio.gather(*map(stay, range(50)))
        assert (inside, most) == (0, 3)


async def test_who_gives_up_leaves_no_gap() -> None:
    """Whether it still waits or has just been given a place; the others go on."""
    turns, used = FairTurns(1), list[str]()
    tasks = [asyncio.create_task(use(turns, str(number), used)) for number in range(12)]
    for task in tasks[1::3]:
        await asyncio.sleep(0)
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    assert len(set(used)) >= 8
    async with asyncio.timeout(5):
        await use(turns, "last", used)
    assert used[-1] == "last"
