"""Payments by transfer: found by what they bear, recorded once, taken back by two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
from services.billing.domain.journal import Balances
from services.billing.invoicing.documents import State as Stands
from services.billing.payments.manual import ManualProvider
from services.billing.payments.model import Purpose, State
from services.billing.payments.payments import Wanted
from services.billing.payments.references import new_reference, read_reference
from tests.support.breaking_store import BreakingStore
from tests.unit.billing.payments.world import ACCOUNT, COLLECTIONS, World

CREDITS = Wanted(Purpose.CREDITS, net=1000)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        yield World(store, ManualProvider())


async def test_credits_are_bought(world: World) -> None:
    customer = await world.customer()
    payment = await world.payments.start(customer, "r1", CREDITS)
    assert (payment.net, payment.tax, payment.amount, payment.state) == (1000, 190, 1190, State.WAITING)
    assert payment.reference and not payment.url
    assert await world.payments.start(customer, "r1", CREDITS) == await world.payments.get(ACCOUNT, payment.payment_id)
    assert [one.payment_id for one in (await world.payments.page(State.WAITING, 10)).payments] == [payment.payment_id]
    for _ in range(2):
        paid = await world.payments.record("officer", payment.reference.lower().replace("-", " "), 1190)
    assert (paid.state, paid.step, paid.recorded_by) == (State.PAID, None, "officer")
    assert await world.books.verify(ACCOUNT) == Balances(1000, 0, 0)


async def test_an_invoice_is_paid_by_its_payment_or_its_number(world: World) -> None:
    customer = await world.customer()
    number = await world.invoice()
    payment = await world.payments.start(customer, "r1", Wanted(Purpose.INVOICE, number))
    assert payment.amount == 1071
    await world.payments.record("officer", payment.reference, 1071)
    assert (await world.invoices.get(ACCOUNT, number)).state is Stands.PAID
    with pytest.raises(ConflictError, match="paid"):
        await world.payments.start(customer, "r2", Wanted(Purpose.INVOICE, number))
    world.clock.advance(days=31)
    second = await world.invoice()
    for _ in range(2):
        assert (await world.payments.record("officer", f" {second} ", 1071)).what == second
    assert (await world.books.verify(ACCOUNT)).due == 0


async def test_what_is_refused(world: World) -> None:
    customer = await world.customer()
    number = await world.invoice()
    payment = await world.payments.start(customer, "r1", CREDITS)
    for error, reason, reference, amount in (
        (ConflictError, "amount", payment.reference, 1189),
        (ConflictError, "amount", number, 1),
        (NotFoundError, "payment", new_reference(), 1190),
        (NotFoundError, "invoice", "2026-000099", 1190),
        (InvalidError, "reference", "hello", 1190),
        (InvalidError, "reference", "", 1190),
    ):
        with pytest.raises(error, match=reason):
            await world.payments.record("officer", reference, amount)
    for error, reason, request, wanted in (
        (InvalidError, "credits", "r2", Wanted(Purpose.CREDITS, net=999)),
        (InvalidError, "request_id", "", CREDITS),
        (ConflictError, "request_id", "r1", Wanted(Purpose.INVOICE, number)),
        (ConflictError, "not_needed", "r2", Wanted(Purpose.PLAN, "business")),
        (NotFoundError, "invoice", "r2", Wanted(Purpose.INVOICE, "2026-000099")),
    ):
        with pytest.raises(error, match=reason):
            await world.payments.start(customer, request, wanted)
    with pytest.raises(NotFoundError, match="payment"):
        await world.payments.get("a2", payment.payment_id)
    with pytest.raises(ConflictError, match="no_portal"):
        await world.payments.portal(customer)
    assert (await world.books.verify(ACCOUNT)) == Balances(0, 0, 1071)


async def test_a_transfer_goes_back_by_two(world: World) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    with pytest.raises(ConflictError, match="state"):
        await world.payments.ask_reversal("first", payment.payment_id)
    await world.payments.record("first", payment.reference, 1190)
    with pytest.raises(ConflictError, match="state"):
        await world.payments.confirm_reversal("second", payment.payment_id)
    for _ in range(2):
        asked = await world.payments.ask_reversal("first", payment.payment_id)
    assert (asked.state, (await world.books.balances(ACCOUNT)).credits) == (State.REVERSAL_ASKED, 1000)
    with pytest.raises(DeniedError, match="same_officer"):
        await world.payments.confirm_reversal("first", payment.payment_id)
    for _ in range(2):
        done = await world.payments.confirm_reversal("second", payment.payment_id)
    assert (done.state, done.confirmed_by) == (State.REVERSED, "second")
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    with pytest.raises(ConflictError, match="state"):
        await world.payments.record("first", payment.reference, 1190)


async def test_an_invoice_whose_payment_went_back_is_open_again(world: World) -> None:
    await world.customer()
    number = await world.invoice()
    payment = await world.payments.record("first", number, 1071)
    await world.payments.ask_reversal("first", payment.payment_id)
    await world.payments.confirm_reversal("second", payment.payment_id)
    assert (await world.invoices.get(ACCOUNT, number)).state is Stands.OPEN
    assert (await world.books.verify(ACCOUNT)).due == 1071


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("writes", range(4))
async def test_who_dies_while_recording_leaves_it_to_the_next(world: World, writes: int, kept: bool) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    breaking = BreakingStore(world.store)
    breaking.break_at(writes, kept=kept)
    world.build(breaking)
    try:
        await world.payments.record("officer", payment.reference, 1190)
    except UnavailableError:
        world.build(world.store)
        await world.booking.step()
        await world.payments.record("officer", payment.reference, 1190)
    assert await world.books.verify(ACCOUNT) == Balances(1000, 0, 0)
    assert (await world.payments.get(ACCOUNT, payment.payment_id)).step is None


async def test_two_officers_at_once_record_once(world: World) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    results = await asyncio.gather(
        *(world.payments.record(f"o{number}", payment.reference, 1190) for number in range(4)), return_exceptions=True
    )
    assert any(not isinstance(one, Exception) for one in results)
    assert await world.books.verify(ACCOUNT) == Balances(1000, 0, 0)


async def test_pages_of_payments(world: World) -> None:
    customer = await world.customer()
    made = []
    for number in range(5):
        made.append((await world.payments.start(customer, f"r{number}", CREDITS)).payment_id)
        world.clock.advance(1)
    first = await world.payments.page(State.WAITING, 3)
    rest = await world.payments.page(State.WAITING, 3, first.cursor)
    assert [one.payment_id for one in (*first.payments, *rest.payments)] == made and rest.cursor == ""
    for wrong in ("x", "1", "9" * 20 + ".a"):
        with pytest.raises(InvalidError, match="cursor"):
            await world.payments.page(State.WAITING, 3, wrong)


@given(st.integers(0, 9), st.integers(0, 30), st.integers(0, 8))
def test_mistakes_in_a_reference_are_noticed(place: int, other: int, swapped: int) -> None:
    reference = new_reference()
    assert read_reference(reference) == reference
    letters = list(reference.replace("-", ""))
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXY"
    wrong = letters.copy()
    wrong[place] = alphabet[other]
    exchanged = letters.copy()
    exchanged[swapped], exchanged[swapped + 1] = exchanged[swapped + 1], exchanged[swapped]
    for mistaken in (wrong, exchanged):
        if mistaken != letters:
            with pytest.raises(InvalidError):
                read_reference("".join(mistaken))
