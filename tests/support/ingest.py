"""The SMTP edge on a loopback port with fakes at its Protocols, and conversations with it written as transcripts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.runtime.clock import Clock, SystemClock
from libs.telemetry.logs import get_logger
from services.ingest.desk import Desk
from services.ingest.domain import Authenticator, NoAuthentication, Sends
from services.ingest.listener import TlsListener
from services.ingest.mx import MxEdge, Parts
from services.ingest.receive import Inbound
from services.ingest.settings import Settings
from services.ingest.site import Site, make_admission
from services.ingest.submission import SubmissionEdge
from services.ingest.tls import CertificateFiles
from services.ingest.workers import bind
from tests.support.ingest_fakes import FakeAccounts, FakeCrypto, FakeDelivery, FakeProofs, FakeStorage
from tests.support.rpc import certificates

HOSTNAME = "mx.sealpost.test"
SECONDS = 10.0


@dataclass
class Listening:
    """A running edge."""

    port: int
    site: Site
    delivery: FakeDelivery
    dialogues: list[Dialogue] = field(default_factory=list, kw_only=True)

    async def connect(self, tls: bool = False) -> Dialogue:
        """Return a new connection, over TLS from the start if `tls`."""
        context: Any = {"ssl": trusting(), "server_hostname": "localhost"} if tls else {}
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20, **context)
        dialogue = Dialogue(reader, writer)
        self.dialogues.append(dialogue)
        return dialogue

    async def converse(self, transcript: str, tls: bool = False) -> Dialogue:
        """Have the conversation of `transcript` on a new connection, and return it."""
        dialogue = await self.connect(tls)
        await dialogue.run(transcript)
        return dialogue


@dataclass
class Server(Listening):
    """A running MX and what stands behind it."""

    accounts: FakeAccounts
    crypto: FakeCrypto
    storage: FakeStorage

    @property
    def mails(self) -> int:
        """How many mails were stored."""
        return len(self.storage.deliveries)


@dataclass
class Counter(Listening):
    """A running submission and what stands behind it."""

    proofs: FakeProofs


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
        `S:` expects a reply that begins so, `S closes` the end of the connection; `TLS` is a whole STARTTLS."""
        for line in transcript.strip().splitlines():
            step = line.strip()
            if not step or step.startswith("#"):
                continue
            if step == "S closes":
                assert await self.closed(), "the server should have closed"
            elif step == "TLS":
                await self.start_tls()
            elif step.startswith("C raw:"):
                text = step.removeprefix("C raw:").strip()
                await self.send(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))
            elif step.startswith("C:"):
                await self.send(step.removeprefix("C:").removeprefix(" ").encode() + b"\r\n")
            elif step.startswith("S:"):
                await self.expect(step.removeprefix("S:").strip())
            else:
                raise AssertionError(f"not a step: {step}")

    async def start_tls(self) -> None:
        """Upgrade the connection."""
        await self.send(b"STARTTLS\r\n")
        await self.expect("220 2.0.0")
        await self.upgrade()

    async def upgrade(self, context: ssl.SSLContext | None = None) -> None:
        """Do what a client does after the 220."""
        await self.writer.start_tls(context or trusting(), server_hostname="localhost")

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


def trusting() -> ssl.SSLContext:
    """Return a client's context that trusts the certificate of tests."""
    return ssl.create_default_context(cafile=certificates("smtp") / "ca.crt")


@asynccontextmanager
async def serve_edge(
    *,
    authenticator: Authenticator | None = None,
    tls: Path | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """Run an MX; `settings` are those of services.ingest.settings."""
    accounts, crypto, storage, delivery = FakeAccounts(), FakeCrypto(), FakeStorage(), FakeDelivery()
    clock = clock or SystemClock()
    site = _site(clock, tls, settings)
    inbound = Inbound(HOSTNAME, crypto, storage, clock)
    paths = delivery if site.settings.bounce_domain else None
    parts = Parts(accounts, authenticator or NoAuthentication(), inbound, paths)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: MxEdge(site, parts, loop), "127.0.0.1", 0)
    server = Server(listener.sockets[0].getsockname()[1], site, delivery, accounts, crypto, storage)
    async with _watched(server), AsyncExitStack() as stack:
        stack.callback(listener.close)
        yield server


@asynccontextmanager
async def serve_submission(
    *,
    implicit: bool = False,
    tls: Path | None = None,
    clock: Clock | None = None,
    sends: Sends | None = None,
    **settings: Any,
) -> AsyncIterator[Counter]:
    """Run submission with STARTTLS, or with TLS from the start if `implicit`; refusals take no time unless told."""
    proofs, delivery = FakeProofs(), FakeDelivery()
    clock = clock or SystemClock()
    site = _site(clock, tls or certificates("smtp"), {"wrong_proof_seconds": 0.0, **settings})
    desk = Desk(site.settings, proofs, delivery, clock, sends)
    loop = asyncio.get_running_loop()
    listening = bind("127.0.0.1:0")
    server = Counter(listening.getsockname()[1], site, delivery, proofs)
    async with _watched(server), AsyncExitStack() as stack:
        if implicit:
            assert site.tls is not None
            listener = TlsListener(
                site, site.tls, lambda admitted: SubmissionEdge(site, desk, loop, admitted), get_logger("ingest")
            )
            listening.listen()
            stack.push_async_callback(_cancel, loop.create_task(listener.run(listening)))
        else:
            edges = await loop.create_server(lambda: SubmissionEdge(site, desk, loop), sock=listening)
            stack.callback(edges.close)
        yield server


def _site(clock: Clock, tls: Path | None, settings: Mapping[str, Any]) -> Site:
    chosen: Mapping[str, Any] = {"hostname": HOSTNAME, "workers": 1, "room_seconds": 0.0, **settings}
    made = Settings(**chosen)
    return Site(made, make_admission(made), CertificateFiles(tls, get_logger("ingest")) if tls else None, clock)


@asynccontextmanager
async def _watched(server: Listening) -> AsyncIterator[None]:
    """Watch the deadlines; at the end, when nobody listens any more, see that everything was given back."""
    watch = asyncio.get_running_loop().create_task(server.site.watch())
    try:
        yield
    finally:
        for dialogue in server.dialogues:
            await dialogue.close()
        await server.site.drain(2.0)
        await _cancel(watch)
        assert server.site.admission.held == 0, "room was not given back"
        assert not server.site.connections


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    """Return as soon as `holds` does; it must within the usual time."""
    for _ in range(int(SECONDS / 0.01)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to hold")


MAIL = (
    b"From: Ada <ada@example.org>\r\n"
    b"To: bob@sealpost.test\r\n"
    b"Subject: Hello\r\n"
    b"Date: Sun, 22 Nov 2026 18:00:00 +0100\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"\r\n"
    b"A first line.\r\n"
)
