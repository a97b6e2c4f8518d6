"""The client of the ledger test, a process of its own: sends every mail until it is accepted, and records each attempt.

    python -m tests.support.ledger_client '<Assignment as JSON>'

It goes on beyond the mails it was asked for until its standard input is closed, so that load lasts as long as there is
something to kill. Exit code 0: every mail that was begun has been accepted; 3: the time was over before.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.ledger_journal import Journal, Outcome
from tests.support.ledger_mail import Run, Shape, Transaction
from tests.support.ledger_smtp import Session

_PER_INBOX = 3
_PER_CONNECTION = 4
_SMALL = (Shape.PLAIN, Shape.DOTS, Shape.EIGHT_BIT, Shape.LONG_LINES, Shape.ATTACHMENT, Shape.NO_BODY)
TIME_OVER = 3


@dataclass(frozen=True)
class Assignment:
    """What to send where. `most` bounds the mails in all; `large_every` 0 means none over 1 MiB.

    `pace` is the least time between the beginnings of two mails, in seconds.
    """

    run: Run
    host: str
    port: int
    journal: str
    mails: int
    most: int
    members: int = 0
    sessions: int = 12
    large_every: int = 100
    seconds: float = 150.0
    pace: float = 0.0

    def to_json(self) -> str:
        """Return it as the client's argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Assignment:
        """Return what `to_json` wrote."""
        given = json.loads(text)
        return cls(**{**given, "run": Run(**given["run"])})

    def mail(self, number: int) -> Transaction:
        """Return mail `number` (its transaction number is still to be set): whom it goes to, how it looks."""
        large = self.large_every and number % self.large_every == self.large_every // 2
        shape = Shape.LARGE if large else _SMALL[number // 2 % len(_SMALL)]
        size = 1_500_000 if large else (300, 2000, 12_000)[number % 3]
        return Transaction(0, number, shape, size, self._recipients(number))

    def _recipients(self, number: int) -> tuple[str, ...]:
        own = self.run.inbox(1_000_000 + number)
        if not self.members:
            return (own,) if number % 10 == 9 else (self.run.inbox(number // _PER_INBOX),)
        member = self.run.member(number % self.members)
        other = self.run.member((number + 1) % self.members)
        if number % 10 == 9:
            return tuple(dict.fromkeys((member, own, other)))
        return (member,) if number % 10 < 6 else (self.run.inbox(number // _PER_INBOX),)


class Client:
    """Sends."""

    def __init__(self, assignment: Assignment) -> None:
        """Open the journal."""
        self._assignment = assignment
        self._journal = Journal(Path(assignment.journal))
        self._mails = iter(range(assignment.most))
        self._begun = 0
        self._transactions = 0
        self._stopping = asyncio.Event()
        self._next_start = 0.0

    async def run(self) -> int:
        """Send everything; return the exit code."""
        watch = asyncio.create_task(self._watch_stdin())
        try:
            async with asyncio.timeout(self._assignment.seconds):
                await asyncio.gather(*(self._sessions(number) for number in range(self._assignment.sessions)))
        except TimeoutError:
            return TIME_OVER
        finally:
            watch.cancel()
            self._journal.close()
        return 0

    async def _watch_stdin(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()
        self._stopping.set()

    def _take(self, session: int) -> int | None:
        """Return the number of the next mail of any session, None when there is nothing left to do."""
        if self._stopping.is_set() and self._begun >= self._assignment.mails:
            return None
        number = next(self._mails, None)
        if number is not None:
            self._begun += 1
        return number

    async def _sessions(self, number: int) -> None:
        session = self._session(number)
        sent = 0
        while (mail := self._take(number)) is not None:
            await self._wait_turn()
            await self._deliver(session, self._assignment.mail(mail), tls=number % 6 == 0)
            sent += 1
            if sent % _PER_CONNECTION == 0:
                session.close()
        session.close()

    def _session(self, number: int) -> Session:
        """Return session `number`, not yet open."""
        return Session(self._assignment.run, self._assignment.host, self._assignment.port)

    async def _wait_turn(self) -> None:
        if self._assignment.pace:
            loop = asyncio.get_running_loop()
            start = max(self._next_start, loop.time())
            self._next_start = start + self._assignment.pace
            await asyncio.sleep(start - loop.time())

    async def _deliver(self, session: Session, mail: Transaction, *, tls: bool) -> None:
        while True:
            if await self._attempt(session, mail, tls=tls):
                return
            await asyncio.sleep(random.uniform(0.05, 0.3))

    async def _attempt(self, session: Session, mail: Transaction, *, tls: bool) -> bool:
        """Make one attempt as a transaction of its own; tell whether it was accepted."""
        self._transactions += 1
        transaction = Transaction(self._transactions, mail.mail, mail.shape, mail.size, mail.recipients)
        await self._journal.intend(transaction)
        outcome = Outcome(0, "connect")
        if session.is_open or await session.open(tls=tls):
            outcome = await session.send(transaction)
        await self._journal.conclude(transaction.number, outcome)
        return outcome.accepted


def main(argument: str) -> int:
    """Run the client."""
    # It complains of servers that end TLS with the connection, which is how killed ones end it.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return asyncio.run(Client(Assignment.from_json(argument)).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
