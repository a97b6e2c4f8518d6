"""The SMTP edge on a loopback port with fakes at its Protocols, and conversations with it written as transcripts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.model import Copy, Delivery, Route, Sealed, SealTask, Standing
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.ingest.domain import Authentication, Authenticator, Client, NoAuthentication
from services.ingest.receive import Inbound
from services.ingest.settings import Settings
from services.ingest.site import Parts, Site
from services.ingest.smtp import Edge
from services.ingest.tls import CertificateFiles

HOSTNAME = "mx.sealpost.test"
SECONDS = 10.0


class FakeAccounts:
    """Knows bob, carol and dave at sealpost.test, everybody at public.sealpost.test; sam is suspended."""

    def __init__(self) -> None:
        self.failure: SealpostError | None = None
        self.asked: list[str] = []
        self.routes: dict[str, Route] = {
            f"{name}@sealpost.test": Route(
                Standing.OK, f"mailbox-{name}", f"account-{name}", "sealpost.test", quota_bytes=1_000_000_000
            )
            for name in ("bob", "carol", "dave")
        }
        self.routes["sam@sealpost.test"] = Route(Standing.SUSPENDED, domain="sealpost.test")

    async def resolve(self, address: str) -> Route:
        self.asked.append(address)
        if self.failure is not None:
            raise self.failure
        lowered = address.lower()
        if lowered == "postmaster":
            return self.routes["bob@sealpost.test"]
        if lowered.endswith("@public.sealpost.test"):
            mailbox = f"public-{lowered.partition('@')[0]}"
            return Route(Standing.OK, mailbox, "", "public.sealpost.test", keep_newest=6, retention_seconds=4 * 86400)
        if lowered.endswith("@sealpost.test"):
            return self.routes.get(lowered, Route(Standing.UNKNOWN, domain="sealpost.test"))
        return Route(Standing.NOT_OURS)


class FakeCrypto:
    """Seals by putting a word in front, so that tests can read on."""

    def __init__(self) -> None:
        self.tasks: list[SealTask] = []
        self.failures: dict[Any, Exception] = {}
        self.hold: asyncio.Event | None = None
        self.at_once = 0
        self.most_at_once = 0

    async def seal(self, task: SealTask) -> Sealed:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self.hold is not None:
                await self.hold.wait()
            if task.owner in self.failures:
                raise self.failures[task.owner]
            self.tasks.append(task)
            return Sealed(b"sealed:" + task.envelope, b"sealed:" + task.body, "openpgp", "key")
        finally:
            self.at_once -= 1


class FakeStorage:
    """Keeps deliveries in a list, all or none."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.staged: dict[str, bytes] = {}
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def stage(self, mailbox_id: str, message_id: str, body: bytes) -> None:
        self.staged[message_id] = body

    async def append(self, delivery: Delivery) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.deliveries.append(delivery)

    @property
    def copies(self) -> list[Copy]:
        return [copy for delivery in self.deliveries for copy in delivery.copies]

    def body(self, number: int = 0) -> bytes:
        """Return what a recipient would read: the mail without its seal."""
        copy = self.copies[number]
        sealed = self.staged[copy.message_id] if copy.staged else copy.sealed.body
        return sealed.removeprefix(b"sealed:")

    def content(self, number: int = 0) -> bytes:
        """Return the mail without its three trace fields."""
        return without_trace(self.body(number))


class FixedAuthentication:
    """An Authenticator that finds what it was told, and remembers whom it was asked for."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.begun: list[tuple[str, str]] = []
        self.cancelled = 0

    def begin(self, client: Client, sender: str) -> Authentication:
        self.begun.append((client.address, sender))
        return self

    async def finish(self, letter: Letter) -> Verdict:
        return self.verdict

    def cancel(self) -> None:
        self.cancelled += 1


@dataclass
class Server:
    """A running edge and what stands behind it."""

    port: int
    site: Site
    accounts: FakeAccounts
    crypto: FakeCrypto
    storage: FakeStorage
    dialogues: list[Dialogue] = field(default_factory=list)

    async def connect(self) -> Dialogue:
        """Return a new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        dialogue = Dialogue(reader, writer)
        self.dialogues.append(dialogue)
        return dialogue

    async def converse(self, transcript: str) -> Dialogue:
        """Have the conversation of `transcript` on a new connection, and return it."""
        dialogue = await self.connect()
        await dialogue.run(transcript)
        return dialogue

    @property
    def mails(self) -> int:
        """How many mails were stored."""
        return len(self.storage.deliveries)


class Dialogue:
    """One client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> str:
        """Return the next reply, lines joined by newlines; "" if the connection was closed instead."""
        lines: list[str] = []
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    line = (await self.reader.readline()).decode()
                except ConnectionError:
                    return ""
                if not line:
                    return ""
                assert line.endswith("\r\n"), line
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def expect(self, beginning: str) -> str:
        """Return the next reply, which must begin like this."""
        reply = await self.reply()
        assert reply.startswith(beginning), f"expected {beginning!r}, got {reply!r}"
        return reply

    async def closed(self) -> bool:
        """Tell whether the server closes without another word."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    async def run(self, transcript: str) -> None:
        """Follow a transcript. `C:` sends a line with CRLF, `C raw:` bytes with Python's escapes and nothing added;
        `S:` expects a reply that begins so, `S closes` the end of the connection."""
        for line in transcript.strip().splitlines():
            step = line.strip()
            if not step or step.startswith("#"):
                continue
            if step == "S closes":
                assert await self.closed(), "the server should have closed"
            elif step.startswith("C raw:"):
                text = step.removeprefix("C raw:").strip()
                await self.send(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))
            elif step.startswith("C:"):
                await self.send(step.removeprefix("C:").removeprefix(" ").encode() + b"\r\n")
            elif step.startswith("S:"):
                await self.expect(step.removeprefix("S:").strip())
            else:
                raise AssertionError(f"not a step: {step}")

    async def start_mail(self, *recipients: str, sender: str = "ada@example.org") -> None:
        """Go from the greeting to the 354."""
        await self.expect("220")
        await self.send(b"EHLO client.example\r\n")
        await self.expect("250")
        await self.begin_data(*recipients, sender=sender)

    async def begin_data(self, *recipients: str, sender: str = "ada@example.org") -> None:
        """Go from EHLO to the 354."""
        await self.send(f"MAIL FROM:<{sender}>\r\n".encode())
        await self.expect("250")
        for recipient in recipients or ("bob@sealpost.test",):
            await self.send(f"RCPT TO:<{recipient}>\r\n".encode())
            await self.expect("250")
        await self.send(b"DATA\r\n")
        await self.expect("354")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


@asynccontextmanager
async def serve_edge(
    *,
    authenticator: Authenticator | None = None,
    tls: Path | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """Run an edge; `settings` are those of services.ingest.settings."""
    accounts, crypto, storage = FakeAccounts(), FakeCrypto(), FakeStorage()
    chosen: Mapping[str, Any] = {"hostname": HOSTNAME, "workers": 1} | settings
    clock = clock or SystemClock()
    parts = Parts(
        accounts,
        authenticator or NoAuthentication(),
        Inbound(HOSTNAME, crypto, storage, clock),
        CertificateFiles(tls, get_logger("ingest")) if tls else None,
        clock,
    )
    site = Site(Settings(**{"room_seconds": 0.0, **chosen}), parts)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Edge(site, loop), "127.0.0.1", 0)
    watch = loop.create_task(site.watch())
    server = Server(listener.sockets[0].getsockname()[1], site, accounts, crypto, storage)
    try:
        yield server
    finally:
        for dialogue in server.dialogues:
            await dialogue.close()
        listener.close()
        await site.drain(2.0)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await listener.wait_closed()
        assert site.admission.held == 0, "room was not given back"
        assert not site.connections


async def until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds` does; it must within the usual time."""
    for _ in range(int(SECONDS / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to hold")


def without_trace(body: bytes) -> bytes:
    """Return a mail without the three fields in front, having checked that they are there."""
    lines = body.split(b"\r\n")
    taken = 0
    for name in (b"Return-Path:", b"Received:", b"Authentication-Results:"):
        assert lines[taken].startswith(name), lines[: taken + 1]
        taken += 1
        while taken < len(lines) and lines[taken][:1] in (b" ", b"\t"):
            taken += 1
    return b"\r\n".join(lines[taken:])


MAIL = (
    b"From: Ada <ada@example.org>\r\n"
    b"To: bob@sealpost.test\r\n"
    b"Subject: Hello\r\n"
    b"Date: Sun, 22 Nov 2026 18:00:00 +0100\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"\r\n"
    b"A first line.\r\n"
)
