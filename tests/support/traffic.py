"""Clients that write down what they did: SMTP sessions and page views, each client at an address of its own.

Addresses of 127.0.0.0/8 are all this machine's, so every client is another unit of the statistics. What the book says
is what the clients have seen: a session counts once the server has greeted, a view once its answer has arrived.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.platform import RunningPlatform

# Family of browsers by the policy, and how one of it introduces itself.
AGENTS = {
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "library": "curl/8.5.0",
    "none": "",
}
# Class of pages by the policy.
PATHS = {
    "/": "page",
    "/sign-in": "page",
    "/no-such-page": "page",
    "/assets/absent.js": "asset",
    "/v1/info": "api_info",
    "/v1/session": "api_session",
}
_SECONDS = 30.0


@dataclass
class Book:
    """What was done: sessions by unit, port and outcome; views by unit, class of page, class of status and browser."""

    sessions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    views: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    @property
    def entries(self) -> int:
        """How many things were done."""
        return self.sessions.total() + self.views.total()

    def seen_pages(self) -> set[str]:
        """Return the units that have opened a page."""
        return {unit for unit, page, status, _ in self.views if (page, status) == ("page", "2xx")}


class Client:
    """One unit. Not for several tasks."""

    def __init__(self, platform: RunningPlatform, address: str, book: Book) -> None:
        """Come from `address`, write into `book`."""
        self._platform = platform
        self._address = address
        self._book = book

    async def session(self, outcome: str, port: str = "mx") -> None:
        """Hold an SMTP session that ends as `outcome`: empty, dropped, refused or accepted."""
        place = self._platform.smtp_port if port == "mx" else self._platform.submission_port
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", place, local_addr=(self._address, 0))
            try:
                await _replied(reader, b"220")
                self._book.sessions[self._address, port, outcome] += 1
                await self._converse(reader, writer, outcome)
            finally:
                writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, outcome: str) -> None:
        async def say(line: str, wanted: bytes) -> None:
            writer.write(line.encode() + b"\r\n")
            await _replied(reader, wanted)

        if outcome != "empty":
            await say("EHLO client.example", b"250")
        if outcome == "dropped":
            return
        if outcome in ("refused", "accepted"):
            await say("MAIL FROM:<somebody@example.org>", b"250")
            domain = self._platform.public_domain if outcome == "accepted" else "elsewhere.example"
            await say(f"RCPT TO:<everybody@{domain}>", b"250" if outcome == "accepted" else b"550")
        if outcome == "accepted":
            await say("DATA", b"354")
            await say("Subject: one of many\r\n\r\nwords\r\n.", b"250")
        await say("QUIT", b"221")

    async def views(self, paths: Sequence[str], browser: str) -> None:
        """Ask for these paths one after the other in one connection."""
        async with asyncio.timeout(_SECONDS):
            place = ("127.0.0.1", self._platform.http_port)
            reader, writer = await asyncio.open_connection(*place, local_addr=(self._address, 0))
            try:
                for path in paths:
                    agent = f"User-Agent: {AGENTS[browser]}\r\n" if AGENTS[browser] else ""
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: sealpost.test\r\n{agent}\r\n".encode())
                    status = await _answered(reader)
                    self._book.views[self._address, PATHS[path], f"{status // 100}xx", browser] += 1
            finally:
                writer.transport.abort()


async def _replied(reader: asyncio.StreamReader, wanted: bytes) -> None:
    while True:
        line = await reader.readline()
        if line[:3] != wanted:
            raise AssertionError(f"the server answered {line[:3]!r} where {wanted!r} was due")
        if line[3:4] != b"-":
            return


async def _answered(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])
