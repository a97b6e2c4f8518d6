"""A store with grants, real metering, and plans that a test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.envelope import KeyedHash
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import SealpostError, UnavailableError
from libs.runtime.secret import Secret
from services.billing.allowance.counts import GRANTS
from services.billing.allowance.grants import Grants, Result
from services.billing.allowance.model import Ask, Granted, PlanLimits
from services.billing.allowance.settling import Settling
from services.billing.domain.model import DAY, Allowance, Meter, Per, Profile, State, Tier
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake, Use
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.clock import ManualClock


def per_day(meter: Meter, included: int, *tiers: Tier) -> tuple[Meter, Allowance]:
    return meter, Allowance(meter, Per.DAY, included, tiers)


SMALL = PlanLimits(
    dict(
        [
            per_day(Meter.SENDS, 500),
            per_day(Meter.API_OPERATIONS, 20_000),
            (Meter.STORAGE_BYTES, Allowance(Meter.STORAGE_BYTES, Per.LEVEL, 1000)),
        ]
    ),
    State.FREE,
)


class FakePlans:
    """The same plan for everybody, but for those that have one of their own."""

    def __init__(self) -> None:
        self.plan = SMALL
        self.own: dict[str, PlanLimits | SealpostError] = {}

    async def limits_of(self, account_id: str, mailbox_id: str, profile: Profile) -> PlanLimits:
        found = self.own.get(account_id, self.plan)
        if isinstance(found, SealpostError):
            raise found
        return found


class FlakyRecorder:
    """Metering, whose answer is lost as often as a test says."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.lost = 0

    async def take(self, uses: Sequence[Use]) -> int:
        counted = await self._intake.take(uses)
        if self.lost:
            self.lost -= 1
            raise UnavailableError("deadline")
        return counted


@dataclass
class World:
    store: Store
    clock: ManualClock
    recorder: FlakyRecorder
    plans: FakePlans = field(default_factory=FakePlans)

    @property
    def grants(self) -> Grants:
        """Return a process that grants: any number may be made."""
        return Grants(self.store, self.plans, self.recorder, self.clock)

    @property
    def settling(self) -> Settling:
        return Settling(self.store, self.recorder, self.clock)

    @property
    def today(self) -> int:
        return unix_seconds(self.clock) // DAY

    async def one(self, ask: Ask) -> Granted:
        """Return what is granted; raises what failed."""
        (result,) = await self.grants.grant([ask])
        return granted(result)

    async def charged(self, account_id: str, day: int) -> Mapping[Meter, int]:
        """Return what metering has counted."""
        folder = Folder(self.store, gone_of(self.store))
        while await folder.step():
            pass
        found = await Counting(self.store).of([account_id], day, day)
        return {meter: units for meter, units in found.get(day, {}).items() if units}


def granted(result: Result) -> Granted:
    if isinstance(result, SealpostError):
        raise result
    return result


def ask(account_id: str = "a", meter: Meter | None = Meter.SENDS, wanted: int = 0, **more: int) -> Ask:
    made = Ask(account_id, "m", Profile.SEALED, meter, wanted)
    return replace(made, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def world(home: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    async with await SqliteStore.open(home, (GRANTS, GONE, METER_LOG, STATE, COUNTERS)) as store:
        yield World(store, clock, FlakyRecorder(Intake(store, KeyedHash(Secret(b"a" * 64)), clock, keep_days=40)))
