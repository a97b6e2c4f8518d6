"""Replicas share the partitions: all are owned by somebody, none by two who both can write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError
from services.analytics.intake.leases import REPLICAS, Leases, Replica
from services.analytics.partitions import PARTITIONS, Lease, Partitions, Record
from tests.support.clock import ManualClock


class World:
    """Replicas on one store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = ManualClock()
        self.partitions = Partitions(store)

    def replica(self, name: str, run: str = "1") -> Leases:
        return Leases(self.store, self.clock, Replica(name, run), 15)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A store with all documents of partitions."""
    async with SqliteStore.open(tmp_path, (PARTITIONS, REPLICAS)) as store:
        made = World(store)
        await made.partitions.create_all(0)
        yield made


async def held(leases: Leases) -> dict[int, Record]:
    """Take the share of a replica from nothing."""
    return {record.partition: record for record in await leases.take([], await leases.share())}


async def test_one_takes_all_and_two_share(world: World) -> None:
    one, two = world.replica("one"), world.replica("two")
    mine = await held(one)
    assert sorted(mine) == list(range(8))
    assert await held(two) == {}
    assert await two.share() == await one.share() == 4
    for number in (0, 1, 2, 3):
        await one.give_back(mine.pop(number))
    theirs = await held(two)
    assert sorted(theirs) == [0, 1, 2, 3]
    assert await one.take(mine, 4) == []
    three = world.replica("three")
    assert await three.share() == 3


async def test_a_dead_replica_loses_its_partitions_after_its_lease(world: World) -> None:
    one, two = world.replica("one"), world.replica("two")
    mine = await held(one)
    world.clock.advance(14)
    assert await held(two) == {}
    world.clock.advance(2)
    theirs = await held(two)
    assert sorted(theirs) == list(range(8))
    with pytest.raises(ConflictError):
        await one.renew(mine[0])
    await one.give_back(mine[1])
    record = await world.partitions.read(1)
    assert record is not None
    assert record.lease.owner == "two"


async def test_a_new_run_takes_back_at_once_what_its_name_held(world: World) -> None:
    before = await held(world.replica("one", "1"))
    after = await held(world.replica("one", "2"))
    assert sorted(after) == list(range(8))
    with pytest.raises(ConflictError):
        await world.partitions.write(before[5])


async def test_a_lease_is_renewed_in_time(world: World) -> None:
    one = world.replica("one")
    record = (await held(one))[0]
    assert not one.is_due(record)
    world.clock.advance(6)
    assert one.is_due(record)
    renewed = await one.renew(record)
    assert not one.is_due(renewed)
    assert renewed == await world.partitions.read(0)
    await one.give_back(renewed)
    free = await world.partitions.read(0)
    assert free is not None
    assert free.lease == Lease()


async def test_who_leaves_is_not_counted(world: World) -> None:
    one, two = world.replica("one"), world.replica("two")
    await one.share()
    assert await two.share() == 4
    await one.leave()
    await one.leave()
    assert await two.share() == 8


async def test_replicas_that_are_long_gone_leave_no_document(world: World) -> None:
    await world.replica("one").share()
    world.clock.advance(1000)
    await world.replica("two").share()
    assert await world.store.get(REPLICAS, "one") is None


def test_the_name_of_a_process_follows_from_its_place() -> None:
    one, two, other = Replica.here("h:1"), Replica.here("h:1"), Replica.here("h:2")
    assert one.name == two.name != other.name
    assert one.run != two.run
