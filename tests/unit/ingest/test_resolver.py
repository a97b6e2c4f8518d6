"""DNS: a cache, a breaker, and nothing that waits longer than it was told to; against a real server."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from libs.runtime.clock import SystemClock
from services.ingest.resolver import DnsResolver, TemporaryDnsError, UnknownYetError
from tests.support.clock import ManualClock
from tests.support.dns import DnsServer, Zone, serve_dns, txt

ZONE: Zone = {
    ("example.org", "TXT"): [txt("v=spf1 -all"), txt("x" * 300)],
    ("example.org", "A"): ["192.0.2.1"],
    ("example.org", "AAAA"): ["2001:db8::1"],
    ("example.org", "MX"): ["10 mx.example.org."],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["example.org."],
}


class LiveClock(ManualClock):
    """Moves by itself too, so that what waits in real time ends."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def monotonic(self) -> float:
        return super().monotonic() + time.monotonic() - self._began


def resolver(server: DnsServer, clock: ManualClock | SystemClock | None = None) -> DnsResolver:
    made = DnsResolver((server.address,), clock or SystemClock())
    made.probe()
    return made


def soon(clock: ManualClock | SystemClock | None = None, seconds: float = 3.0) -> float:
    return (clock or SystemClock()).monotonic() + seconds


def test_records_in_their_forms() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        assert set(made.lookup("example.org", "TXT", soon())) == {b"v=spf1 -all", b"x" * 300}
        assert made.lookup("example.org", "A", soon()) == ("192.0.2.1",)
        assert made.lookup("example.org", "AAAA", soon()) == ("2001:db8::1",)
        assert made.lookup("example.org", "MX", soon()) == ((10, "mx.example.org"),)
        assert made.lookup("1.2.0.192.in-addr.arpa", "PTR", soon()) == ("example.org",)


def test_what_does_not_exist_is_no_record() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        assert made.lookup("nowhere.example", "TXT", soon()) == ()
        assert made.lookup("1.2.0.192.in-addr.arpa", "TXT", soon()) == ()
        for impossible in ("a" * 64 + ".example", "a..example", ".".join(["a" * 60] * 6)):
            assert made.lookup(impossible, "TXT", soon()) == ()


def test_answers_are_remembered_as_long_as_they_live() -> None:
    clock = LiveClock()
    with serve_dns(ZONE) as server:
        made = resolver(server, clock)
        with pytest.raises(UnknownYetError):
            made.peek("example.org", "A")
        made.lookup("example.org", "A", soon(clock))
        made.lookup("nowhere.example", "A", soon(clock))
        asked = len(server.asked)
        assert made.lookup("EXAMPLE.org", "A", soon(clock)) == made.peek("example.org", "A") == ("192.0.2.1",)
        assert made.peek("nowhere.example", "A") == ()
        assert len(server.asked) == asked
        clock.advance(61)
        with pytest.raises(UnknownYetError):
            made.peek("nowhere.example", "A")
        assert made.peek("example.org", "A") == ("192.0.2.1",)
        clock.advance(300)
        made.lookup("example.org", "A", soon(clock))
        assert len(server.asked) == asked + 1


def test_a_silent_server_costs_no_more_than_the_deadline() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        server.mode = "silent"
        began = time.monotonic()
        with pytest.raises(TemporaryDnsError):
            made.lookup("example.org", "A", soon(seconds=0.3))
        assert time.monotonic() - began < 1.0
        # And the second time nothing at all.
        began = time.monotonic()
        with pytest.raises(TemporaryDnsError):
            made.peek("example.org", "A")
        assert time.monotonic() - began < 0.05


def test_the_breaker_opens_and_a_probe_closes_it() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        server.mode = "silent"
        for number in range(3):
            assert not made.is_open
            with pytest.raises(TemporaryDnsError):
                made.lookup(f"host{number}.example.org", "A", soon(seconds=0.1))
        assert made.is_open
        asked = len(server.asked)
        with pytest.raises(TemporaryDnsError):
            made.peek("fresh.example.org", "A")
        with pytest.raises(TemporaryDnsError):
            made.lookup("fresh.example.org", "A", soon())
        assert len(server.asked) == asked, "an open breaker asks nobody"
        server.mode = "answer"
        made.probe()
        assert not made.is_open
        assert made.lookup("example.org", "A", soon()) == ("192.0.2.1",)


def test_a_server_that_fails_is_alive() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        server.mode = "servfail"
        for number in range(5):
            with pytest.raises(TemporaryDnsError):
                made.lookup(f"host{number}.example.org", "A", soon(seconds=1.0))
        assert not made.is_open


def test_nobody_waits_before_the_first_probe() -> None:
    with serve_dns(ZONE) as server:
        made = DnsResolver((server.address,), SystemClock())
        with pytest.raises(TemporaryDnsError):
            made.peek("example.org", "A")
        assert server.asked == []


async def test_watching_probes_at_once() -> None:
    with serve_dns(ZONE) as server:
        made = DnsResolver((server.address,), SystemClock())
        watch = asyncio.create_task(made.watch())
        async with asyncio.timeout(5):
            for _ in range(500):
                if not made.is_open:
                    break
                await asyncio.sleep(0.01)
        assert not made.is_open
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


def test_one_question_for_many_askers() -> None:
    with serve_dns(ZONE) as server:
        made = resolver(server)
        server.mode = "silent"
        failures: list[Exception] = []

        def ask() -> None:
            try:
                made.lookup("example.org", "A", soon(seconds=0.5))
            except TemporaryDnsError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(failures) == 8
        assert len([name for name, _ in server.asked if name == "example.org."]) <= 2, "one question and its repetition"


def test_no_server_at_all() -> None:
    made = DnsResolver(("127.0.0.1:9",), SystemClock())
    began = time.monotonic()
    made.probe()
    assert made.is_open
    assert time.monotonic() - began < 3.0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.resolver._CAPACITY", 10)
    with serve_dns(ZONE) as server:
        made = resolver(server)
        for number in range(30):
            made.lookup(f"host{number}.example.org", "A", soon())
        assert len(made._answers) == 10
