"""Parent and workers as real processes: one port, one set of metrics, one life."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import socket
import sys
from pathlib import Path

import pytest

from libs.runtime.clock import SystemClock
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import get_logger
from services.ingest.workers import Workers, address_of, bind, reserve
from tests.support.ingest import until
from tests.support.ingest_process import Mx, run_mx

LOG = get_logger("ingest")


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def deliver(port: int, number: int) -> bool:
    """Send one mail on a connection of its own; return whether 250 was heard."""
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example", timeout=20) as client:
            client.sendmail("ada@example.org", ["bob@sealpost.test"], f"Subject: canary-{number:05d}\r\n\r\n")
    except (OSError, smtplib.SMTPException):
        return False
    return True


async def test_several_workers_share_the_port_and_their_metrics() -> None:
    async with run_mx(workers=3) as mx:
        assert len(set(mx.workers.values())) == 3
        heard = await asyncio.gather(*(asyncio.to_thread(deliver, mx.port, number) for number in range(30)))
        assert all(heard)
        await asyncio.sleep(1.2)
        text = await mx.metrics()
        assert 'sealpost_smtp_mails_total{outcome="accepted"} 30.0' in text
        assert text.count("# TYPE sealpost_smtp_mails_total") == 1


async def test_a_killed_worker_comes_back_and_nothing_acknowledged_is_lost() -> None:
    async with run_mx(workers=2) as mx:
        stop = asyncio.Event()
        heard: list[int] = []
        loads = [asyncio.create_task(_load(mx, stop, heard, start)) for start in range(4)]
        for number in (1, 2):
            await asyncio.sleep(0.4)
            former = mx.workers[number]
            os.kill(former, signal.SIGKILL)
            await until(lambda number=number, former=former: mx.workers[number] != former)  # type: ignore[misc]
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*loads)
        subjects = [content.decode().strip() for content in mx.storage.contents()]
        assert len(heard) > 10
        for number in heard:
            assert subjects.count(f"Subject: canary-{number:05d}") == 1
        assert len(mx.events("worker_died")) == 2


async def test_a_stop_finishes_what_was_begun() -> None:
    async with run_mx() as mx:
        reader, writer = await asyncio.open_connection("127.0.0.1", mx.port)
        for line in (b"EHLO c.example", b"MAIL FROM:<a@b.example>", b"RCPT TO:<bob@sealpost.test>", b"DATA"):
            writer.write(line + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
        mx.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        writer.write(b"Subject: x\r\n\r\n.\r\n")
        said = (await reader.read()).decode().splitlines()
        assert said[-2].startswith("250 2.0.0 Accepted")
        assert said[-1].startswith("421 4.3.2")
        writer.close()
        assert await mx.process.wait() == 0
        assert mx.storage.count == 1
        assert not any(alive(pid) for pid in mx.workers.values())


async def test_workers_do_not_outlive_a_parent_that_is_killed() -> None:
    async with run_mx() as mx:
        mx.process.kill()
        await mx.process.wait()
        await until(lambda: not any(alive(pid) for pid in mx.workers.values()))
        # And a new parent can have the address.
        reserve(mx.address).close()


async def test_nothing_of_a_mail_is_in_the_log() -> None:
    async with run_mx() as mx:
        await asyncio.to_thread(deliver, mx.port, 12345)
        with socket.create_connection(("127.0.0.1", mx.port)) as client:
            client.sendall(b"EHLO canary\r\nMAIL FROM:<canary@example.org>\r\nRCPT TO:<canary>\r\nbare\nlf canary\r\n")
            while client.recv(4096):
                pass
        await asyncio.sleep(0.2)
        text = str(mx.lines)
        for word in ("canary", "example.org", "bob", "c.example", "127.0.0.1"):
            assert word not in text


async def test_a_worker_that_cannot_live_ends_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.workers._MAX_SHORT_LIVES", 2)
    workers = Workers(2, {}, LOG, SystemClock(), (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(BaseExceptionGroup) as caught:
        await workers.run()
    assert caught.value.subgroup(UnavailableError)


async def test_wrong_settings_end_the_parent_at_once() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(BaseExceptionGroup):
            await Workers(1, {}, LOG, SystemClock(), (sys.executable, "-c", "raise SystemExit(2)")).run()


async def test_a_worker_that_never_gets_ready_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.workers._START_SECONDS", 0.3)
    workers = Workers(1, {}, LOG, SystemClock(), (sys.executable, "-c", "import time; time.sleep(60)"))
    run = asyncio.create_task(workers.run())
    with pytest.raises(UnavailableError):
        await workers.started()
    assert not await workers.all_ready()
    await workers.stop(0.1)
    await run


async def test_a_worker_that_does_not_drain_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.workers._CLOSING_SECONDS", 0.2)
    stubborn = "import os,signal,time; signal.signal(15, signal.SIG_IGN); os.write({0}, b'{{}}\\n'); time.sleep(60)"
    script = f"import os; fd = int(os.environ['SEALPOST_WORKER_CHANNEL']); exec({stubborn!r}.format(fd))"
    workers = Workers(1, {}, LOG, SystemClock(), (sys.executable, "-c", script))
    run = asyncio.create_task(workers.run())
    await workers.started()
    await workers.stop(0.1)
    await run


def test_an_address_that_somebody_listens_on_is_refused() -> None:
    with bind("127.0.0.1:0") as listener:
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            reserve(address_of(listener))


def test_workers_can_share_an_address_that_is_held() -> None:
    with reserve("127.0.0.1:0") as held, bind(address_of(held)) as one, bind(address_of(held)) as two:
        one.listen()
        two.listen()
    with reserve("[::1]:0") as held:
        assert address_of(held).startswith("[::1]:")


async def _load(mx: Mx, stop: asyncio.Event, heard: list[int], start: int) -> None:
    number = start * 10_000
    while not stop.is_set():
        if await asyncio.to_thread(deliver, mx.port, number):
            heard.append(number)
        number += 1
