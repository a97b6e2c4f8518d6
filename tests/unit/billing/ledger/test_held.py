"""What law keeps of books, and for how long; what is left when the oldest entries go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.owner.model import Erased, Subject, Swept, Wanted
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from services.billing.domain.journal import Balances, Kind, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from services.billing.ledger.held import BookClass, classes
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

YEARS = 10 * 365 * 86400


class World:
    """Books, their class, and the accounts that are still there."""

    def __init__(self, store: SqliteStore) -> None:
        self.clock = ManualClock()
        self.store = BreakingStore(store)
        self.books = Books(self.store, self.clock)
        self.living = {"a", "b"}
        (held,) = classes(self.store, self.books, lambda: YEARS, self.is_living)
        assert isinstance(held, BookClass)
        self.held = held

    async def is_living(self, account_id: str) -> bool:
        return account_id in self.living

    @property
    def now(self) -> int:
        return unix_seconds(self.clock)

    async def buy(self, account_id: str, *references: str) -> None:
        for reference in references:
            await self.books.post(account_id, Posting(Kind.CREDITS_BOUGHT, reference, (10, 1)))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, (BOOKS,)) as store:
        yield World(store)


async def test_an_entry_goes_when_law_has_kept_it_and_not_before(world: World) -> None:
    await world.buy("a", "p1")
    world.clock.advance(days=1)
    await world.buy("a", "p2")
    due = world.now + YEARS
    assert await world.held.sweep(due - 86401, 100) == Swept(0)
    assert await world.held.sweep(due - 86400, 100) == Swept(1)
    assert [entry.seq for entry in (await world.books.statement("a", 10)).entries] == [2]
    assert await world.books.verify("a") == Balances(20, 0, 0)
    count = await world.held.count()
    assert (count.count, count.first_due) == (1, due)


async def test_credits_outlive_the_entries_that_they_are_from(world: World) -> None:
    await world.buy("a", "p1", "p2")
    for _ in range(3):
        world.clock.advance(YEARS)
        await world.held.sweep(world.now, 100)
        assert [entry.posting.kind for entry in (await world.books.statement("a", 10)).entries] == [Kind.CARRIED]
        assert await world.books.verify("a") == Balances(20, 0, 0)
        assert await world.held.sweep(world.now, 100) == Swept(0)
    await world.buy("a", "p3")
    assert await world.books.verify("a") == Balances(30, 0, 0)


async def test_of_an_account_that_is_no_more_nothing_stays(world: World) -> None:
    await world.buy("a", "p1", "p2")
    await world.buy("b", "p1")
    world.living.remove("a")
    world.clock.advance(YEARS)
    assert await world.held.sweep(world.now, 100) == Swept(3)
    assert await world.books.last("a") is None
    assert await world.books.balances("b") == Balances(10, 0, 0)


async def test_sweeps_are_bounded(world: World) -> None:
    await world.buy("a", "p1", "p2", "p3")
    world.clock.advance(YEARS)
    assert await world.held.sweep(world.now, 2) == Swept(2, more=True)
    assert await world.held.sweep(world.now, 2) == Swept(1)
    assert await world.books.verify("a") == Balances(30, 0, 0)


@pytest.mark.parametrize("write", [0, 1, 2])
@pytest.mark.parametrize("kept", [False, True])
async def test_a_sweep_that_dies_loses_no_credits(world: World, write: int, kept: bool) -> None:
    await world.buy("a", "p1", "p2")
    await world.buy("b", "p1")
    world.clock.advance(YEARS)
    world.store.break_at(write, kept=kept)
    with pytest.raises(UnavailableError):
        await world.held.sweep(world.now, 100)
    await world.held.sweep(world.now, 100)
    assert await world.books.verify("a") == Balances(20, 0, 0)
    assert await world.books.verify("b") == Balances(10, 0, 0)
    assert (await world.held.count()).count == 2


async def test_a_clock_that_was_set_back_turns_no_book_round(world: World) -> None:
    await world.buy("a", "p1")
    first = await world.books.last("a")
    earlier = Books(world.store, ManualClock(world.clock.now().replace(year=2025)))
    second = await earlier.post("a", Posting(Kind.HELD, "hold/x", (5,)))
    assert first is not None
    assert second.at == first.at


async def test_an_erasure_says_what_law_keeps(world: World) -> None:
    await world.buy("a", "p1", "p2")
    assert await world.held.erase(Subject("a", "m"), 100) == Erased(
        kept=2, kept_until_day=(world.now + YEARS) // 86400 + 1
    )
    assert await world.held.erase(Subject("c"), 100) == Erased()
    assert await world.held.erase(Subject(""), 100) == Erased()
    assert await world.books.balances("a") == Balances(20, 0, 0)


async def test_an_account_is_given_its_own_entries(world: World) -> None:
    await world.buy("a", "p1", "p2")
    await world.buy("b", "p3")
    items = [item async for item in world.held.export(Subject("a"), Wanted())]
    shown = [json.loads(b"".join([block async for block in item.content])) for item in items]
    assert [entry["reference"] for entry in shown] == ["p1", "p2"]
    assert shown[0]["lines"] == {"clearing": 11, "credits": -10, "tax": -1}
    later = Wanted(since=world.now + 1)
    assert [item async for item in world.held.export(Subject("a"), later)] == []
