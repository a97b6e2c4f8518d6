"""Facts over the real nats-server: held until they are counted, counted once, under one salt that no disk sees."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.errors import APIError, NotFoundError

from libs.events.facts import FactsPublisher
from libs.events.jetstream import EventBus
from libs.events.salts import Salts, subject_of
from libs.events.server_config import RIGHTS
from libs.events.streams import FACTS, SALTS
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import Clock, SystemClock
from libs.telemetry.facts import LOST, Facts, Salt
from tests.contract.test_events_server import Violations, tls_of
from tests.contract.test_events_server import connect as connect_with
from tests.support.clock import ManualClock
from tests.support.facts_reader import connect, reading
from tests.support.nats import NatsProcess, run_nats

UNIT = b"canary-unit-203.0.113.77"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    rights = {name: RIGHTS[name] for name in ("ingest", "gateway", "analytics")}
    async with run_nats(tmp_path / "nats", rights) as process:
        yield process


class Emitter:
    """One process that records."""

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self.bus = bus
        self.facts = Facts(clock)
        self.publisher = FactsPublisher(self.facts, bus, clock)

    def record(self, number: int) -> None:
        for one in range(number):
            self.facts.record("visitors", UNIT + one.to_bytes(4, "big"))


@asynccontextmanager
async def emitter(server: NatsProcess, name: str = "ingest", clock: Clock | None = None) -> AsyncIterator[Emitter]:
    bus = await EventBus.connect(server.url, name, server.passwords[name], TlsFiles(server.tls[name]), name)
    made = Emitter(bus, clock or SystemClock())
    running = asyncio.create_task(made.publisher.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.publisher.close()
        await bus.close()


async def until(condition: Callable[[], object], seconds: float = 25.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - watches from outside
            await asyncio.sleep(0.02)


async def test_facts_are_counted_once_through_a_server_that_is_killed_and_begins_anew(server: NatsProcess) -> None:
    async with emitter(server) as first, reading(server) as reader:
        await until(lambda: first.facts.ready)
        first.record(1000)
        await until(lambda: reader.facts == 1000 and first.publisher.unconfirmed == 0)
        reader.confirming = False
        first.record(300)
        await until(lambda: reader.facts == 1300)
        assert first.publisher.unconfirmed == 300
        await server.stop(kill=True)
        first.record(500)
        await asyncio.sleep(1.2)
        first.record(200)
        reader.confirming = True
        await server.start()
        await until(lambda: reader.facts >= 2000 and first.publisher.unconfirmed == 0)
        assert reader.facts == 2000
        assert reader.repeated > 0
        assert len({batch.salt_id for batch in reader.counted}) == 1
        async with emitter(server, "gateway") as second:
            await until(lambda: second.facts.ready)
            assert second.facts.pseudonym("ip", UNIT) == first.facts.pseudonym("ip", UNIT)
    logs = (server.directory / "nats.log").read_bytes()
    assert b"canary-unit" not in logs
    written = [path for path in (server.directory / "store").rglob("*") if path.is_file()]
    assert not [path for path in written if {"FACTS", "SALTS"} & set(path.parts)]


async def test_two_processes_that_race_for_a_salt_get_one(server: NatsProcess) -> None:
    async with emitter(server) as first, emitter(server, "gateway") as second:
        await until(lambda: first.facts.ready and second.facts.ready)
        assert first.facts.pseudonym("ip", UNIT) == second.facts.pseudonym("ip", UNIT)
        await server.stop(kill=True)
        await server.start()
        analytics = await connect(server, "analytics")
        client = await connect(server, "ingest")
        day = subject_of(Salts(SystemClock()).today)
        async with asyncio.timeout(10):
            while not await salt_at(client, day):  # noqa: ASYNC110 - a holder puts it back
                await asyncio.sleep(0.05)
        before = await salt_at(client, day)
        with pytest.raises(APIError) as refused:
            await client.jetstream().publish(day, b"x" * 32)
        assert refused.value.err_code == 10077
        assert await salt_at(client, day) == before
        assert await analytics.jetstream().purge_stream(SALTS.name, subject=day)
        assert await salt_at(client, day) is None
        await asyncio.gather(client.close(), analytics.close())


async def salt_at(client: Client, subject: str) -> bytes | None:
    try:
        message = await client.jetstream(timeout=2).get_last_msg(SALTS.name, subject, direct=True)
    except (NotFoundError, NoRespondersError):
        return None  # nor is there a stream, until somebody describes it
    return message.data


async def test_a_salt_is_gone_an_hour_after_its_day(server: NatsProcess) -> None:
    clock = ManualClock(datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC))
    async with emitter(server, clock=clock) as one:
        # That of the next day is there before the day is.
        await until(lambda: len(one.publisher.held_days) == 2)
        assert one.facts.ready
        day = Salts(clock).today
        clock.advance(minutes=40)
        one.publisher.hold()
        assert one.facts.ready
        assert one.publisher.held_days == {day, day + 1}
        clock.advance(minutes=21)
        one.publisher.hold()
        assert one.publisher.held_days == {day + 1}
        # By its type: asking a weak proxy of something that is gone what it is an instance of raises.
        assert not [held for held in gc.get_objects() if type(held) is Salt and held.day == day]


async def test_at_the_end_what_is_left_is_published(server: NatsProcess) -> None:
    async with reading(server) as reader:
        async with emitter(server) as one:
            await until(lambda: one.facts.ready)
            one.record(5)
            await until(lambda: reader.facts == 5)
            one.record(7)
        await until(lambda: reader.facts == 12)


async def test_without_a_server_facts_are_lost_and_nothing_waits(tmp_path: Path) -> None:
    rights = {"ingest": RIGHTS["ingest"]}
    async with run_nats(tmp_path / "nats", rights) as server:
        await server.stop()
        before = LOST.value(reason="no_salt")
        async with emitter(server) as one:
            one.record(10)
            assert not one.facts.ready
        assert LOST.value(reason="no_salt") == before + 10


async def test_who_records_may_read_no_fact_and_remove_nothing_and_who_counts_may_read_no_salt(
    server: NatsProcess,
) -> None:
    ingest = await connect(server, "ingest")
    for stream in (FACTS, SALTS):
        await ingest.jetstream().add_stream(stream.config(1))
    await ingest.close()
    forbidden = {
        "ingest": {
            "publish": ["$JS.API.CONSUMER.CREATE.FACTS.x.facts.1", "$JS.API.CONSUMER.CREATE.FACTS", "units.1",
                        "$JS.API.STREAM.MSG.GET.FACTS", "$JS.API.DIRECT.GET.FACTS.facts.1", "counted.0000000000000001",
                        "$JS.API.STREAM.PURGE.FACTS", "$JS.API.STREAM.PURGE.SALTS", "$JS.API.STREAM.DELETE.SALTS",
                        "$JS.API.STREAM.INFO.UNITS", "$JS.API.STREAM.CREATE.UNITS", "$JS.API.STREAM.CREATE.COPY",
                        "$JS.API.CONSUMER.MSG.NEXT.FACTS.x", "facts.1.2", "mail.stored.v1"],
            "subscribe": ["facts.>", "facts.1", "salts.>", "units.>", "_INBOX.analytics.>"],
        },
        "analytics": {
            "publish": ["facts.1", "salts.20261122", "$JS.API.DIRECT.GET.SALTS.salts.20261122",
                        "$JS.API.STREAM.MSG.GET.SALTS", "$JS.API.CONSUMER.CREATE.SALTS.x.salts.20261122",
                        "$JS.API.STREAM.CREATE.SALTS", "$JS.API.STREAM.UPDATE.SALTS", "$JS.API.STREAM.PURGE.FACTS",
                        "$JS.API.CONSUMER.CREATE.MAIL.x.mail.stored.v1", "$JS.API.STREAM.DELETE.FACTS"],
            "subscribe": ["salts.>", "facts.>", "units.>", "_INBOX.ingest.>", "mail.>"],
        },
    }  # fmt: skip
    for user, attempts in forbidden.items():
        seen = Violations()
        password = server.passwords[user].reveal()
        client = await connect_with(server, user=user, password=password, tls=tls_of(server, user), error_cb=seen.note)
        for subject in attempts["publish"]:
            assert await seen.of(client, client.publish(subject, b"")), (user, subject)
        for subject in attempts["subscribe"]:
            assert await seen.of(client, client.subscribe(subject)), (user, subject)
        await client.close()
