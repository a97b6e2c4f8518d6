"""The relay: what is committed is published, whatever happens between, and nothing is held but one batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Event, Insert, PendingEvent, Store
from libs.events.relay import Relay
from libs.runtime.errors import UnavailableError
from tests.unit.events.fakes import FakeBus, FakeHealth, ManualClock

THINGS = Collection("things")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "things.db", (THINGS,)) as opened:
        yield opened


@asynccontextmanager
async def running(store: Store, bus: FakeBus) -> AsyncIterator[Relay]:
    relay = Relay(store, bus, ManualClock(), FakeHealth())
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        assert not task.done() or not task.exception()
        task.cancel()


async def commit(store: Store, *numbers: int) -> None:
    await store.write_many([Insert(THINGS, f"k{n}", {}, (Event(f"e{n}", "mail.stored.v1", b""),)) for n in numbers])


async def published(bus: FakeBus, count: int) -> set[str]:
    async with asyncio.timeout(10):
        while len(bus.published) < count:  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.005)
    return set(bus.published)


async def nothing_pending(store: Store, but: Sequence[str] = ()) -> None:
    """Wait: an event is published before it is forgotten."""
    async with asyncio.timeout(10):
        while [item.event.event_id for item in await store.pending_events(100)] != list(but):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_was_pending_before_the_start_is_published(store: SqliteStore) -> None:
    await commit(store, 1, 2)
    bus = FakeBus()
    async with running(store, bus):
        assert await published(bus, 2) == {"e1", "e2"}
        await nothing_pending(store)


async def test_an_announcement_wakes_it(store: SqliteStore) -> None:
    bus = FakeBus()
    async with running(store, bus) as relay:
        await asyncio.sleep(0.05)
        for number in range(20):
            await commit(store, number)
            relay.announce()
        assert len(await published(bus, 20)) == 20
        await nothing_pending(store)
        assert len(bus.published) == 20


async def test_a_batch_is_published_in_parallel(store: SqliteStore) -> None:
    await commit(store, *range(700))
    bus = FakeBus()
    async with running(store, bus):
        assert len(await published(bus, 700)) == 700
        assert 100 < bus.most_at_once <= 500


async def test_events_wait_while_the_broker_is_away(store: SqliteStore) -> None:
    bus = FakeBus()
    bus.up = False
    async with running(store, bus) as relay:
        for number in range(10):
            await commit(store, number)
            relay.announce()
            await asyncio.sleep(0.01)
        assert len(await store.pending_events(100)) == 10
        bus.up = True
        assert len(await published(bus, 10)) == 10
        await nothing_pending(store)


async def test_an_event_that_is_refused_blocks_no_other(store: SqliteStore) -> None:
    bus = FakeBus()
    bus.refused = {"e0", "e1"}
    await commit(store, *range(5))
    async with running(store, bus) as relay:
        assert await published(bus, 3) == {"e2", "e3", "e4"}
        await commit(store, 7)
        relay.announce()
        assert await published(bus, 4) == {"e2", "e3", "e4", "e7"}
        await nothing_pending(store, but=["e0", "e1"])


class CountingStore:
    """A store that counts how often it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = self.clears = 0

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        self.reads += 1
        return await self._store.pending_events(limit)

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        self.clears += 1
        await self._store.clear_events(events)


async def test_what_is_announced_within_a_moment_is_one_batch(store: SqliteStore) -> None:
    bus, counted = FakeBus(), CountingStore(store)
    async with running(cast("Store", counted), bus) as relay:
        await asyncio.sleep(0.05)
        before = counted.reads
        relay.announce()
        await asyncio.sleep(0)
        for number in range(5):
            await commit(store, number)
            relay.announce()
        await published(bus, 5)
        await nothing_pending(store)
        assert (counted.reads - before, counted.clears) in {(1, 1), (2, 1), (2, 2), (3, 2)}


class ForgetfulStore:
    """A store that cannot clear, at first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failures = 3

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        assert limit <= 1500
        return await self._store.pending_events(limit)

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise UnavailableError("storage_unavailable")
        await self._store.clear_events(events)


async def test_an_event_that_could_not_be_forgotten_is_published_again(store: SqliteStore) -> None:
    await commit(store, 1)
    bus = FakeBus()
    async with running(cast("Store", ForgetfulStore(store)), bus):
        await nothing_pending(store)
    assert bus.published == ["e1"] * 4


async def test_its_health_says_that_the_loop_turns(store: SqliteStore) -> None:
    clock, health = ManualClock(), FakeHealth()
    relay = Relay(store, FakeBus(), clock, health)
    assert await relay.healthy()
    clock.seconds += 200
    assert not await relay.healthy()
    assert health.checks == {"relay": relay.healthy}
    task = asyncio.create_task(relay.run())
    await asyncio.sleep(0.05)
    assert await relay.healthy()
    task.cancel()
