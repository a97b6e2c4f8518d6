"""Two leaders, deaths between any two writes, and new years: every draft gets one number, and none is left out."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.docstore.sqlite import SqliteStore
from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError
from services.billing.invoicing.documents import INVOICES
from services.billing.invoicing.register import REGISTER, Register
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock
from tests.unit.billing.invoicing.support import PausingStore, assert_gapless, draft_of, numbers_of, put_drafts

QUICK = Backoff(first=0.0, ceiling=0.0, attempts=20)


class RegisterMachine(RuleBasedStateMachine):
    """Two leaders with clocks of their own; the first can be stopped before any call and go on after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.inner = self.run(SqliteStore.open(Path(self.directory.name), (INVOICES, REGISTER)))
        self.breaking = BreakingStore(self.inner)
        self.pausing = PausingStore(self.breaking)
        self.clocks = [ManualClock(datetime(2026, 12, 30, tzinfo=UTC)) for _ in range(2)]
        self.begin_again()
        self.drafts = 0

    def begin_again(self) -> None:
        """Start both processes; what they remember of pages is gone."""
        self.first = Register(self.pausing, self.clocks[0], QUICK, size=7)
        self.second = Register(self.breaking, self.clocks[1], QUICK, size=7)

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(count=st.integers(1, 9))
    def draft(self, count: int) -> None:
        made = [draft_of(f"a{self.drafts + n:05d}") for n in range(count)]
        self.drafts += count
        self.run(put_drafts(self.inner, made, made=self.drafts))

    @rule(clock=st.integers(0, 1), days=st.sampled_from((1, 3, 366)))
    def time_passes(self, clock: int, days: int) -> None:
        self.clocks[clock].advance(days=days)

    @rule(writes=st.integers(0, 3), kept=st.booleans())
    def break_soon(self, writes: int, kept: bool) -> None:
        self.breaking.break_at(writes, kept=kept)

    @rule(first=st.booleans())
    def number(self, first: bool) -> None:
        try:
            self.run((self.first if first else self.second).number_some())
        except UnavailableError:
            self.begin_again()

    @rule(calls=st.integers(0, 7), times=st.integers(1, 3), count=st.integers(0, 5))
    def stall(self, calls: int, times: int, count: int) -> None:
        """Stop the first leader, let drafts come and the second one number, then let the first go on."""

        async def meanwhile() -> None:
            made = [draft_of(f"a{self.drafts + n:05d}") for n in range(count)]
            self.drafts += count
            await put_drafts(self.inner, made, made=self.drafts)
            for _ in range(times):
                await self.second.number_some()

        self.pausing.pause_before(calls, meanwhile)
        self.number(True)

    @invariant()
    def no_gap_and_no_double(self) -> None:
        registered = self.run(self.registered())
        assert len(registered) == len(set(registered))
        numbers = self.run(numbers_of(self.inner))
        given = [number for number in numbers.values() if number]
        assert len(given) == len(set(given))

    async def registered(self) -> list[str]:
        found: list[str] = []
        ordinal = 1
        while (page := await self.inner.get(REGISTER, f"{ordinal:08d}")) is not None:
            keys = page.body["keys"]
            assert isinstance(keys, list)
            found += [str(key) for key in keys]
            ordinal += 1
        return found

    def teardown(self) -> None:
        register = Register(self.inner, self.clocks[1], QUICK, size=7)
        while self.run(register.number_some()):
            pass
        numbers = self.run(numbers_of(self.inner))
        assert len(numbers) == self.drafts
        assert_gapless(list(numbers.values()))
        assert sorted(self.run(self.registered())) == sorted(numbers)
        self.run(self.inner.close())
        self.loop.close()
        self.directory.cleanup()


def test_any_order_of_leaders_deaths_and_years() -> None:
    machine = RegisterMachine.TestCase
    machine.settings = settings(
        max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    machine("runTest").runTest()
