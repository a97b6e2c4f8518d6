"""What is kept of use goes in time, is given to its owner, and is gone after an erasure, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyedHash
from libs.owner.model import Subject, Wanted
from libs.runtime.clock import unix_seconds
from libs.runtime.secret import Secret
from services.billing.domain.model import DAY, Meter
from services.billing.gone import GONE, Gone
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.held import classes
from services.billing.metering.intake import Intake, Use
from services.billing.metering.log import METER_LOG
from services.billing.metering.reconciling import RECONCILIATIONS
from services.billing.metering.state import STATE
from tests.support.clock import ManualClock

KEPT, LOG_KEPT = 400 * DAY, 40 * DAY
HASHES = KeyedHash(Secret(b"h" * 32))


class World:
    """Parts on one store and one clock."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.clock = store, ManualClock()
        self.gone = Gone(store, HASHES, self.clock, 4 * DAY)
        self.folder = Folder(store, self.gone)
        self.intake = Intake(store, HASHES, self.clock, keep_days=40)
        (self.held,) = classes(store, self.folder, self.gone, lambda: KEPT, lambda: LOG_KEPT)

    @property
    def today(self) -> int:
        return unix_seconds(self.clock) // DAY

    async def use(self, name: str, subject: str) -> None:
        await self.intake.take([Use(name, subject, Meter.MAILS_STORED, self.today)])

    async def sweep(self) -> int:
        return (await self.held.sweep(unix_seconds(self.clock), 1000)).deleted

    async def left(self, subject: str) -> dict[int, dict[Meter, int]]:
        return await Counting(self.store).of([subject], self.today - 399, self.today)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, (GONE, METER_LOG, STATE, COUNTERS, RECONCILIATIONS)) as store:
        yield World(store)


async def test_everything_goes_in_its_time_and_nothing_that_is_not_added_up(world: World) -> None:
    await world.use("u1", "m1")
    await world.folder.step()
    await world.use("u2", "m1")
    world.clock.advance(days=41)
    # Two documents of the log are old; one of them nobody has added up.
    assert (await world.sweep(), await world.store.count(METER_LOG)) == (1, 1)
    await world.folder.step()
    assert (await world.sweep(), await world.store.count(METER_LOG)) == (1, 0)
    assert await world.left("m1") == {world.today - 41: {Meter.MAILS_STORED: 2}}
    world.clock.advance(days=359)
    assert await world.sweep() == 0
    world.clock.advance(days=1)
    assert (await world.held.count()).first_due <= unix_seconds(world.clock)
    assert (await world.sweep(), await world.store.count(COUNTERS)) == (1, 0)


async def test_what_is_added_up_names_nobody_in_the_log(world: World) -> None:
    await world.use("u1", "mailbox-of-somebody")
    await world.folder.step()
    (document,) = (await world.store.get_many(METER_LOG, ["000000000001"])).values()
    assert "mailbox-of-somebody" not in str(document.body)
    # It is known again all the same.
    await world.use("u1", "mailbox-of-somebody")
    assert await world.left("mailbox-of-somebody") == {world.today: {Meter.MAILS_STORED: 1}}


async def test_an_export_has_all_days(world: World) -> None:
    await world.use("u1", "m1")
    await world.use("u2", "a1")
    while await world.folder.step():
        pass
    (item,) = [one async for one in world.held.export(Subject("a1", "m1"), Wanted())]
    content = b"".join([block async for block in item.content])
    assert f'"{world.today}"'.encode() in content and b"mails_stored" in content
    assert [one async for one in world.held.export(Subject("a1", "m1"), Wanted(disclosure=True))] == []


async def test_nothing_of_who_is_erased_comes_back(world: World) -> None:
    await world.use("u1", "m1")
    await world.use("u2", "m2")
    await world.held.erase_keys(Subject("a1", "m1"))
    assert (await world.held.erase(Subject("a1", "m1"), 100)).deleted in (0, 1)
    assert (await world.left("m1"), len(await world.left("m2"))) == ({}, 1)
    # An event that was on its way.
    await world.use("u3", "m1")
    await world.folder.step()
    assert await world.left("m1") == {}


@pytest.mark.parametrize("order", range(6))
async def test_an_erasure_amid_the_adding_up_leaves_nothing(world: World, order: int) -> None:
    for number in range(40):
        await world.use(f"u{number}", "m1")
    subject = Subject("a1", "m1")

    async def erase() -> None:
        await asyncio.sleep(order * 0.002)
        await world.held.erase_keys(subject)
        while (await world.held.erase(subject, 100)).more:
            pass

    await asyncio.gather(erase(), *(Folder(world.store, world.gone).step() for _ in range(3)))
    await world.folder.step()
    assert await world.left("m1") == {}
