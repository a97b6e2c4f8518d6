"""NATS is away: mail is taken as ever, and what it has to announce arrives afterwards, once.

How long it is away is set by LEDGER_NATS_SECONDS; the short time here is longer than every time-out on the way.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.ledger import Load, drained, event_faults, load, mail_faults
from tests.support.ledger_client import Assignment
from tests.support.ledger_mail import Run, Shape, Transaction
from tests.support.ledger_mailboxes import Mailboxes
from tests.support.ledger_procs import is_ready, kill, metrics, pids, stopped, stream_messages, wait_for
from tests.support.ledger_smtp import send_one
from tests.support.platform import RunningPlatform, running_platform

_SECONDS = float(os.environ.get("LEDGER_NATS_SECONDS", "7"))
_PACE = 0.02
_KILLS = 4

pytestmark = pytest.mark.timeout(180 + int(4 * _SECONDS))


@contextmanager
def paced_load(platform: RunningPlatform, run: Run, folder: Path) -> Iterator[Load]:
    """Have mails sent at a steady pace, to public inboxes."""
    smtp = (platform.smtp_host, platform.smtp_port)
    most = int((_SECONDS + 60) / _PACE)
    with load(Assignment(run, *smtp, str(folder / "journal"), 100, most, large_every=0, pace=_PACE)) as client:
        yield client


def waiting(platform: RunningPlatform) -> int:
    """Return how many events storage knows to be unpublished in its present batch."""
    found = re.search(r"^sealpost_events_waiting (\S+)$", metrics(platform, "storage"), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def settle(platform: RunningPlatform, run: Run, folder: Path, client: Load) -> None:
    """Compare everything, then stop the platform and compare what was announced."""
    with closing(Mailboxes(platform, run)) as mailboxes:
        faults, copies = mail_faults(mailboxes, run, client.ledger())
    assert [str(fault) for fault in faults] == []
    drained(platform, copies)
    platform.stop()
    assert [str(fault) for fault in event_faults(platform.home, folder / "events", copies)] == []


def test_mail_is_taken_while_nats_stands_still_and_announced_afterwards_once(tmp_path: Path) -> None:
    run = Run.fresh()
    with running_platform(tmp_path / "home") as platform:
        with paced_load(platform, run, tmp_path) as client:
            client.wait_accepted(100)
            with stopped(pids(platform)["nats"]):
                before = client.accepted()
                time.sleep(_SECONDS)
                meanwhile = client.accepted() - before
                assert waiting(platform) > 0
                assert is_ready(platform, "storage")
                assert is_ready(platform, "gateway")
            resumed = time.monotonic()
            client.finish()
            wait_for("all announced", lambda: stream_messages(platform) >= client.accepted(), 60.0)
            print(f"{meanwhile} mails in {_SECONDS:.0f} s; all announced {time.monotonic() - resumed:.1f} s afterwards")
        assert meanwhile > 0.5 * _SECONDS / _PACE
        assert client.ledger().counts()["refused"] == 0
        settle(platform, run, tmp_path, client)


def test_kills_of_nats_in_a_row_neither_lose_nor_double_an_event(tmp_path: Path) -> None:
    run = Run.fresh()
    with running_platform(tmp_path / "home") as platform:
        with paced_load(platform, run, tmp_path) as client:
            for _ in range(_KILLS):
                client.wait_accepted(25)
                victim = pids(platform)["nats"]
                kill(victim)
                wait_for(
                    "nats back",
                    lambda victim=victim: pids(platform).get("nats", victim) != victim and is_ready(platform, "nats"),  # type: ignore[misc]
                )
            client.finish()
        assert client.ledger().counts()["refused"] == 0
        settle(platform, run, tmp_path, client)


def test_an_open_page_hears_of_new_mail_again_once_nats_is_back(tmp_path: Path) -> None:
    run = Run.fresh()
    with running_platform(tmp_path / "home") as platform:
        with open_page(platform, run) as lines:
            assert heard(lines, platform, run, 1) == "event: stored"
            kill(pids(platform)["nats"])
            # The page is told that it may have missed something; it loads anew and comes again.
            assert next_event(lines) == "event: resync"
        with open_page(platform, run) as lines:
            assert heard(lines, platform, run, 2) == "event: stored"


@contextmanager
def open_page(platform: RunningPlatform, run: Run) -> Iterator[Iterator[str]]:
    """Watch an inbox as a page does; give the lines of the stream."""
    url = f"{platform.url}/v1/public/{run.inbox(1)}/events"
    with httpx.stream("GET", url, timeout=60.0) as page:
        lines = page.iter_lines()
        assert any(line == ": connected" for line in lines)
        yield lines


def next_event(lines: Iterator[str]) -> str:
    """Return the next event that a page hears of."""
    return next(line for line in lines if line.startswith("event:"))


def heard(lines: Iterator[str], platform: RunningPlatform, run: Run, number: int) -> str:
    """Send a mail to the inbox and return what the page hears."""
    mail = Transaction(number, number, Shape.PLAIN, 300, (run.inbox(1),))
    assert send_one(run, platform.smtp_host, platform.smtp_port, mail).accepted
    return next_event(lines)
