"""Batches over the real nats-server: together, once handled not again, the one at fault alone, and through restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from libs.docstore.store import Event
from libs.events.jetstream import EventBus
from libs.runtime.errors import InvalidError, UnavailableError
from tests.contract.test_events import STORED, bus_of, until
from tests.support.nats import NatsProcess, run_nats


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    async with run_nats(tmp_path / "nats") as process:
        yield process


class Taking:
    """A handler that notes what it is given, and fails when it is told to."""

    def __init__(self, poison: bytes = b"poison") -> None:
        self.batches: list[list[bytes]] = []
        self.failures: list[Exception] = []
        self._poison = poison

    @property
    def events(self) -> list[bytes]:
        return [one for batch in self.batches for one in batch]

    async def __call__(self, events: Sequence[Event]) -> None:
        await asyncio.sleep(0.01)
        if self.failures:
            raise self.failures.pop()
        payloads = [event.payload for event in events]
        if self._poison in payloads:
            raise InvalidError("event")
        self.batches.append(payloads)


async def _publish(bus: EventBus, *payloads: bytes) -> None:
    await asyncio.gather(*(bus.publish(Event(f"id-{one.decode()}", STORED, one)) for one in payloads))


async def test_what_has_come_meanwhile_is_one_batch_and_comes_once(server: NatsProcess) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    taking, told = Taking(), [b"%d" % number for number in range(300)]
    try:
        await _publish(storage, *told)
        await billing.consume_batches("billing", STORED, taking, most=100)
        await until(lambda: len(taking.events) >= 300)
        assert sorted(taking.events) == sorted(told)
        assert len(taking.batches) < 100 and max(map(len, taking.batches)) <= 100
        await billing.close()
        # Whoever comes after finds nothing of it.
        billing = await bus_of(server, "billing")
        again = Taking()
        await billing.consume_batches("billing", STORED, again, most=100)
        await _publish(storage, b"new")
        await until(lambda: again.events == [b"new"])
    finally:
        await billing.close()
        await storage.close()


async def test_what_cannot_be_taken_now_comes_again_and_what_is_poisoned_leaves_the_others(server: NatsProcess) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    taking = Taking()
    taking.failures = [UnavailableError("store_unavailable")]
    try:
        await _publish(storage, b"a", b"poison", b"b", b"c")
        await billing.consume_batches("billing", STORED, taking, most=100)
        await until(lambda: set(taking.events) == {b"a", b"b", b"c"})
        await _publish(storage, b"d")
        await until(lambda: b"d" in taking.events)
        assert sorted(taking.events) == [b"a", b"b", b"c", b"d"]
    finally:
        await billing.close()
        await storage.close()


async def test_a_server_that_is_killed_loses_nothing(server: NatsProcess) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    taking = Taking()
    try:
        await billing.consume_batches("billing", STORED, taking, most=10)
        await _publish(storage, *(b"%d" % number for number in range(40)))
        await server.stop(kill=True)
        await server.start()
        async with asyncio.timeout(20):
            await storage.connected()
        await _publish(storage, b"after")
        await until(lambda: {*(b"%d" % number for number in range(40)), b"after"} <= set(taking.events))
    finally:
        await billing.close()
        await storage.close()
