"""Events over the real nats-server: TLS, users with least rights, JetStream on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Event, Insert
from libs.events.dedupe import SEEN_EVENTS, DedupeStore
from libs.events.jetstream import EventBus
from libs.events.relay import Relay
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from libs.runtime.errors import UnavailableError
from libs.telemetry import traces
from tests.support.nats import NatsProcess, run_nats

STORED = "mail.stored.v1"
THINGS = Collection("things")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    async with run_nats(tmp_path / "nats") as process:
        yield process


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "store.db", (THINGS, SEEN_EVENTS)) as opened:
        yield opened


async def bus_of(server: NatsProcess, name: str) -> EventBus:
    bus = await EventBus.connect(server.url, name, server.passwords[name], TlsFiles(server.tls[name]), name)
    async with asyncio.timeout(10):
        await bus.connected()
    return bus


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.02)


async def test_durable_consumer_gets_each_event_once(server: NatsProcess, store: SqliteStore) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    handled: list[Event] = []

    async def handler(event: Event) -> None:
        handled.append(event)

    try:
        await storage.publish(Event("e1", STORED, b"one"))
        await storage.publish(Event("e1", STORED, b"one"))
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        await until(lambda: len(handled) == 1)
        await storage.publish(Event("e2", STORED, b"two"))
        await until(lambda: len(handled) == 2)
        assert [event.payload for event in handled] == [b"one", b"two"]
    finally:
        await storage.close()
        await billing.close()


async def test_live_listener_hears_what_is_published_from_now_on(server: NatsProcess) -> None:
    storage, gateway = await bus_of(server, "storage"), await bus_of(server, "gateway")
    heard: list[str] = []

    async def handler(event: Event) -> None:
        heard.append(event.event_id)

    try:
        await gateway.subscribe_all(STORED, handler)
        await asyncio.sleep(0.2)
        for number in range(5):
            await storage.publish(Event(f"e{number}", STORED, b""))
        await until(lambda: len(heard) == 5)
        assert heard == ["e0", "e1", "e2", "e3", "e4"]
    finally:
        await storage.close()
        await gateway.close()


async def test_the_trace_of_the_cause_reaches_the_handlers(server: NatsProcess, store: SqliteStore) -> None:
    storage, billing, gateway = [await bus_of(server, name) for name in ("storage", "billing", "gateway")]
    relay = Relay(store, storage, SystemClock(), NoChecks())
    running = asyncio.create_task(relay.run())
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    found: list[str] = []

    async def handler(event: Event) -> None:
        found.append(traces.inject().get("traceparent", ""))

    try:
        await gateway.subscribe_all(STORED, handler)
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        await asyncio.sleep(0.2)
        with traces.within(traces.extract({"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})):
            await store.write(Insert(THINGS, "k", {}, (Event("e", STORED, b""),)))
        relay.announce()
        await until(lambda: len(found) == 2)
        assert [header.split("-")[1] for header in found] == [trace_id, trace_id]
    finally:
        running.cancel()
        for bus in (storage, billing, gateway):
            await bus.close()


class NoChecks:
    def add(self, name: str, check: Callable[[], Awaitable[bool]], *, required: bool = True) -> None:
        pass


async def test_events_wait_in_documents_while_the_server_is_down(server: NatsProcess, store: SqliteStore) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    relay = Relay(store, storage, SystemClock(), NoChecks())
    running = asyncio.create_task(relay.run())
    handled: list[str] = []

    async def handler(event: Event) -> None:
        handled.append(event.event_id)

    async def commit(first: int, last: int) -> None:
        for number in range(first, last):
            await store.write(Insert(THINGS, f"k{number}", {"n": number}, (Event(f"e{number}", STORED, b"x"),)))
            relay.announce()

    try:
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        await commit(0, 50)
        await until(lambda: len(handled) == 50)
        await server.stop(kill=True)
        await commit(50, 150)
        with pytest.raises(UnavailableError):
            await storage.publish(Event("direct", STORED, b""))
        assert len(await store.pending_events(1000)) >= 100
        await server.start()
        await until(lambda: len(handled) >= 150)
        assert sorted(handled) == sorted(f"e{number}" for number in range(150))
    finally:
        running.cancel()
        await storage.close()
        await billing.close()
