"""Payments, refunds, reversals and disputes in any order, twice, and broken off: no money is made and none is lost."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, UnavailableError
from services.billing.domain.journal import Book, Kind, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

AMOUNTS = st.integers(1, 300)
NUMBERS = st.integers(0, 3)


class PaymentsMachine(RuleBasedStateMachine):
    """One book, and a model that knows only where money is: with the provider or with the customer."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.inner = self.run(SqliteStore.open(Path(self.directory.name), (BOOKS,)))
        self.store = BreakingStore(self.inner)
        self.books = Books(self.store, ManualClock())
        self.count = 0
        # What of each payment is with us.
        self.here: dict[str, int] = {}
        self.disputed: dict[str, int] = {}
        self.invoices: list[str] = []

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def post(self, kind: Kind, *amounts: int, of: str = "") -> str:
        """Post until it is known to be done, and once more; return the reference."""
        self.count += 1
        posting = Posting(kind, f"{kind.value}{self.count}", amounts, of=of)
        done = 0
        while done < 2:
            try:
                self.run(self.books.post("a", posting))
                done += 1
            except UnavailableError:
                continue
        return posting.reference

    def pick(self, number: int) -> str:
        names = list(self.here)
        return names[number % len(names)] if names else "none"

    @rule(writes=st.integers(0, 1), kept=st.booleans())
    def break_soon(self, writes: int, kept: bool) -> None:
        self.store.break_at(writes, kept=kept)

    @rule(net=AMOUNTS, tax=st.integers(0, 50))
    def buy(self, net: int, tax: int) -> None:
        self.here[self.post(Kind.CREDITS_BOUGHT, net, tax)] = net + tax

    @rule(net=AMOUNTS, tax=st.integers(0, 50))
    def invoice(self, net: int, tax: int) -> None:
        self.invoices.append(self.post(Kind.INVOICED, net, tax))

    @rule(number=NUMBERS, amount=AMOUNTS)
    def pay(self, number: int, amount: int) -> None:
        if self.invoices:
            of = self.invoices[number % len(self.invoices)]
            self.here[self.post(Kind.PAID, amount, of=of)] = amount

    @rule(amount=AMOUNTS)
    def prepay(self, amount: int) -> None:
        self.here[self.post(Kind.PREPAID, amount)] = amount

    @rule(number=NUMBERS, amount=AMOUNTS)
    def settle(self, number: int, amount: int) -> None:
        if self.invoices:
            try:
                self.post(Kind.SETTLED, amount, of=self.invoices[number % len(self.invoices)])
            except (ConflictError, ExhaustedError):
                return

    @rule(number=NUMBERS, net=AMOUNTS, tax=st.integers(0, 50))
    def credit(self, number: int, net: int, tax: int) -> None:
        if self.invoices:
            try:
                self.post(Kind.CREDIT_NOTE, net, tax, of=self.invoices[number % len(self.invoices)])
            except ConflictError:
                return

    @rule(amount=AMOUNTS)
    def hold(self, amount: int) -> None:
        try:
            self.post(Kind.HELD, amount)
        except ExhaustedError:
            assert amount > self.run(self.books.balances("a")).credits

    @rule(number=NUMBERS, kind=st.sampled_from([Kind.REVERSED, Kind.DISPUTED]))
    def goes_back(self, number: int, kind: Kind) -> None:
        payment = self.pick(number)
        try:
            self.post(kind, of=payment)
        except (ConflictError, NotFoundError):
            assert not self.here.get(payment)
        else:
            if kind is Kind.DISPUTED:
                self.disputed[payment] = self.here[payment]
            self.here[payment] = 0

    @rule(number=NUMBERS)
    def won(self, number: int) -> None:
        payment = self.pick(number)
        try:
            self.post(Kind.DISPUTE_WON, of=payment)
        except NotFoundError:
            assert payment not in self.disputed
        else:
            self.here[payment] = self.disputed.pop(payment)

    @rule(number=NUMBERS, net=AMOUNTS, tax=st.sampled_from((0, 0, 1, 7)))
    def refund(self, number: int, net: int, tax: int) -> None:
        payment = self.pick(number)
        try:
            self.post(Kind.REFUNDED, net, tax, of=payment)
        except (ConflictError, ExhaustedError, InvalidError, NotFoundError):
            return
        self.here[payment] -= net + tax
        assert self.here[payment] >= 0

    @invariant()
    def money_is_where_it_is(self) -> None:
        self.run(Books(self.inner, ManualClock()).verify("a"))
        last = self.run(self.books.last("a"))
        assert (last.after.get(Book.CLEARING, 0) if last else 0) == sum(self.here.values())

    def teardown(self) -> None:
        self.run(self.inner.close())
        self.loop.close()
        self.directory.cleanup()


PaymentsMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPayments = PaymentsMachine.TestCase
