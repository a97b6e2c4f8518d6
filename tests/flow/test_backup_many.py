"""1,000 of 1,200 users are erased while mail comes in, and an older backup is brought back: they stay erased.

What is brought back holds all of them, keys, mail and all. Before anybody gets in, at whatever door, retention has
erased them once more; everybody else reads the mail that was there when the backup was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import smtplib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from libs.local.backup import MARKER, restore, save
from libs.runtime.clock import SystemClock
from tests.flow.test_backup import receipt, wait_for
from tests.support.backup_people import (
    Person,
    close_many,
    found_of,
    mails_of_many,
    read_by_many,
    send_to_many,
    sign_up_many,
    what_opens,
)
from tests.support.ledger_procs import metrics
from tests.support.platform import RunningPlatform, running_platform

ERASED, STAYING = 1000, 200
EVERY_SECONDS = 0.05
TEXT = "hello everybody"
ERASURES = re.compile(r'^sealpost_retention_erasures_total\{stage="done"\} ([0-9.]+)', re.MULTILINE)


@dataclass
class Load:
    """Mail that comes in and pages that are read, so many a second, for as long as somebody wants."""

    platform: RunningPlatform
    people: list[Person]
    mails: int = 0
    pages: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Send and read in turns until `stop`; what goes wrong is noted."""
        with httpx.Client(base_url=self.platform.url, timeout=30) as http:
            for number in range(100_000):
                if stop.wait(EVERY_SECONDS):
                    return
                try:
                    send_to_many(self.platform, [self.people[number % len(self.people)]], "more")
                    self.mails += 1
                    http.get("/v1/info").raise_for_status()
                    self.pages += 1
                except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
                    self.faults.append(type(error).__name__)


@contextlib.contextmanager
def beside(work: threading.Thread, stop: threading.Event) -> Iterator[None]:
    """Have something go on beside."""
    work.start()
    try:
        yield
    finally:
        stop.set()
        work.join(60)


def erasures(platform: RunningPlatform) -> int:
    """Return how many erasures are through."""
    found = ERASURES.search(metrics(platform, "retention"))
    return int(float(found[1])) if found else 0


def last_time(home: Path, service: str, event: str) -> str:
    """Return when a service last said something, as its log has it."""
    lines = (home / "log" / f"{service}.log").read_text().splitlines()
    said = [json.loads(line) for line in lines if f'"{event}"' in line]
    return str(said[-1]["time"])


def told(what: str, began: float) -> None:
    """Say how long something took: shown where the test fails, and with -s."""
    print(f"{what}: {time.monotonic() - began:.1f} s")


def erase_under_load(platform: RunningPlatform, leaving: list[Person], staying: list[Person]) -> None:
    """Have `leaving` erased while mail for `staying` comes in."""
    load, stop = Load(platform, staying), threading.Event()
    with beside(threading.Thread(target=load.run, args=(stop,)), stop):
        began = time.monotonic()
        tokens = asyncio.run(close_many(platform.home, leaving))
        told("closed", began)
        wait_for("the erasures", lambda: erasures(platform) >= ERASED, 120)
        told("erased", began)
    assert load.faults == []
    assert load.mails > 20 and load.pages > 20
    print(f"beside it: {load.mails} mails, {load.pages} pages")
    assert {receipt(platform, token) for token in tokens[:: len(tokens) // 10]} == {"done"}


@pytest.mark.timeout(300)
def test_a_thousand_erased_users_stay_erased_when_an_older_backup_comes_back(tmp_path: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "backup"
    began = time.monotonic()
    with running_platform(home) as platform:
        told("started", began)
        people = asyncio.run(sign_up_many(platform, ERASED + STAYING))
        told("signed up", began)
        send_to_many(platform, people, TEXT)
        mails = asyncio.run(mails_of_many(platform, people))
        assert all(len(one) == 1 for one in mails)
        told("written to", began)
        leaving, staying = people[:ERASED], people[ERASED:]
        betraying = {name for one in leaving for name in (one.account_id, one.mailbox_id)}
        betraying |= {one for (one,) in mails[:ERASED]}
        save(home, kept, SystemClock())
        erase_under_load(platform, leaving, staying)
        wait_for("no trace of them", lambda: found_of(home, betraying) == {})
        told("gone", began)

    restore(home, kept)
    back = found_of(home, betraying)
    assert set().union(*back.values()) == betraying, "the backup is from before"
    assert back["crypto"] >= {one.account_id for one in leaving}, "their keys are back"
    told("restored", began)
    came_back(home, leaving, staying, betraying)
    told("all", began)


def came_back(home: Path, leaving: list[Person], staying: list[Person], betraying: set[str]) -> None:
    """Start what was restored, and see who is there."""
    began = time.monotonic()
    with running_platform(home) as platform:
        told("replayed and ready", began)
        assert not (home / MARKER).exists()
        replayed = last_time(home, "retention", "replayed")
        assert all(replayed < last_time(home, door, "starting") for door in ("gateway", "ingest"))
        assert found_of(home, betraying) == {}
        assert asyncio.run(what_opens(platform, leaving)) == set()
        told("looked for", began)
        opened = asyncio.run(read_by_many(platform, staying))
        assert len(opened) == STAYING
        assert all(TEXT.encode() in mail for (mail,) in opened)
        told("read", began)
