"""Invoices are taken back: in parts, whole, once for a reference, never more than there was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from services.billing.invoicing.documents import Credit, Invoice, Kind, State
from services.billing.invoicing.notes import Notes, credit_of
from tests.support.breaking_store import BreakingStore
from tests.unit.billing.invoicing.world import COLLECTIONS, VAULT, World

NUMBER = "2026-000001"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        world = World(store)
        world.customer("a1", "business")
        await world.run().turn()
        yield world


async def test_a_part_and_then_the_rest(world: World) -> None:
    part = await world.notes.credit("a1", NUMBER, "complaint", 119)
    assert (part.net, part.tax) == (100, 19)
    assert await world.notes.credit("a1", NUMBER, "complaint", 119) == part
    await world.run().turn()
    assert (await world.books.balances("a1")).due == 1071 - 119
    rest = await world.notes.credit("a1", NUMBER, "all of it")
    assert (rest.net, rest.tax) == (800, 152)
    await world.run().turn()
    invoice, *notes = await world.all()
    assert (invoice.state, [one.kind for one in notes]) == (State.CREDITED, [Kind.CREDIT_NOTE] * 2)
    assert [(one.number, one.of, one.gross) for one in notes] == [
        ("2026-000002", NUMBER, 119),
        ("2026-000003", NUMBER, 952),
    ]
    assert (await world.books.verify("a1")).due == 0
    assert await world.invoices.due_day("a1") == 0
    told = json.loads((await world.invoices.file("a1", "2026-000002", "json")).content)
    assert (told["kind"], told["of"], told["gross"]) == ("credit_note", NUMBER, 119)


async def test_what_cannot_be_credited(world: World) -> None:
    await world.notes.credit("a1", NUMBER, "first", 833)
    for error, number, reference, gross in (
        (NotFoundError, "2026-000009", "x", 1),
        (ConflictError, NUMBER, "first", 832),
        (ConflictError, NUMBER, "second", 239),
        (ConflictError, NUMBER, "second", 0),
        (ConflictError, NUMBER, "second", -5),
        (InvalidError, NUMBER, "", 5),
    ):
        with pytest.raises(error):
            await world.notes.credit("a1", number, reference, gross)
    with pytest.raises(NotFoundError):
        await world.notes.credit("a2", NUMBER, "x", 1)
    await world.run().turn()
    with pytest.raises(NotFoundError):
        await world.notes.credit("a1", "2026-000002", "of a note", 1)


async def test_up_to_an_amount_takes_what_is_left(world: World) -> None:
    assert await world.notes.credit_up_to("a1", NUMBER, "first", 1000) == 1000
    assert await world.notes.credit_up_to("a1", NUMBER, "second", 1000) == 71
    # Asked again, it is what it was.
    assert await world.notes.credit_up_to("a1", NUMBER, "first", 1000) == 1000
    assert await world.notes.credit_up_to("a1", NUMBER, "second", 1000) == 71
    assert await world.notes.credit_up_to("a1", NUMBER, "third", 1) == 0
    await world.run().turn()
    assert (await world.books.verify("a1")).due == 0
    with pytest.raises(NotFoundError):
        await world.notes.credit_up_to("a1", "2026-000009", "x", 1)


async def test_of_two_at_once_only_as_much_as_there_is(world: World) -> None:
    asked = (world.notes.credit("a1", NUMBER, f"r{number}", 357) for number in range(5))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, ConflictError) for one in results) == 2
    await world.run().turn()
    assert (await world.books.verify("a1")).due == 0


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("writes", range(3))
async def test_who_dies_amid_a_credit(world: World, writes: int, kept: bool) -> None:
    breaking = BreakingStore(world.store)
    breaking.break_at(writes, kept=kept)
    with pytest.raises(UnavailableError):
        await Notes(breaking, world.clock, VAULT).credit("a1", NUMBER, "r", 1071)
    await world.run().turn()
    await world.notes.credit("a1", NUMBER, "r", 1071)
    await world.run().turn()
    assert len(await world.all()) == 2
    assert (await world.books.verify("a1")).due == 0


@given(st.lists(st.integers(1, 400), max_size=8))
def test_parts_come_to_the_whole_tax(parts: list[int]) -> None:
    invoice = Invoice("k", "a1", Kind.INVOICE, 681, "", 933, 177, "EUR", 14, State.OPEN, None, NUMBER)
    done: tuple[Credit, ...] = ()
    for number, part in enumerate(parts):
        left = invoice.gross - sum(one.gross for one in done)
        if not left:
            break
        done = (*done, credit_of(replace(invoice, credits=done), str(number), part, at_most=True))
        assert done[-1].gross == min(part, left) and done[-1].net > 0 and done[-1].tax >= 0
        # Of all together, the share; what cannot be had of single cents is had with the next ones.
        net, tax = (sum(getattr(one, name) for one in done) for name in ("net", "tax"))
        assert abs(tax * invoice.net - invoice.tax * net) <= 4 * invoice.gross
    if sum(one.gross for one in done) == invoice.gross:
        assert sum(one.tax for one in done) == invoice.tax
