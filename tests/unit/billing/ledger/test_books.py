"""Books on a real store: once each, at the end, whoever else writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Document, Patch, Query
from libs.runtime.errors import ConflictError, ExhaustedError, InternalError, InvalidError, NotFoundError
from services.billing.domain.journal import Balances, Kind, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS, entry_key
from services.billing.ledger.holds import Holds
from tests.support.clock import ManualClock

BUY = Posting(Kind.CREDITS_BOUGHT, "payment/1", (1000, 190))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (BOOKS,)) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def books(store: SqliteStore, clock: ManualClock) -> Books:
    return Books(store, clock)


@pytest.fixture
def holds(books: Books, store: SqliteStore, clock: ManualClock) -> Holds:
    return Holds(books, store, clock, seconds=3600)


async def test_the_same_happening_stands_in_a_book_once(books: Books) -> None:
    first = await books.post("a", BUY)
    assert await books.post("a", BUY) == first
    assert await books.balances("a") == Balances(1000, 0, 0)
    with pytest.raises(ConflictError, match=r"^reference$"):
        await books.post("a", Posting(Kind.CREDITS_BOUGHT, "payment/1", (1001, 190)))
    with pytest.raises(InvalidError, match=r"^reference$"):
        await books.post("a", Posting(Kind.PAID, "", (1,)))


async def test_nobody_sees_another_s_book(books: Books) -> None:
    await books.post("a", BUY)
    assert await books.balances("b") == Balances(0, 0, 0)
    assert (await books.post("b", BUY)).seq == 1


async def test_all_who_write_at_once_get_in_one_after_the_other(books: Books) -> None:
    postings = [Posting(Kind.CREDITS_BOUGHT, f"payment/{number}", (10, 1)) for number in range(12)]
    entries = await asyncio.gather(*(books.post("a", posting) for posting in postings * 2))
    assert sorted({entry.seq for entry in entries}) == list(range(1, 13))
    assert await books.verify("a") == Balances(120, 0, 0)


async def test_credits_are_not_spent_twice_by_two_at_once(books: Books, holds: Holds) -> None:
    await books.post("a", BUY)
    results = await asyncio.gather(*(holds.hold("a", f"job{n}", 400) for n in range(5)), return_exceptions=True)
    assert sum(isinstance(one, ExhaustedError) for one in results) == 3
    assert await books.balances("a") == Balances(200, 800, 0)


class Meanwhile:
    """A store on which something else happens after the n-th look, once."""

    def __init__(self, store: SqliteStore, look: int, happening: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._looks = look
        self._happening = happening

    async def find(self, query: Query) -> list[Document]:
        found = await self._store.find(query)
        self._looks -= 1
        if not self._looks:
            await self._happening()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("look", [1, 2])
async def test_who_repeats_what_is_happening_is_not_told_that_credits_are_gone(
    books: Books, store: SqliteStore, clock: ManualClock, look: int
) -> None:
    await books.post("a", BUY)
    everything = Posting(Kind.HELD, "hold/job", (1000,))
    late = Books(Meanwhile(store, look, lambda: books.post("a", everything)), clock)
    assert await late.post("a", everything) == await books.last("a")
    assert await books.verify("a") == Balances(0, 1000, 0)


async def test_a_hold_ends_in_one_way(books: Books, holds: Holds) -> None:
    await books.post("a", BUY)
    await holds.hold("a", "job", 400)
    captured = await holds.capture("a", "job", 300)
    assert captured.balances == Balances(700, 0, 0)
    assert await holds.capture("a", "job", 300) == captured
    with pytest.raises(ConflictError, match=r"^reference$"):
        await holds.release("a", "job")
    with pytest.raises(NotFoundError, match=r"^hold$"):
        await holds.capture("a", "other", 1)
    await holds.hold("a", "more", 10)
    with pytest.raises(ConflictError, match=r"^held$"):
        await holds.capture("a", "more", 11)
    assert (await holds.capture("a", "more", 0)).posting.kind is Kind.RELEASED


async def test_a_hold_lapses(books: Books, holds: Holds, clock: ManualClock) -> None:
    await books.post("a", BUY)
    await holds.hold("a", "job", 400)
    await holds.hold("a", "done", 100)
    await holds.capture("a", "done", 100)
    clock.advance(3599)
    assert await holds.sweep() == 0
    clock.advance(1)
    assert await holds.sweep() == 1
    assert await holds.sweep() == 0
    assert await books.verify("a") == Balances(900, 0, 0)
    with pytest.raises(ConflictError, match=r"^reference$"):
        await holds.capture("a", "job", 400)


async def test_a_statement_has_the_newest_first(books: Books) -> None:
    for number in range(5):
        await books.post("a", Posting(Kind.CREDITS_BOUGHT, f"payment/{number}", (10, 1)))
    page = await books.statement("a", 3)
    assert [entry.seq for entry in page.entries] == [5, 4, 3]
    rest = await books.statement("a", 3, page.cursor)
    assert [entry.seq for entry in rest.entries] == [2, 1]
    assert rest.cursor == 0
    with pytest.raises(InvalidError, match=r"^limit$"):
        await books.statement("a", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"lines": {"clearing": 11, "credits": -11}},
        {"lines": {"clearing": 11, "credits": -10}},
        {"after": {"clearing": 1, "credits": -1}},
        {"seq": 9},
    ],
)
async def test_whatever_was_altered_is_found(books: Books, store: SqliteStore, change: dict[str, object]) -> None:
    for number in range(3):
        await books.post("a", Posting(Kind.CREDITS_BOUGHT, f"payment/{number}", (10, 1)))
    await books.verify("a")
    await store.write(Patch(BOOKS, entry_key("a", 2), change))  # type: ignore[arg-type]
    with pytest.raises(InternalError, match=r"^book_damaged$"):
        await books.verify("a")


async def test_a_book_whose_oldest_entries_are_gone_can_still_be_verified(
    books: Books, store: SqliteStore, clock: ManualClock
) -> None:
    for number in range(4):
        await books.post("a", Posting(Kind.CREDITS_BOUGHT, f"payment/{number}", (10, 1)))
        clock.advance(10)
    oldest = await books.find("a", "payment/1")
    assert oldest is not None
    assert await store.delete_range(BOOKS, "at", (), oldest.at, 100) == 2
    assert await books.verify("a") == Balances(40, 0, 0)
