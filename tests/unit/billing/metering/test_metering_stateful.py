"""Any order, repetition, second process or death between any two writes leaves the counters exact."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from services.billing.domain.model import DAY, Meter
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake, Use
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

HASHES = KeyedHash(Secret(b"7" * 64))
SUBJECTS = ("a", "b", "c")
METERS = (Meter.MAILS_STORED, Meter.PIECES)


class MeteringMachine(RuleBasedStateMachine):
    """Events with ids, told in any way to two processes that die at any write."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.inner = self.run(SqliteStore.open(Path(self.directory.name), (GONE, METER_LOG, STATE, COUNTERS)))
        self.stores = [BreakingStore(self.inner), BreakingStore(self.inner)]
        self.intakes = [self._intake(0), self._intake(1)]
        # What was ever told and acknowledged, and what was told but not.
        self.counted: dict[str, Use] = {}
        self.doubtful: dict[str, Use] = {}

    def _intake(self, which: int) -> Intake:
        return Intake(self.stores[which], HASHES, self.clock, keep_days=40)

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def use(self, number: int) -> Use:
        """Return the event of a number: always the same."""
        day = unix_seconds(ManualClock()) // DAY - number % 3
        return Use(f"e{number}", SUBJECTS[number % 3], METERS[number % 2], day, 1 + number % 4)

    @rule(which=st.integers(0, 1), writes=st.integers(0, 3), kept=st.booleans())
    def break_soon(self, which: int, writes: int, kept: bool) -> None:
        self.stores[which].break_at(writes, kept=kept)

    @rule(which=st.integers(0, 1), numbers=st.lists(st.integers(0, 60), max_size=25))
    def tell(self, which: int, numbers: list[int]) -> None:
        uses = [self.use(number) for number in numbers]
        told = {use.use_id: use for use in uses}
        try:
            self.run(self.intakes[which].take(uses))
        except UnavailableError:
            self.doubtful |= told
        else:
            self.counted |= told

    @rule(which=st.integers(0, 1))
    def start_again(self, which: int) -> None:
        self.intakes[which] = self._intake(which)

    @rule(which=st.integers(0, 1))
    def add_up(self, which: int) -> None:
        try:
            self.run(Folder(self.stores[which], gone_of(self.stores[which])).step())
        except UnavailableError:
            return

    def tell_again_what_is_in_doubt(self) -> None:
        for which in (0, 1):
            self.stores[which].after = None
        self.run(self.intakes[0].take(list(self.doubtful.values())))
        self.counted |= self.doubtful
        self.doubtful = {}

    @rule()
    def counters_are_exact(self) -> None:
        self.tell_again_what_is_in_doubt()
        while self.run(Folder(self.inner, gone_of(self.inner)).step()):
            pass
        found = self.run(Counting(self.inner).of(SUBJECTS, 0, 10**6))
        expected: dict[int, dict[Meter, int]] = {}
        for use in self.counted.values():
            day = expected.setdefault(use.day, {})
            day[use.meter] = day.get(use.meter, 0) + use.units
        assert found == expected

    def teardown(self) -> None:
        self.counters_are_exact()
        self.run(self.inner.close())
        self.loop.close()
        self.directory.cleanup()


MeteringMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMetering = MeteringMachine.TestCase
