"""Slowness: a server that stops answering, a listener that cannot keep up, a handler that takes its time."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats
import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.events.dedupe import SEEN_EVENTS, DedupeStore
from libs.events.jetstream import EventBus
from libs.events.pull import IN_FLIGHT
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from libs.runtime.errors import UnavailableError
from tests.support.nats import NatsProcess, run_nats

STORED = "mail.stored.v1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    async with run_nats(tmp_path / "nats") as process:
        yield process


async def bus_of(server: NatsProcess, name: str) -> EventBus:
    bus = await EventBus.connect(server.url, name, server.passwords[name], TlsFiles(server.tls[name]), name)
    async with asyncio.timeout(10):
        await bus.connected()
    return bus


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.02)


async def test_a_frozen_server_is_given_up_in_time_and_used_again(server: NatsProcess, tmp_path: Path) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    handled: list[str] = []

    async def handler(event: Event) -> None:
        handled.append(event.event_id)

    assert server.process is not None
    try:
        async with SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store:
            await storage.publish(Event("e1", STORED, b""))
            await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
            await until(lambda: handled == ["e1"])
            server.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            attempts = [storage.publish(Event(f"e{number}", STORED, b"x" * 1000)) for number in range(2, 300)]
            results = await asyncio.gather(*attempts, return_exceptions=True)
            assert time.monotonic() - began < 12
            assert {type(result) for result in results} == {UnavailableError}
            server.process.send_signal(signal.SIGCONT)
            await storage.connected()
            await storage.publish(Event("last", STORED, b""))
            await until(lambda: "last" in handled)
            assert len(handled) == len(set(handled))
    finally:
        server.process.send_signal(signal.SIGCONT)
        await storage.close()
        await billing.close()


async def test_a_listener_that_cannot_keep_up_is_told(server: NatsProcess) -> None:
    gateway = await bus_of(server, "gateway")
    free, gaps = asyncio.Event(), asyncio.Event()
    heard = 0

    async def handler(event: Event) -> None:
        nonlocal heard
        heard += 1
        await free.wait()

    async def gap() -> None:
        gaps.set()

    context = ssl.create_default_context(cafile=str(server.tls["storage"] / "ca.crt"))
    context.load_cert_chain(server.tls["storage"] / "tls.crt", server.tls["storage"] / "tls.key")
    password = server.passwords["storage"].reveal()
    client = await nats.connect(server.url, user="storage", password=password, tls=context, allow_reconnect=False)
    try:
        await gateway.subscribe_all(STORED, handler, gap)
        await asyncio.sleep(0.2)
        for number in range(10_500):
            await client.publish(STORED, b"", headers={"Nats-Msg-Id": f"e{number}"})
        await client.flush()
        async with asyncio.timeout(20):
            await gaps.wait()
        free.set()
        await until(lambda: heard >= 10_000)
        assert heard < 10_500
    finally:
        await client.close()
        await gateway.close()


async def test_no_more_is_fetched_than_may_be_handled_at_once(server: NatsProcess, tmp_path: Path) -> None:
    storage, billing = await bus_of(server, "storage"), await bus_of(server, "billing")
    free = asyncio.Event()
    under_way = most = done = 0

    async def handler(event: Event) -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await free.wait()
        under_way -= 1
        done += 1

    try:
        async with SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store:
            await asyncio.gather(*(storage.publish(Event(f"e{number}", STORED, b"")) for number in range(500)))
            await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
            await until(lambda: most == IN_FLIGHT)
            await asyncio.sleep(0.3)
            assert most == IN_FLIGHT
            free.set()
            await until(lambda: done == 500)
            assert most == IN_FLIGHT
            await billing.close()
    finally:
        await storage.close()
        await billing.close()
