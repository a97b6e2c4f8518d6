"""The client of the outward ledger test, a process of its own: submits mails as mail programs do, and records them.

    python -m tests.support.outward_client '<OutwardAssignment as JSON>'

It does what ledger_client does, over TLS and signed in. Half of its sessions begin with STARTTLS; each belongs to one
account, so each takes mails of its own.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import sys
from collections import Counter

from tests.support.ledger_client import Client
from tests.support.ledger_smtp import Session
from tests.support.outward_mail import OutwardAssignment, OutwardRun


class SubmissionSession(Session):
    """A connection to submission, signed in."""

    def __init__(self, assignment: OutwardAssignment, number: int) -> None:
        """Prepare session `number`."""
        starttls = number % 2 == 1
        super().__init__(assignment.run, assignment.host, assignment.starttls_port if starttls else assignment.port)
        run = assignment.run
        assert isinstance(run, OutwardRun)
        account = run.account_of(number)
        self._proof = (run.accounts()[account], assignment.passwords[account])
        self._starttls = starttls
        self._context = ssl.create_default_context(cafile=assignment.ca)

    async def _open(self, tls: bool) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            *self._place,
            local_addr=(self._run.address, 0),
            ssl=None if self._starttls else self._context,
            server_hostname=None if self._starttls else "localhost",
        )
        await self._reply(220)
        await self._hello()
        if self._starttls:
            await self._command("STARTTLS", 220)
            await self._writer.start_tls(self._context, server_hostname="localhost")
            await self._hello()
        self.stage = "auth"
        name, password = (text.encode() for text in self._proof)
        if tls:
            await self._command("AUTH LOGIN", 334)
            await self._command(base64.b64encode(name).decode(), 334)
            await self._command(base64.b64encode(password).decode(), 235)
        else:
            proof = base64.b64encode(b"\0" + name + b"\0" + password).decode()
            await self._command(f"AUTH PLAIN {proof}", 235)


class OutwardClient(Client):
    """Submits."""

    def __init__(self, assignment: OutwardAssignment) -> None:
        """Open the journal."""
        super().__init__(assignment)
        self._outward = assignment
        self._places: Counter[int] = Counter()

    def _session(self, number: int) -> Session:
        return SubmissionSession(self._outward, number)

    def _take(self, session: int) -> int | None:
        if self._stopping.is_set() and self._begun >= self._outward.mails:
            return None
        number = self._outward.number_of(session, self._places[session])
        self._places[session] += 1
        self._begun += number is not None
        return number


def main(argument: str) -> int:
    """Run the client."""
    # It complains of servers that end TLS with the connection, which is how killed ones end it.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    return asyncio.run(OutwardClient(OutwardAssignment.from_json(argument)).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
