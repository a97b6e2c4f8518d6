"""A day is compared once: what is held and not counted shows, what was deleted does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Meter, Profile
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS
from services.billing.metering.intake import Intake, Use
from services.billing.metering.log import METER_LOG
from services.billing.metering.reconciling import RECONCILIATIONS, Reconciler, Reconciliation
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.clock import ManualClock


class Holding:
    """What there is of a day, by what a customer's use stands under."""

    def __init__(self, meter: Meter, subject: Callable[[Customer], str]) -> None:
        self.meter, self.counted_for = meter, subject
        self.mails: dict[str, int] = {}
        self.asked: list[int] = []
        self.away = False

    async def held(self, subjects: Sequence[str], day: int) -> Mapping[str, int]:
        """See Inventory."""
        if self.away:
            raise UnavailableError("unreachable")
        self.asked.append(day)
        return {one: self.mails[one] for one in subjects if one in self.mails}


class World:
    """A customer with a mailbox for each of three accounts."""

    def __init__(self, store: SqliteStore) -> None:
        self.clock = ManualClock()
        self.storage = Holding(Meter.MAILS_STORED, lambda one: one.mailbox_id)
        self.delivery = Holding(Meter.MAILS_DELIVERED, lambda one: one.account_id if one.mailbox_id else "")
        vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
        self.customers = Customers(store, vault, self.clock, gone_of(store), lambda profile, day: "free")
        self.intake = Intake(store, KeyedHash(Secret(b"h" * 32)), self.clock, 40)
        self.reconciler = Reconciler(store, self.clock, Counting(store), self.customers, [self.storage, self.delivery])

    @property
    def today(self) -> int:
        return unix_seconds(self.clock) // DAY

    async def use(self, subject: str, count: int, day: int, meter: Meter = Meter.MAILS_STORED) -> None:
        await self.intake.take([Use(f"{subject}{n}", subject, meter, day) for n in range(count)])

    async def newest(self, meter: Meter = Meter.MAILS_STORED) -> list[Reconciliation]:
        """Return what came of the days of a meter."""
        return [one for one in await self.reconciler.newest(10) if one.meter is meter]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(
        tmp_path, (CUSTOMERS, GONE, METER_LOG, STATE, COUNTERS, RECONCILIATIONS)
    ) as store:
        world = World(store)
        for number in range(3):
            await world.customers.known(f"a{number}", f"m{number}", Profile.SEALED)
        await world.customers.known("guest", "", Profile.GUEST)
        yield world


async def test_what_is_held_and_not_counted_shows(world: World) -> None:
    yesterday = world.today
    await world.use("m0", 5, yesterday)
    await world.use("m1", 4, yesterday)
    # m0 has deleted one; of m2 nobody has counted two.
    world.storage.mails = {"m0": 4, "m1": 4, "m2": 2}
    world.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await world.reconciler.step()
    (found,) = await world.newest()
    assert found == Reconciliation(yesterday, Meter.MAILS_STORED, counted=9, owned=11, late=0)


async def test_what_was_delivered_and_not_counted_shows_apart(world: World) -> None:
    yesterday = world.today
    await world.use("m0", 2, yesterday)
    await world.use("a0", 7, yesterday, Meter.MAILS_DELIVERED)
    world.storage.mails = {"m0": 2}
    world.delivery.mails = {"a0": 7, "a1": 1}
    world.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await world.reconciler.step()
    assert sorted(await world.reconciler.newest(1), key=lambda one: one.meter) == [
        Reconciliation(yesterday, Meter.MAILS_DELIVERED, counted=7, owned=8, late=0),
        Reconciliation(yesterday, Meter.MAILS_STORED, counted=2, owned=2, late=0),
    ]


async def test_each_day_is_looked_at_once_and_when_it_is_over(world: World) -> None:
    await world.reconciler.step()
    before = len(world.storage.asked)
    await world.reconciler.step()
    assert len(world.storage.asked) == before == 1
    world.clock.advance(DAY)
    await world.reconciler.step()
    assert [one.day for one in await world.newest()] == sorted(world.storage.asked, reverse=True)
    assert len(set(world.storage.asked)) == 2


async def test_what_came_too_late_is_told(world: World) -> None:
    await world.use("m0", 3, world.today - 100)
    world.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await world.reconciler.step()
    assert [one.late for one in await world.newest()] == [3]
    assert [one.late for one in await world.newest(Meter.MAILS_DELIVERED)] == [0]


async def test_while_storage_is_away_the_day_waits(world: World) -> None:
    world.storage.away = True
    with pytest.raises(UnavailableError):
        await world.reconciler.step()
    assert await world.reconciler.newest(1) == []
    world.storage.away, world.delivery.away = False, True
    with pytest.raises(UnavailableError):
        await world.reconciler.step()
    assert (len(await world.newest()), await world.newest(Meter.MAILS_DELIVERED)) == (1, [])
    world.delivery.away = False
    await world.reconciler.step()
    assert (len(await world.newest()), len(await world.newest(Meter.MAILS_DELIVERED))) == (1, 1)
