"""Any order of happenings, repeated and broken off between any two writes, leaves books balanced and exact."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, ExhaustedError, NotFoundError, UnavailableError
from services.billing.domain.journal import Kind, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from services.billing.ledger.holds import Holds
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

ACCOUNTS = st.sampled_from(("a", "b"))
JOBS = st.sampled_from(("j1", "j2", "j3"))
AMOUNTS = st.integers(1, 300)
LAPSE = 100


class BooksMachine(RuleBasedStateMachine):
    """A model that knows what has happened, against books that die at any write."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.inner = self.run(SqliteStore.open(Path(self.directory.name), (BOOKS,)))
        self.store = BreakingStore(self.inner)
        self.books = Books(self.store, self.clock)
        self.reader = Books(self.inner, self.clock)
        self.holds = Holds(self.books, self.store, self.clock, LAPSE)
        self.credits: Counter[str] = Counter()
        self.open: dict[tuple[str, str], int] = {}
        self.ended: set[tuple[str, str]] = set()
        self.payments = 0

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def until_done(self, make: Any) -> Any:
        """Repeat what was broken off, as every caller does."""
        while True:
            try:
                return self.run(make())
            except UnavailableError:
                continue

    @initialize()
    def begin(self) -> None:
        for account in ("a", "b"):
            self.buy(account, 500, 1)

    @rule(writes=st.integers(0, 2), kept=st.booleans())
    def break_soon(self, writes: int, kept: bool) -> None:
        self.store.break_at(writes, kept=kept)

    @rule(account=ACCOUNTS, amount=AMOUNTS, times=st.integers(1, 3))
    def buy(self, account: str, amount: int, times: int) -> None:
        self.payments += 1
        posting = Posting(Kind.CREDITS_BOUGHT, f"payment/{self.payments}", (amount, 0))
        for _ in range(times):
            self.until_done(lambda: self.books.post(account, posting))
        self.credits[account] += amount

    @rule(account=ACCOUNTS, job=JOBS, amount=AMOUNTS)
    def hold(self, account: str, job: str, amount: int) -> None:
        known = (account, job) in self.ended or (account, job) in self.open
        try:
            self.until_done(lambda: self.holds.hold(account, job, amount))
        except ExhaustedError:
            assert amount > self.credits[account]
        except ConflictError:
            assert known
        else:
            if not known:
                self.credits[account] -= amount
                self.open[account, job] = amount

    @rule(account=ACCOUNTS, job=JOBS, amount=st.integers(0, 300))
    def capture(self, account: str, job: str, amount: int) -> None:
        held = self.open.get((account, job))
        try:
            self.until_done(lambda: self.holds.capture(account, job, amount))
        except (NotFoundError, ConflictError):
            assert held is None or amount > held
        else:
            if held is not None:
                self.credits[account] += held - amount
                self._ended(account, job)

    @rule(account=ACCOUNTS, job=JOBS)
    def release(self, account: str, job: str) -> None:
        held = self.open.get((account, job))
        try:
            self.until_done(lambda: self.holds.release(account, job))
        except (NotFoundError, ConflictError):
            assert held is None
        else:
            if held is not None:
                self.credits[account] += held
                self._ended(account, job)

    @rule()
    def lapse(self) -> None:
        self.clock.advance(LAPSE)
        while self.until_done(self.holds.sweep):
            pass
        for (account, job), amount in list(self.open.items()):
            self.credits[account] += amount
            self._ended(account, job)

    @invariant()
    def books_say_what_happened(self) -> None:
        for account in ("a", "b"):
            stands = self.run(self.reader.verify(account))
            held = sum(amount for (owner, _), amount in self.open.items() if owner == account)
            assert (stands.credits, stands.held, stands.due) == (self.credits[account], held, 0)

    def _ended(self, account: str, job: str) -> None:
        del self.open[account, job]
        self.ended.add((account, job))

    def teardown(self) -> None:
        self.run(self.inner.close())
        self.loop.close()
        self.directory.cleanup()


BooksMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBooks = BooksMachine.TestCase
