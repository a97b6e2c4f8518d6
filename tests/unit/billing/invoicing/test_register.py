"""Numbers of invoices: one after the other, each once, over pages and years."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Patch
from libs.runtime.backoff import Backoff
from libs.runtime.errors import InternalError
from services.billing.invoicing.documents import INVOICES, State, Step, invoice_of
from services.billing.invoicing.register import PAGE, REGISTER, Register
from tests.support.clock import ManualClock
from tests.unit.billing.invoicing.support import PausingStore, assert_gapless, draft_of, numbers_of, put_drafts

QUICK = Backoff(first=0.0001, ceiling=0.001, attempts=10)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (INVOICES, REGISTER)) as opened:
        yield opened


async def test_drafts_get_numbers_in_the_order_in_which_they_were_made(store: SqliteStore) -> None:
    await put_drafts(store, [draft_of("a"), draft_of("b")], made=2)
    await put_drafts(store, [draft_of("c")], made=1)
    clock = ManualClock()
    register = Register(store, clock, QUICK)
    assert (await register.number_some(), await register.number_some()) == (3, 0)
    assert await numbers_of(store) == {
        draft_of("c").key: "2026-000001",
        draft_of("a").key: "2026-000002",
        draft_of("b").key: "2026-000003",
    }
    document = await store.get(INVOICES, draft_of("c").key)
    assert document is not None
    invoice = invoice_of(document)
    assert (invoice.state, invoice.step, invoice.due_day - invoice.issued_day) == (State.OPEN, Step.BOOK, 14)


async def test_a_page_that_is_full_is_followed_by_another(store: SqliteStore) -> None:
    register = Register(store, ManualClock(), QUICK)
    await put_drafts(store, [draft_of(f"a{n:04d}") for n in range(PAGE + 5)])
    assert [await register.number_some() for _ in range(3)] == [PAGE, 5, 0]
    numbers = await numbers_of(store)
    assert_gapless(list(numbers.values()))
    assert max(numbers.values()) == "2026-001005"


async def test_every_year_counts_from_one(store: SqliteStore) -> None:
    clock = ManualClock(datetime(2026, 12, 31, 23, tzinfo=UTC))
    register = Register(store, clock, QUICK)
    await put_drafts(store, [draft_of("a")])
    await register.number_some()
    clock.advance(hours=2)
    await put_drafts(store, [draft_of("b"), draft_of("c")])
    await register.number_some()
    assert sorted((await numbers_of(store)).values()) == ["2026-000001", "2027-000001", "2027-000002"]


async def test_a_clock_that_goes_back_over_new_year_leaves_no_gap(store: SqliteStore) -> None:
    late, early = (ManualClock(datetime(year, month, 1, tzinfo=UTC)) for year, month in ((2027, 1), (2026, 12)))
    await put_drafts(store, [draft_of("a")])
    await Register(store, early, QUICK).number_some()
    await store.write(Patch(REGISTER, "00000001", {"closed": True}))  # who did so died before the new page
    for account, clock in (("b", early), ("c", late), ("d", early)):
        await put_drafts(store, [draft_of(account)])
        await Register(store, clock, QUICK).number_some()
    numbers = await numbers_of(store)
    assert sorted(numbers.values()) == ["2026-000001", "2027-000001", "2027-000002", "2027-000003"]


@pytest.mark.parametrize("calls", range(7))
async def test_two_that_begin_a_page_and_disagree_about_the_year_number_no_draft_twice(
    store: SqliteStore, calls: int
) -> None:
    await put_drafts(store, [draft_of(f"a{n:04d}") for n in range(PAGE)])
    early = ManualClock(datetime(2026, 12, 31, tzinfo=UTC))
    await Register(store, early, QUICK).number_some()
    await put_drafts(store, [draft_of("b"), draft_of("c")])
    late = Register(store, ManualClock(datetime(2027, 1, 1, tzinfo=UTC)), QUICK)
    stalled = PausingStore(store)

    async def meanwhile() -> None:
        await late.number_some()

    stalled.pause_before(calls, meanwhile)
    await Register(stalled, early, QUICK).number_some()
    await late.number_some()
    numbers = await numbers_of(store)
    assert_gapless(list(numbers.values()))
    assert sum([await _keys(store, f"{page:08d}") for page in (1, 2, 3)]) == PAGE + 2


async def test_a_number_that_somebody_else_has_is_no_accident(store: SqliteStore) -> None:
    await put_drafts(store, [draft_of("a"), draft_of("b")])
    await store.write(Patch(INVOICES, draft_of("b").key, {"number": "2026-000001"}))
    with pytest.raises(InternalError, match="register_damaged"):
        await Register(store, ManualClock(), QUICK).number_some()


async def _keys(store: SqliteStore, page: str) -> int:
    document = await store.get(REGISTER, page)
    keys = document.body["keys"] if document is not None else []
    assert isinstance(keys, list)
    return len(keys)
