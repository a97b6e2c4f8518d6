"""The real nats-server as it is configured: who may do what, and what it survives."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.events.dedupe import SEEN_EVENTS, DedupeStore
from libs.events.jetstream import EventBus
from libs.events.link import Address, Link
from libs.events.server_config import RIGHTS
from libs.events.streams import stream_of
from libs.rpc.tls import TlsFiles
from libs.runtime import cancelling
from libs.runtime.backoff import Backoff
from libs.runtime.clock import SystemClock
from libs.runtime.errors import InvalidError, UnavailableError
from tests.support.nats import NatsProcess, run_nats

STORED = "mail.stored.v1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    async with run_nats(tmp_path / "nats") as process:
        yield process


@asynccontextmanager
async def bus_of(server: NatsProcess, name: str) -> AsyncIterator[EventBus]:
    bus = await EventBus.connect(server.url, name, server.passwords[name], TlsFiles(server.tls[name]), name)
    try:
        async with asyncio.timeout(10):
            await bus.connected()
        yield bus
    finally:
        await bus.close()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.02)


def tls_of(server: NatsProcess, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.tls[name] / "ca.crt"))
    context.load_cert_chain(server.tls[name] / "tls.crt", server.tls[name] / "tls.key")
    return context


async def connect(server: NatsProcess, **options: Any) -> Client:
    return await nats.connect(
        server.url, allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0, connect_timeout=2, **options
    )


class Violations:
    """What the server has refused to one user."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def note(self, error: Exception) -> None:
        self.texts.append(str(error).lower())

    async def of(self, client: Client, attempt: Coroutine[Any, Any, object]) -> bool:
        before = len(self.texts)
        await attempt
        with suppress(nats.errors.Error):
            await client.flush(2)
        await asyncio.sleep(0.05)
        return any("permissions violation" in text for text in self.texts[before:])


async def test_each_user_may_do_its_part_and_nothing_else(server: NatsProcess) -> None:
    async with bus_of(server, "storage") as storage:
        await storage.publish(Event("e1", STORED, b""))
    forbidden = {
        "storage": {
            "publish": ["mail.moved.v1", "$JS.API.STREAM.DELETE.MAIL", "$JS.API.STREAM.PURGE.MAIL", "$JS.API.INFO",
                        "$JS.API.CONSUMER.CREATE.MAIL.x", "$JS.API.STREAM.MSG.GET.MAIL", "_INBOX.gateway.x", "x"],
            "subscribe": ["mail.>", STORED, "_INBOX.>", "_INBOX.gateway.>", ">", "$JS.>", "$SYS.>"],
        },
        "gateway": {
            "publish": [STORED, "$JS.API.STREAM.INFO.MAIL", "$JS.API.CONSUMER.CREATE.MAIL.x.mail.stored.v1", "x"],
            "subscribe": ["mail.>", "_INBOX.storage.>", ">", "$JS.ACK.>"],
        },
        "billing": {
            "publish": [STORED, "$JS.API.CONSUMER.CREATE.MAIL.other.mail.stored.v1", "$JS.ACK.MAIL.other.1",
                        "$JS.API.CONSUMER.CREATE.MAIL.billing.mail.other.v1", "$JS.API.CONSUMER.DELETE.MAIL.billing"],
            "subscribe": [STORED, "_INBOX.>"],
        },
    }  # fmt: skip
    for user, attempts in forbidden.items():
        seen = Violations()
        password = server.passwords[user].reveal()
        client = await connect(server, user=user, password=password, tls=tls_of(server, user), error_cb=seen.note)
        for subject in attempts["publish"]:
            assert await seen.of(client, client.publish(subject, b"")), (user, subject)
        for subject in attempts["subscribe"]:
            assert await seen.of(client, client.subscribe(subject)), (user, subject)
        assert not await seen.of(client, client.subscribe(f"_INBOX.{user}.x.>"))
        await client.close()


async def test_nobody_comes_in_without_certificate_user_and_password(server: NatsProcess) -> None:
    password = server.passwords["storage"].reveal()
    right: dict[str, Any] = {"user": "storage", "password": password, "tls": tls_of(server, "storage")}
    await (await connect(server, **right)).close()
    anonymous = ssl.create_default_context(cafile=str(server.tls["storage"] / "ca.crt"))
    for wrong in (
        {**right, "password": "wrong"},
        {**right, "user": "nobody"},
        {"tls": right["tls"]},
        {**right, "tls": anonymous},
        {**right, "tls": ssl.create_default_context()},
    ):
        with pytest.raises((nats.errors.Error, ssl.SSLError, OSError)):
            await connect(server, **wrong)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b'CONNECT {"user":"storage","pass":"' + password.encode() + b'"}\r\nPING\r\n')
    assert b"PONG" not in await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_wiped_server_is_described_anew(server: NatsProcess, tmp_path: Path) -> None:
    handled: list[str] = []

    async def handler(event: Event) -> None:
        handled.append(event.event_id)

    async with (
        SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store,
        bus_of(server, "storage") as storage,
        bus_of(server, "billing") as billing,
    ):
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        await storage.publish(Event("e1", STORED, b""))
        await until(lambda: handled == ["e1"])
        await server.stop(kill=True)
        shutil.rmtree(server.directory / "store")
        await server.start()
        async with asyncio.timeout(20):
            while "e2" not in handled:
                with suppress(UnavailableError):
                    await storage.publish(Event("e2", STORED, b""))
                await asyncio.sleep(0.1)
        assert handled == ["e1", "e2"]


async def test_a_consumer_that_is_there_first_waits_quietly(
    server: NatsProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handled: list[str] = []

    async def handler(event: Event) -> None:
        handled.append(event.event_id)

    async with SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store, bus_of(server, "billing") as billing:
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        password = server.passwords["storage"].reveal()
        tls = tls_of(server, "storage")
        looking = await connect(server, user="storage", password=password, tls=tls, inbox_prefix=b"_INBOX.storage")
        async with asyncio.timeout(20):
            while True:
                try:
                    await looking.jetstream().stream_info("MAIL")
                    break
                except nats.js.errors.NotFoundError:
                    await asyncio.sleep(0.05)
        await looking.close()
        assert handled == []
        async with bus_of(server, "storage") as storage:
            await storage.publish(Event("e1", STORED, b""))
            await until(lambda: handled == ["e1"])
    assert "events_consume_failed" not in capsys.readouterr().out


async def test_a_failed_event_comes_again_and_others_do_not_wait(server: NatsProcess, tmp_path: Path) -> None:
    attempts: list[str] = []

    async def handler(event: Event) -> None:
        attempts.append(event.event_id)
        if event.event_id == "bad" and attempts.count("bad") < 3:
            raise ValueError("not today")

    async with (
        SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store,
        bus_of(server, "storage") as storage,
        bus_of(server, "billing") as billing,
    ):
        await storage.publish(Event("bad", STORED, b""))
        for number in range(5):
            await storage.publish(Event(f"e{number}", STORED, b""))
        await billing.consume("billing", STORED, handler, DedupeStore(store, SystemClock()))
        await until(lambda: attempts.count("bad") == 3)
        await asyncio.sleep(0.2)
        assert sorted(attempts) == ["bad", "bad", "bad", "e0", "e1", "e2", "e3", "e4"]
        assert attempts.index("e4") < [place for place, name in enumerate(attempts) if name == "bad"][1]


async def test_replicas_share_the_work_of_a_durable_consumer(server: NatsProcess, tmp_path: Path) -> None:
    handled: list[tuple[int, str]] = []

    def handler_of(replica: int) -> Callable[[Event], Coroutine[Any, Any, None]]:
        async def handler(event: Event) -> None:
            handled.append((replica, event.event_id))
            await asyncio.sleep(0.01)

        return handler

    async with (
        SqliteStore.open(tmp_path / "seen.db", (SEEN_EVENTS,)) as store,
        bus_of(server, "storage") as storage,
        bus_of(server, "billing") as first,
        bus_of(server, "billing") as second,
    ):
        seen = DedupeStore(store, SystemClock())
        await storage.publish(Event("e0", STORED, b""))
        await first.consume("billing", STORED, handler_of(1), seen)
        await second.consume("billing", STORED, handler_of(2), seen)
        await until(lambda: len(handled) == 1)
        await asyncio.gather(*(storage.publish(Event(f"e{number}", STORED, b"")) for number in range(1, 300)))
        await until(lambda: len(handled) >= 300)
        assert sorted(name for _, name in handled) == sorted(f"e{number}" for number in range(300))
        assert {replica for replica, _ in handled} == {1, 2}


async def test_a_listener_is_told_of_gaps(server: NatsProcess) -> None:
    heard: list[str] = []
    gaps: list[int] = []

    async def handler(event: Event) -> None:
        heard.append(event.event_id)
        if event.event_id == "broken":
            raise ValueError("a listener that fails hears on")

    async def gap() -> None:
        gaps.append(1)

    async with bus_of(server, "storage") as storage, bus_of(server, "gateway") as gateway:
        await gateway.subscribe_all(STORED, handler, gap)
        await asyncio.sleep(0.2)
        for name in ("broken", "e1", "e1", "e2"):
            await storage.publish(Event(name, STORED, b""))
        await until(lambda: heard == ["broken", "e1", "e2"])
        assert not gaps
        await server.stop()
        async with asyncio.timeout(20):
            while await gateway.healthy():  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.02)
        await server.start()
        await until(lambda: bool(gaps))
        await storage.connected()
        await storage.publish(Event("e3", STORED, b""))
        await until(lambda: heard[-1] == "e3")


async def test_what_the_broker_will_never_take_is_said_apart(server: NatsProcess) -> None:
    async with bus_of(server, "storage") as storage:
        with pytest.raises(InvalidError, match="event_refused"):
            await storage.publish(Event("large", STORED, bytes(100_000)))
        with pytest.raises(InvalidError, match="event_refused"):
            await storage.publish(Event("huge", STORED, bytes(1_000_000)))
        with pytest.raises(InvalidError, match="event_refused"):
            await storage.publish(Event("lost", "no.stream.here", b""))
        await storage.publish(Event("good", STORED, b""))


async def test_a_bus_starts_before_its_server(server: NatsProcess) -> None:
    await server.stop()
    tls = TlsFiles(server.tls["storage"])
    bus = await EventBus.connect(server.url, "storage", server.passwords["storage"], tls, "storage")
    try:
        with pytest.raises(UnavailableError, match="events_unavailable"):
            await bus.publish(Event("e1", STORED, b""))
        assert not await bus.healthy()
        await server.start()
        async with asyncio.timeout(20):
            await bus.connected()
        await bus.publish(Event("e1", STORED, b""))
        assert await bus.healthy()
    finally:
        await bus.close()
        await bus.close()


async def test_a_connection_whose_end_fails_is_made_anew(server: NatsProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client closes but never says so where data that waits to be sent cannot be sent any more."""

    async def lost(self: TcpTransport) -> None:
        raise ConnectionResetError

    link = Link(
        Address(server.url, "storage", server.passwords["storage"], TlsFiles(server.tls["storage"]), "storage"),
        Backoff(first=0.02, ceiling=0.1, attempts=None),
    )
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: link.is_up)
        first = link.session
        with monkeypatch.context() as broken:
            broken.setattr(TcpTransport, "drain", lost)
            await first.client.publish(STORED, b"not sent any more")
            with suppress(ConnectionResetError):
                await first.client.close()
        assert not link.is_up
        await until(lambda: link.is_up)
        assert link.session is not first
        assert first.ended.is_set()
    finally:
        await cancelling.end({running})


async def test_streams_are_described_again_with_all_of_them_there(tmp_path: Path) -> None:
    async with run_nats(tmp_path / "nats", RIGHTS) as server:
        for _ in range(2):
            for name in ("storage", "delivery", "accounts"):
                async with bus_of(server, name) as bus:
                    for subject in RIGHTS[name].publishes:
                        await bus.describe(bus.session, stream_of(subject))
