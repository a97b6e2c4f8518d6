"""A day is compared once: what is held and not counted shows, what was deleted does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.model import DAY, Meter, Profile
from services.billing.domain.vault import Vault
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS
from services.billing.metering.intake import Intake, Use
from services.billing.metering.log import METER_LOG
from services.billing.metering.reconciling import RECONCILIATIONS, Reconciler
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.clock import ManualClock


class Storage:
    """What mailboxes hold of a day."""

    def __init__(self) -> None:
        self.mails: dict[str, int] = {}
        self.asked: list[int] = []
        self.away = False

    async def held(self, mailbox_ids: Sequence[str], day: int) -> Mapping[str, int]:
        """See Inventories."""
        if self.away:
            raise UnavailableError("unreachable")
        self.asked.append(day)
        return {one: self.mails[one] for one in mailbox_ids if one in self.mails}


class World:
    """A customer with a mailbox for each of three accounts."""

    def __init__(self, store: SqliteStore) -> None:
        self.clock, self.storage = ManualClock(), Storage()
        vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
        self.customers = Customers(store, vault, self.clock, gone_of(store), lambda profile, day: "free")
        self.intake = Intake(store, KeyedHash(Secret(b"h" * 32)), self.clock, 40)
        self.reconciler = Reconciler(store, self.clock, Counting(store), self.customers, self.storage)

    @property
    def today(self) -> int:
        return unix_seconds(self.clock) // DAY

    async def use(self, mailbox: str, count: int, day: int) -> None:
        await self.intake.take([Use(f"{mailbox}{n}", mailbox, Meter.MAILS_STORED, day) for n in range(count)])


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
    (found,) = await world.reconciler.newest(10)
    assert (found.day, found.meter, found.counted, found.owned, found.late) == (
        yesterday,
        Meter.MAILS_STORED,
        9,
        11,
        0,
    )


async def test_each_day_is_looked_at_once_and_when_it_is_over(world: World) -> None:
    await world.reconciler.step()
    before = len(world.storage.asked)
    await world.reconciler.step()
    assert len(world.storage.asked) == before == 1
    world.clock.advance(DAY)
    await world.reconciler.step()
    assert [one.day for one in await world.reconciler.newest(10)] == sorted(world.storage.asked, reverse=True)
    assert len(set(world.storage.asked)) == 2


async def test_what_came_too_late_is_told(world: World) -> None:
    await world.use("m0", 3, world.today - 100)
    world.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await world.reconciler.step()
    assert [one.late for one in await world.reconciler.newest(1)] == [3]


async def test_while_storage_is_away_the_day_waits(world: World) -> None:
    world.storage.away = True
    with pytest.raises(UnavailableError):
        await world.reconciler.step()
    assert await world.reconciler.newest(1) == []
    world.storage.away = False
    await world.reconciler.step()
    assert len(await world.reconciler.newest(1)) == 1
