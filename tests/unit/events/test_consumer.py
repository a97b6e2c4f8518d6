"""Deliveries: handled once, acknowledged after, retried while it makes sense, dropped aloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.events import consumer as consumer_module
from libs.events.consumer import Consumer
from libs.events.dedupe import SEEN_EVENTS, DedupeStore, RecentIds
from libs.runtime.errors import ConflictError, UnavailableError
from libs.telemetry import metrics
from tests.unit.events.fakes import FakeDelivery, ManualClock

EVENT = Event("e1", "mail.stored.v1", b"payload")


class Handler:
    """Fails as told, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.events: list[Event] = []

    async def __call__(self, event: Event) -> None:
        self.events.append(event)
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def seen(tmp_path: Path, clock: ManualClock) -> AsyncIterator[DedupeStore]:
    async with SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store:
        yield DedupeStore(store, clock, lifetime=100)


async def answer(consumer: Consumer, delivery: FakeDelivery) -> str:
    await consumer.process(delivery)
    return delivery.answer


async def test_an_event_is_handled_once_and_acknowledged_each_time(seen: DedupeStore) -> None:
    handler = Handler()
    consumer = Consumer("billing", handler, seen)
    assert await answer(consumer, FakeDelivery(EVENT)) == "acknowledged"
    assert await answer(consumer, FakeDelivery(EVENT, attempt=2)) == "acknowledged"
    assert handler.events == [EVENT]
    other = Consumer("push", handler, seen)
    assert await answer(other, FakeDelivery(EVENT)) == "acknowledged"
    assert len(handler.events) == 2


async def test_a_failure_is_retried_with_growing_pauses(seen: DedupeStore) -> None:
    handler = Handler(*[ValueError("text that nobody may log")] * 3)
    consumer = Consumer("billing", handler, seen)
    for attempt in (1, 2, 3):
        delivery = FakeDelivery(EVENT, attempt)
        assert await answer(consumer, delivery) == "retried"
        assert 0.1 <= delivery.pause <= 0.5 * 2**attempt
    assert await answer(consumer, FakeDelivery(EVENT, 4)) == "acknowledged"


async def test_a_poisoned_event_is_dropped_and_counted(seen: DedupeStore, capsys: pytest.CaptureFixture[str]) -> None:
    dead = metrics.counter(
        "sealpost_events_deliveries_total",
        "Deliveries of events by what became of them.",
        {"outcome": consumer_module._OUTCOMES},
    )
    before = dead.value(outcome="dead")
    consumer = Consumer("billing", Handler(*[ConflictError("version")] * 9), seen, max_deliveries=3)
    assert [await answer(consumer, FakeDelivery(EVENT, attempt)) for attempt in (1, 2, 3)] == [
        "retried",
        "retried",
        "given up",
    ]
    assert await answer(consumer, FakeDelivery(EVENT, attempt=5)) == "given up"
    assert await answer(consumer, FakeDelivery(None)) == "given up"
    assert dead.value(outcome="dead") == before + 3
    assert capsys.readouterr().out.count("event_dropped") == 3


async def test_what_cannot_be_done_now_is_never_dropped(seen: DedupeStore) -> None:
    consumer = Consumer("billing", Handler(*[UnavailableError("storage_unavailable")] * 2), seen, max_deliveries=3)
    assert await answer(consumer, FakeDelivery(EVENT, attempt=3)) == "retried"
    assert await answer(consumer, FakeDelivery(EVENT, attempt=4)) == "retried"


async def test_a_cancelled_handler_leaves_the_event_unanswered(seen: DedupeStore) -> None:
    async def hangs(event: Event) -> None:
        await asyncio.sleep(60)

    delivery = FakeDelivery(EVENT)
    task = asyncio.create_task(Consumer("billing", hangs, seen).process(delivery))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert delivery.answer == ""
    assert not await seen.seen("billing", EVENT.event_id)


async def test_records_expire(seen: DedupeStore, clock: ManualClock) -> None:
    await seen.remember("billing", "e1")
    await seen.remember("billing", "e1")
    assert await seen.sweep() == 0
    clock.seconds += 101
    await seen.remember("billing", "e2")
    assert await seen.sweep() == 1
    assert not await seen.seen("billing", "e1")
    assert await seen.seen("billing", "e2")


def test_recent_ids_are_bounded() -> None:
    recent = RecentIds(3)
    assert [recent.add(name) for name in "abac"] == [True, True, False, True]
    assert recent.add("d")
    assert recent.add("a")
    assert not recent.add("d")
