"""One SMTP session as the ledger's client holds it: it knows how far it came when the other side is killed."""

from __future__ import annotations

import asyncio
import ssl

from tests.support.ledger_journal import Outcome
from tests.support.ledger_mail import Run, Transaction

REPLY_SECONDS = 45.0


class Session:
    """A connection. `stage` is what was sent last; see Outcome."""

    def __init__(self, run: Run, host: str, port: int) -> None:
        """Prepare; `open` connects."""
        self._run = run
        self._place = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.stage = "connect"

    @property
    def is_open(self) -> bool:
        """Whether another mail may be sent here."""
        return self._writer is not None

    async def open(self, *, tls: bool) -> bool:
        """Connect from the run's own address and greet; tell whether that went well."""
        self.stage = "connect"
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                await self._open(tls)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return False
        return True

    async def _open(self, tls: bool) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._place, local_addr=(self._run.address, 0))
        await self._reply(220)
        await self._hello()
        if tls:
            await self._command("STARTTLS", 220)
            # The platform's own certificate is not the matter here.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await self._writer.start_tls(context)
            await self._hello()

    async def send(self, transaction: Transaction) -> Outcome:
        """Send one mail; the outcome has code 0 if the connection ended before a reply. Closes after any failure."""
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                outcome = await self._transact(transaction)
        except (OSError, EOFError, TimeoutError):
            outcome = Outcome(0, self.stage)
        if not outcome.accepted:
            self.close()
        return outcome

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _hello(self) -> None:
        self.stage = "hello"
        await self._command(f"EHLO {self._run.hello}", 250)

    async def _transact(self, transaction: Transaction) -> Outcome:
        self.stage = "mail"
        steps = [("mail", f"MAIL FROM:<{transaction.sender(self._run)}> BODY=8BITMIME", 250)]
        steps += [("rcpt", f"RCPT TO:<{recipient}>", 250) for recipient in transaction.recipients]
        steps += [("data", "DATA", 354)]
        for stage, line, wanted in steps:
            self.stage = stage
            code, text = await self._ask(line)
            if code != wanted:
                return Outcome(code, stage, text)
        content = transaction.content(self._run).replace(b"\r\n.", b"\r\n..")
        self.stage = "content"
        self._write(content + b".\r\n")
        await self._drain()
        code, text = await self._reply(None)
        return Outcome(code, "content", text)

    async def _command(self, line: str, wanted: int) -> None:
        code, _ = await self._ask(line)
        if code != wanted:
            raise ConnectionError(f"the server answered {code} where {wanted} was due")

    async def _ask(self, line: str) -> tuple[int, str]:
        self._write(line.encode() + b"\r\n")
        return await self._reply(None)

    def _write(self, data: bytes) -> None:
        if self._writer is None:
            raise ConnectionError("not connected")
        self._writer.write(data)

    async def _drain(self) -> None:
        if self._writer is not None:
            await self._writer.drain()

    async def _reply(self, wanted: int | None) -> tuple[int, str]:
        """Return code and last line of a reply. Raises ConnectionError at its end, or if it is not `wanted`."""
        if self._reader is None:
            raise ConnectionError("not connected")
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\r\n") or not line[:3].isdigit():
                raise ConnectionError("the connection ended")
            if line[3:4] != b"-":
                break
        code, text = int(line[:3]), line[4:-2].decode("ascii", "replace")
        if wanted is not None and code != wanted:
            raise ConnectionError(f"the server answered {code} where {wanted} was due")
        return code, text


def send_one(run: Run, host: str, port: int, transaction: Transaction) -> Outcome:
    """Send one mail in a session of its own; return how it ended."""

    async def send() -> Outcome:
        session = Session(run, host, port)
        if not await session.open(tls=False):
            return Outcome(0, session.stage)
        outcome = await session.send(transaction)
        session.close()
        return outcome

    return asyncio.run(send())
