"""What is said at any door is in no file, no message, no log line, no metric and no trace.

Canaries - addresses, addresses of the network, names of programs, referrers, subjects, bodies, passwords - go through
every door of the whole platform. Then everything is searched in every encoding that tests.support.ledger_scan knows:
all files of the platform, the messages that services have published to NATS, what they print and log, what they show to
Prometheus, and what they send to a collector of traces. What may be said there at all is a closed list, and is
compared with it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.collector import Collector, collecting
from tests.support.counted import pseudonyms
from tests.support.doors import PROXY, Doors, Words
from tests.support.exposition import faults, pages, vocabularies
from tests.support.ledger_logs import log_faults, log_files
from tests.support.ledger_procs import wait_for
from tests.support.ledger_scan import Leak, Scanner
from tests.support.outside import outside
from tests.support.platform import RunningPlatform
from tests.support.watched import Watched, watched_platform

SERVICES = ("accounts", "crypto", "storage", "ingest", "delivery", "gateway", "analytics", "billing", "retention")


def test_nothing_of_what_is_said_is_kept_or_told(tmp_path: Path) -> None:
    words = Words()
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><title>page</title>")
    with collecting() as collector, outside(words.remote) as world:
        tuning = {name: {"OTLP_ENDPOINT": collector.endpoint} for name in SERVICES}
        tuning["gateway"] |= {"TRUSTED_PROXIES": PROXY, "WEB_DIR": str(page)}
        with watched_platform(tmp_path / "home", tuning, **world.settings) as (platform, watched):
            doors = Doors(platform, world, words)
            doors.members()
            doors.mx()
            doors.submission()
            doors.relay()
            doors.pages()
            _assert_metrics(platform, words)
            _wait_told(platform, watched, words)
            assert platform.stop() == 0
            assert _leaks(words, platform.home, watched.folder) == []
            printed = "\n".join(platform.output).encode()
            assert [str(leak) for one in _scanners(words) for leak in one.scan_bytes("output", printed)] == []
            assert [fault for path in log_files(platform.home) for fault in log_faults(path)] == []
        _assert_traces(collector, words)
        _assert_search_bites(platform, watched, words)


def _wait_told(platform: RunningPlatform, watched: Watched, words: Words) -> None:
    """Wait until there are facts of each address, under the name that it has today: so each was seen as a client."""
    names = [word.to_bytes(8, "little") for word in asyncio.run(pseudonyms(platform, words.addresses))]
    assert len(names) == len(words.addresses)

    def told() -> bool:
        published = watched.capture.nats()
        return all(name in published for name in names)

    wait_for("facts of all clients", told, 20.0)


def _scanners(words: Words) -> list[Scanner]:
    return [Scanner(word) for word in (words.token, *words.addresses)]


def _leaks(words: Words, *roots: Path) -> list[str]:
    """Search all files."""
    leaks: list[Leak] = []
    for scanner in _scanners(words):
        leaks += scanner.scan(*roots)
        assert scanner.files > 5
    return [str(leak) for leak in leaks]


def _assert_metrics(platform: RunningPlatform, words: Words) -> None:
    """Assert that every label says a word of its vocabulary, on the pages of all services."""
    shown = pages(platform)
    assert shown.keys() == set(SERVICES)
    declared = vocabularies()
    for service, page in shown.items():
        assert page.count("\nsealpost_") > 20, service
        assert faults(page, declared) == set(), service
        assert [str(leak) for one in _scanners(words) for leak in one.scan_bytes(service, page.encode())] == []
    # A word that is not declared, one that is an address, a label that is not declared.
    for label in ('method="ada"', 'outcome="ada"', 'check="127.0.0.1"', 'peer="a@b"', 'user="ok"'):
        line = f"# TYPE sealpost_rpc_made_total counter\nsealpost_rpc_made_total{{{label}}} 1.0\n"
        assert faults(line, declared) != set(), label


def _assert_traces(collector: Collector, words: Words) -> None:
    """Assert that all services have told of what they did, in words of the closed list."""
    # Nobody asks these three anything here.
    assert collector.services() >= set(SERVICES) - {"analytics", "billing", "retention"}
    assert len(collector.spans()) > 100
    assert collector.faults() == set()
    sent = b"\n".join(request.SerializeToString() for request in collector.requests)
    assert [str(leak) for scanner in _scanners(words) for leak in scanner.scan_bytes("traces", sent)] == []


def _assert_search_bites(platform: RunningPlatform, watched: Watched, words: Words) -> None:
    """Plant a canary as a log line, and as a message: each is found, and each line is none that may be logged."""
    log = platform.home / "log" / "ingest.log"
    written = log.read_bytes()
    for planted in (f"{words.token}@example.org", words.mx):
        line = b'{"time":"2026-11-23T01:00:00.000+00:00","level":"info","service":"ingest","logger":"smtp",'
        log.write_bytes(written + line + b'"event":"refused","sender":"%s"}\n' % planted.encode())
        assert any(str(log) in leak for leak in _leaks(words, platform.home / "log"))
        assert log_faults(log) != []
    log.write_bytes(written)
    message = watched.folder / "nats~planted"
    message.write_bytes(b"mail.stored.v1\n" + words.token.encode())
    assert any("planted" in leak for leak in _leaks(words, watched.folder))
