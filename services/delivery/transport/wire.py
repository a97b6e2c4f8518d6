"""An SMTP connection after its opening: replies queue as they come, writing stops where the other side does not read.

aiosmtplib opens connections (greeting, EHLO, STARTTLS) but is made for one command at a time: replies that come before
they are asked for are lost, so commands cannot be pipelined, and a mail is written at once, so 50 MB stand in memory
until the other side has read them and the wait for the reply to the mail cannot be told from the time of writing it.
So an open connection is taken over from it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator

from services.delivery.transport.replies import Reply

_LINE = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?\Z")
_MAX_LINE = 64 * 1024
_MAX_LINES = 200
_MAX_HELD = 256 * 1024
_BLOCK = 128 * 1024


class ConnectionLostError(Exception):
    """The connection is gone. `what` is "dropped", "silent" (no reply in time) or "nonsense" (no SMTP)."""

    def __init__(self, what: str) -> None:
        """Take the word."""
        super().__init__(what)
        self.what = what


class Wire(asyncio.Protocol):
    """The connection; for one user at a time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take an open connection over from whatever protocol it has."""
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.on_lost: Callable[[], None] | None = None
        self._transport = transport
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._held = 0
        self._replies: deque[Reply] = deque()
        self._fault = ""
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        transport.set_protocol(self)
        if transport.is_closing():
            self.connection_lost(None)

    @property
    def is_quiet(self) -> bool:
        """Whether it stands, and nothing has come that nobody asked for."""
        return not self._fault and not self._replies and not self._buffer and not self._lines

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply.

        Raises:
            ConnectionLostError: none came, and none will.
        """
        if not self._replies and not self._fault:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self._fail, "silent")
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if not self._replies:
            raise ConnectionLostError(self._fault)
        reply = self._replies.popleft()
        self._held -= sum(map(len, reply.lines))
        return reply

    def write(self, data: bytes) -> None:
        """Write commands; whether they went shows in the reply."""
        if not self._fault:
            self._transport.write(data)

    async def write_content(self, content: bytes, seconds: float) -> None:
        """Write all of `content`, `seconds` at most for each block.

        Raises:
            ConnectionLostError: not all of it was handed over.
        """
        for block in _blocks(content):
            if self._fault:
                raise ConnectionLostError(self._fault)
            self._transport.write(block)
            if self._writable.is_set():
                continue
            try:
                async with asyncio.timeout(seconds):
                    await self._writable.wait()
            except TimeoutError:
                self._fail("silent")

    def close(self, farewell: bytes = b"") -> None:
        """Close in order: what was written still goes."""
        if not self._fault:
            self._transport.write(farewell)
            self._fault = "dropped"
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._fault = self._fault or "dropped"
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came apart into replies."""
        if self._fault:
            return
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start:end]).decode("utf-8", "replace").rstrip("\r")
            start = end + 1
            if len(line) > _MAX_LINE or not self._take(line):
                return self._fail("nonsense")
        del self._buffer[:start]
        if len(self._buffer) > _MAX_LINE or self._held > _MAX_HELD:
            return self._fail("nonsense")
        if self._replies:
            self._wake()

    def _take(self, line: str) -> bool:
        match = _LINE.match(line)
        if match is None or len(self._lines) >= _MAX_LINES:
            return False
        text = match[3] or ""
        self._lines.append(text)
        self._held += len(text)
        if match[2] != "-":
            self._replies.append(Reply(int(match[1]), tuple(self._lines)))
            self._lines.clear()
        return True

    def pause_writing(self) -> None:
        """Stop: the other side does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    def eof_received(self) -> bool:
        """Have the connection closed; replies that came before stay."""
        self._fault = self._fault or "dropped"
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._fault = self._fault or "dropped"
        self._wake()
        self._writable.set()
        if not self.closed.done():
            self.closed.set_result(None)
            if self.on_lost is not None:
                self.on_lost()

    def _fail(self, what: str) -> None:
        self._fault = self._fault or what
        self._transport.abort()
        self._wake()
        self._writable.set()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def stuff(content: bytes) -> bytes:
    """Return `content` as it goes over the wire: dots doubled at the start of lines, ended (RFC 5321 4.5.2)."""
    end = b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
    start = b"." if content.startswith(b".") else b""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    return b"".join((start, content, end))


def _blocks(content: bytes) -> Iterator[bytes]:
    if len(content) <= _BLOCK:
        yield content
        return
    for start in range(0, len(content), _BLOCK):
        yield content[start : start + _BLOCK]
