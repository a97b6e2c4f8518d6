"""A ledger run: load on a platform from a process of its own, and the reckoning afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ledger_check import Fault, StoredCopy, judge, judge_events
from tests.support.ledger_client import Assignment
from tests.support.ledger_events import announced
from tests.support.ledger_journal import Ledger
from tests.support.ledger_mail import Run
from tests.support.ledger_mailboxes import Mailboxes
from tests.support.ledger_procs import stream_messages, wait_for
from tests.support.platform import ROOT, RunningPlatform

# As Journal writes them; counting bytes costs less than reading records while others are at work.
_CONCLUDED = b'"code": '
_ACCEPTED = b'"code": 250, "stage": "content"'


@dataclass
class Load:
    """A running client."""

    assignment: Assignment
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)

    @property
    def journal(self) -> Path:
        """The file that it records into."""
        return Path(self.assignment.journal)

    def accepted(self) -> int:
        """Return how many transactions have been answered 250 so far."""
        return self.journal.read_bytes().count(_ACCEPTED) if self.journal.exists() else 0

    def concluded(self) -> int:
        """Return how many transactions have ended so far, however."""
        return self.journal.read_bytes().count(_CONCLUDED) if self.journal.exists() else 0

    def wait_accepted(self, more: int, seconds: float = 60.0) -> float:
        """Return how many seconds it took until `more` further transactions were answered 250."""
        wanted = self.accepted() + more
        return wait_for(f"{more} more mails accepted", lambda: self.accepted() >= wanted, seconds)

    def ledger(self) -> Ledger:
        """Return what it has recorded so far."""
        return Ledger.read(self.journal)

    def codes_since(self, before: Ledger) -> list[int]:
        """Return the codes of the outcomes that `before` does not know."""
        return [outcome.code for number, outcome in self.ledger().outcomes.items() if number not in before.outcomes]

    def finish(self, seconds: float = 90.0) -> float:
        """Let it end once it has sent what it was asked for; return how many seconds it ran in all."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(seconds)
        assert code == 0, f"the client ended with {code}: {self.ledger().counts()}"
        return time.monotonic() - self.began

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextmanager
def load(assignment: Assignment, client: str = "tests.support.ledger_client") -> Iterator[Load]:
    """Run a client for the time of the block; one that still runs at its end is killed."""
    command = [sys.executable, "-m", client, assignment.to_json()]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    running = Load(assignment, process)
    try:
        yield running
    finally:
        running.kill()


def drained(platform: RunningPlatform, copies: Sequence[StoredCopy]) -> None:
    """Wait until as many events are in the stream as there are messages."""
    wait_for("every message announced", lambda: stream_messages(platform) >= len(copies), 30.0)


def mail_faults(mailboxes: Mailboxes, run: Run, ledger: Ledger) -> tuple[list[Fault], list[StoredCopy]]:
    """Read all mailboxes and judge them."""
    copies = mailboxes.read(ledger)
    return judge(run, ledger, copies), copies


def event_faults(home: Path, scratch: Path, copies: Iterable[StoredCopy]) -> list[Fault]:
    """Judge what a stopped platform has announced."""
    stored = {copy.message_id for copy in copies}
    return judge_events(stored, asyncio.run(announced(home, scratch, stored)))
