"""Months are billed once and whole: whoever dies at which write, and however many lead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from services.billing.domain.customers import Details
from services.billing.domain.journal import Kind as Entered
from services.billing.domain.journal import Posting
from services.billing.domain.model import Meter
from services.billing.invoicing.documents import INVOICES, State
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock
from tests.unit.billing.invoicing.world import COLLECTIONS, FIRST, LAST, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        yield World(store)


async def test_a_month_is_billed(world: World) -> None:
    world.customer("a1", "personal")
    world.customer("a2", "free")
    world.customer("a3", "growth", FIRST + 16)
    world.used.days["a3"] = {FIRST + 20: {Meter.MAILS_DELIVERED: 13_000}, FIRST + 21: {Meter.MAILS_DELIVERED: 1000}}
    await world.run().turn()
    personal, growth = await world.all()
    assert (personal.number, personal.net, personal.tax, personal.state) == ("2026-000001", 300, 57, State.OPEN)
    # Half of October: 15 of 31 days, 12,097 of 25,000 mails included; two lots of 1,000 begun above that.
    assert (growth.number, growth.net) == ("2026-000002", 726 + 2 * 70)
    assert (await world.books.balances("a3")).due == growth.gross
    assert (personal.issued_day, personal.due_day) == (LAST + 3, LAST + 17)
    await world.run().turn()
    assert len(await world.all()) == 2
    file = await world.invoices.file("a3", growth.number, "json")
    told = json.loads(file.content)
    assert (told["gross"], told["tax"]["percent"], told["payer"]["name"]) == (growth.gross, "19", "Größe & Söhne")
    assert [line["units"] for line in told["lines"]] == [15, 1903]
    assert (told["period"], len(told["usage"])) == ({"first": "2026-10-01", "last": "2026-10-31"}, 2)


async def test_a_month_is_billed_when_late_use_of_it_is_counted(world: World) -> None:
    world.customer("a1", "personal", FIRST, FIRST + 400)
    world.clock = ManualClock(datetime(2026, 11, 2, 23, 59, tzinfo=UTC))
    await world.run().turn()
    assert await world.all() == []
    world.clock.advance(minutes=1)
    await world.run().turn()
    world.clock.advance(days=31)
    await world.run().turn()
    assert [one.number for one in await world.all()] == ["2026-000001", "2026-000002"]


@pytest.mark.parametrize("kept", [False, True])
async def test_who_dies_at_any_write_leaves_nothing_out_and_nothing_twice(world: World, kept: bool) -> None:
    for number in range(7):
        world.customer(f"a{number}", "personal")
    for writes in range(0, 40):
        breaking = BreakingStore(world.store)
        breaking.break_at(writes, kept=kept)
        run = world.run(breaking)
        try:
            await run.turn()
        except UnavailableError:
            continue
        break
    else:
        pytest.fail("a run that never comes to its end")
    found = await world.all()
    assert [one.number for one in found] == [f"2026-{number:06d}" for number in range(1, 8)]
    assert {one.account_id for one in found} == set(world.accounts.spans)
    for one in found:
        assert (await world.books.verify(one.account_id)).due == 357
        assert (one.state, one.step) == (State.OPEN, None)


async def test_two_who_lead_at_once_bill_once(world: World) -> None:
    for number in range(30):
        world.customer(f"a{number:02d}", "business")
    await asyncio.gather(*(world.run().turn() for _ in range(3)), return_exceptions=True)
    await world.run().turn()
    found = await world.all()
    assert [one.number for one in found] == [f"2026-{number:06d}" for number in range(1, 31)]
    assert {(await world.books.balances(one.account_id)).due for one in found} == {900 + 171}


async def test_what_is_paid_is_what_the_books_say(world: World) -> None:
    world.customer("a1", "personal")
    await world.run().turn()
    (invoice,) = await world.all()
    assert await world.invoices.due_day("a1") == invoice.due_day
    assert (await world.invoices.settle("a1", invoice.number)).state is State.OPEN
    await world.books.post("a1", Posting(Entered.PAID, "p1", (300,), of=f"invoice/{invoice.number}"))
    assert (await world.invoices.settle("a1", invoice.number)).state is State.OPEN
    await world.books.post("a1", Posting(Entered.PAID, "p2", (57,), of=f"invoice/{invoice.number}"))
    assert (await world.invoices.settle("a1", invoice.number)).state is State.PAID
    assert (await world.invoices.due_day("a1"), await world.invoices.overdue(invoice.due_day + 9, 10)) == (0, [])
    await world.books.post("a1", Posting(Entered.REVERSED, "r2", (), of="p2"))
    assert (await world.invoices.settle("a1", invoice.number)).state is State.OPEN
    assert [one.number for one in await world.invoices.overdue(invoice.due_day, 10)] == [invoice.number]


async def test_nobody_reads_the_invoices_of_others(world: World) -> None:
    world.customer("a1", "personal")
    await world.run().turn()
    for account, number in (("a2", "2026-000001"), ("a1", "2026-000002"), ("a1", "")):
        with pytest.raises(NotFoundError, match="invoice"):
            await world.invoices.file(account, number, "pdf")
    with pytest.raises(InvalidError, match="form"):
        await world.invoices.file("a1", "2026-000001", "xml")
    assert (await world.invoices.list("a2", 10)).invoices == ()


async def test_lists_are_read_by_pages(world: World) -> None:
    world.customer("a1", "personal", FIRST, FIRST + 400)
    for _ in range(5):
        await world.run().turn()
        world.clock.advance(days=31)
    first = await world.invoices.list("a1", 3)
    rest = await world.invoices.list("a1", 3, first.cursor)
    assert [one.number for one in (*first.invoices, *rest.invoices)] == sorted(
        [one.number for one in await world.all()], reverse=True
    )
    assert (len(first.invoices), len(rest.invoices), rest.cursor) == (3, 2, "")
    for wrong in ("x", "-1", "9" * 30):
        with pytest.raises(InvalidError, match="cursor"):
            await world.invoices.list("a1", 3, wrong)


async def test_who_pays_stands_nowhere_in_clear(world: World) -> None:
    world.customer("a1", "personal")
    world.accounts.payers["a1"] = Details("Musterfrau und Partner", ("Hinterhof 7",), "DE", "DE129273398")
    await world.run().turn()
    (invoice,) = await world.all()
    document = await world.store.get(INVOICES, invoice.key)
    assert document is not None
    for word in ("Musterfrau", "Hinterhof", "129273398"):
        assert word not in str(document.body) and word.encode() not in bytes(str(document.body["content"]), "utf-8")
    assert b"Musterfrau" in (await world.invoices.file("a1", invoice.number, "json")).content
