"""What a provider tells, in any order and any number of times: booked once, and never what he does not say again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import DeniedError, UnavailableError
from services.billing.domain.journal import Balances
from services.billing.domain.model import State as CustomerState
from services.billing.invoicing.documents import State as Stands
from services.billing.payments.model import Purpose, State
from services.billing.payments.payments import Wanted
from services.billing.payments.ports import Happened, Told
from services.billing.payments.taking import WEBHOOK_EVENTS
from tests.support.breaking_store import BreakingStore
from tests.unit.billing.payments.world import ACCOUNT, COLLECTIONS, Said, World

CREDITS = Wanted(Purpose.CREDITS, net=1000)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        yield World(store, Said())


async def _started(world: World, wanted: Wanted = CREDITS) -> str:
    return (await world.payments.start(await world.customer(), "r1", wanted)).payment_id


def _paid(payment_id: str) -> Told:
    return Told(Happened.PAID, payment_id, charge_ref="c1", customer_ref="cus_1")


async def test_a_payment_is_begun_once_and_paid_once(world: World) -> None:
    payment_id = await _started(world)
    assert await _started(world) == payment_id and world.provider.started == [payment_id]  # type: ignore[attr-defined]
    for event in ("e1", "e1", "e2"):
        await world.said(event, _paid(payment_id))
    payment = await world.payments.get(ACCOUNT, payment_id)
    assert (payment.state, payment.charge_ref, payment.url[:12]) == (State.PAID, "c1", "https://pay.")
    assert await world.books.verify(ACCOUNT) == Balances(1000, 0, 0)
    customer = await world.customer()
    assert customer.provider_ref == "cus_1"
    assert (await world.payments.portal(customer)).endswith("cus_1")


async def test_what_the_provider_does_not_say_again_does_not_count(world: World) -> None:
    payment_id = await _started(world)
    with pytest.raises(DeniedError, match="signature"):
        await world.said("e1", _paid(payment_id), signature="forged")
    await world.said("e2", Told(Happened.WAITS, payment_id))
    await world.said("e3", None)
    await world.said("e4", _paid("f" * 32))
    assert (await world.payments.get(ACCOUNT, payment_id)).state is State.WAITING
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    assert await world.store.count(WEBHOOK_EVENTS) == 3


async def test_what_expired_may_be_paid_after_all(world: World) -> None:
    payment_id = await _started(world)
    await world.said("e1", Told(Happened.FAILED, payment_id))
    assert (await world.payments.get(ACCOUNT, payment_id)).state is State.FAILED
    await world.said("e2", _paid(payment_id))
    assert (await world.books.verify(ACCOUNT)).credits == 1000


async def test_refunds_in_parts_and_whole(world: World) -> None:
    payment_id = await _started(world)
    await world.said("e1", _paid(payment_id))
    for event, amount in (("e2", 119), ("e3", 119), ("e4", 600)):
        await world.said(event, Told(Happened.REFUNDED, charge_ref="c1", amount=amount))
    assert (await world.books.verify(ACCOUNT)).credits == 1000 - 504
    await world.said("e5", Told(Happened.REFUNDED, charge_ref="c1", amount=1190))
    await world.said("e6", Told(Happened.REFUNDED, charge_ref="c1", amount=600))
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    assert (await world.payments.get(ACCOUNT, payment_id)).state is State.REFUNDED


async def test_what_is_given_back_of_an_invoice_is_credited_and_owed_by_nobody(world: World) -> None:
    await world.customer()
    number = await world.invoice()
    payment_id = await _started(world, Wanted(Purpose.INVOICE, number))
    await world.said("e1", _paid(payment_id))
    for event in ("e2", "e3"):
        await world.said(event, Told(Happened.REFUNDED, charge_ref="c1", amount=71))
        # Before the note is issued and after it: nobody is asked for money that was given back to him.
        assert (await world.invoices.get(ACCOUNT, number)).state is Stands.PAID
        await world.invoicing.run().turn()
        assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    await world.said("e4", Told(Happened.REFUNDED, charge_ref="c1", amount=1071))
    await world.invoicing.run().turn()
    invoice, *notes = await world.invoicing.all()
    assert (invoice.state, [one.gross for one in notes]) == (Stands.CREDITED, [71, 1000])
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    assert (await world.payments.get(ACCOUNT, payment_id)).state is State.REFUNDED


async def test_what_is_given_back_of_a_plan_is_what_is_prepaid_and_then_of_the_newest_invoices(world: World) -> None:
    payment_id = await _started(world, Wanted(Purpose.PLAN, "business"))
    await world.said("e1", _paid(payment_id))
    await world.said("e2", Told(Happened.RENEWED, payment_id, amount=2000, charge_ref="c2", own_ref="in_2"))
    number = await world.invoice()
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0, 2000)
    for event in ("e3", "e4"):
        await world.said(event, Told(Happened.REFUNDED, charge_ref="c2", amount=1500))
        assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0, 500)
    await world.said("e5", Told(Happened.REFUNDED, charge_ref="c1", amount=800))
    await world.invoicing.run().turn()
    (note,) = (await world.invoicing.all())[1:]
    assert (note.of, note.gross) == (number, 300)
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0, 0)
    assert (await world.invoices.get(ACCOUNT, number)).state is Stands.PAID


async def test_an_invoice_that_was_credited_before_gives_back_what_became_credits(world: World) -> None:
    await world.customer()
    number = await world.invoice()
    payment_id = await _started(world, Wanted(Purpose.INVOICE, number))
    await world.said("e1", _paid(payment_id))
    await world.invoicing.notes.credit(ACCOUNT, number, "by an officer", 571)
    await world.invoicing.run().turn()
    assert await world.books.verify(ACCOUNT) == Balances(571, 0, 0)
    await world.said("e2", Told(Happened.REFUNDED, charge_ref="c1", amount=571))
    await world.invoicing.run().turn()
    # What is left of the invoice was credited for it, so the credits of the first note are his.
    assert [one.gross for one in (await world.invoicing.all())[1:]] == [571, 500]
    assert await world.books.verify(ACCOUNT) == Balances(500, 0, 0)


async def test_a_dispute_and_its_end(world: World) -> None:
    payment_id = await _started(world)
    await world.said("e1", _paid(payment_id))
    for event in ("e2", "e3"):
        await world.said(event, Told(Happened.DISPUTED, charge_ref="c1"))
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    for event in ("e4", "e5"):
        await world.said(event, Told(Happened.WON, charge_ref="c1"))
    assert (await world.books.verify(ACCOUNT)).credits == 1000
    assert (await world.payments.get(ACCOUNT, payment_id)).state is State.PAID
    # Another one over the same payment.
    await world.said("e6", Told(Happened.DISPUTED, charge_ref="c1"))
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    await world.said("e7", Told(Happened.WON, charge_ref="c1"))
    assert (await world.books.verify(ACCOUNT)).credits == 1000


async def test_a_plan_is_had_when_it_is_paid_and_its_months_settle_invoices(world: World) -> None:
    payment_id = await _started(world, Wanted(Purpose.PLAN, "business"))
    assert (await world.customer()).plan == "free"
    await world.said("e1", _paid(payment_id))
    customer = await world.customer()
    assert (customer.plan, customer.state, customer.provider_ref) == ("business", CustomerState.TRIAL, "cus_1")
    assert (await world.books.verify(ACCOUNT)).prepaid == 1071
    assert world.provider.ended == [payment_id]  # type: ignore[attr-defined]
    first = await world.invoice()
    assert (await world.invoices.get(ACCOUNT, first)).state is Stands.PAID
    for event in ("e2", "e3"):
        await world.said(event, Told(Happened.RENEWED, payment_id, amount=1071, own_ref="in_2"))
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0, 1071)
    world.clock.advance(days=31)
    second = await world.invoice()
    assert (await world.invoices.get(ACCOUNT, second)).state is Stands.PAID
    # An invoice first, the money after.
    world.clock.advance(days=31)
    third = await world.invoice()
    assert (await world.invoices.get(ACCOUNT, third)).state is Stands.OPEN
    await world.said("e4", Told(Happened.RENEWED, payment_id, amount=1071, own_ref="in_3"))
    assert (await world.invoices.get(ACCOUNT, third)).state is Stands.PAID
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0, 0)


class TakingMachine(RuleBasedStateMachine):
    """Two payments, messages in any order and number, spending, deaths between any two writes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.store = self.run(SqliteStore.open(Path(self.directory.name), COLLECTIONS))
        self.breaking = BreakingStore(self.store)
        self.world = World(self.store, Said(), self.breaking)
        customer = self.run(self.world.customer())
        self.ids = [self.run(self.world.payments.start(customer, f"r{n}", CREDITS)).payment_id for n in range(2)]
        self.events = 0
        self.paid: set[int] = set()
        self.refunded = [0, 0]
        self.disputed: set[int] = set()

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def say(self, told: Told, times: int) -> None:
        self.events += 1
        for _ in range(times):
            try:
                self.run(self.world.said(f"e{self.events}", told))
            except UnavailableError:
                self.world.build(self.breaking)
        # The provider repeats until he is heard.
        self.breaking.after = None
        self.run(self.world.said(f"e{self.events}", told))

    @rule(writes=st.integers(0, 4), kept=st.booleans())
    def break_soon(self, writes: int, kept: bool) -> None:
        self.breaking.break_at(writes, kept=kept)

    @rule(which=st.integers(0, 1), times=st.integers(0, 2))
    def pays(self, which: int, times: int) -> None:
        self.paid.add(which)
        self.say(Told(Happened.PAID, self.ids[which], charge_ref=f"c{which}"), times)

    @rule(which=st.integers(0, 1), amount=st.sampled_from((1, 119, 595, 1190)), times=st.integers(0, 2))
    def refunds(self, which: int, amount: int, times: int) -> None:
        if which in self.paid and which not in self.disputed:
            self.refunded[which] = max(self.refunded[which], amount if amount > 1 else 0)
            self.say(Told(Happened.REFUNDED, charge_ref=f"c{which}", amount=max(2, amount) if amount > 1 else 0), times)

    @rule(which=st.integers(0, 1), times=st.integers(0, 2))
    def disputes(self, which: int, times: int) -> None:
        if which in self.paid and not self.refunded[which]:
            self.disputed.add(which)
            self.say(Told(Happened.DISPUTED, charge_ref=f"c{which}"), times)

    @rule(which=st.integers(0, 1), times=st.integers(0, 2))
    def wins(self, which: int, times: int) -> None:
        if which in self.disputed:
            self.disputed.discard(which)
            self.say(Told(Happened.WON, charge_ref=f"c{which}"), times)

    @invariant()
    def books_say_what_was_said(self) -> None:
        if self.breaking.after is not None:
            return
        while self.run(self.world.booking.step()):
            pass
        expected = 0
        for which in self.paid - self.disputed:
            back = self.refunded[which]
            expected += 1000 - (back - (2 * 190 * back + 1190) // (2 * 1190) if back < 1190 else 1000)
        assert self.run(self.world.books.verify(ACCOUNT)) == Balances(expected, 0, 0)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        self.directory.cleanup()


TestTaking = TakingMachine.TestCase
TestTaking.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
