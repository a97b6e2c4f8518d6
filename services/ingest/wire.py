"""aiosmtpd's protocol with our own reading and writing: lines and blocks, strict and bounded, few system calls.

What aiosmtpd does between the socket and a command is replaced here. Its constructor inspects the handler and itself
for every connection, it reads through a StreamReader line by line, it answers EHLO with seven writes, it takes lines
that end with a bare LF, and it waits for the end of an endless line. Here bytes go from the transport into one bounded
buffer, or, during DATA, straight into the DataReader; replies gather while commands are still in the buffer (RFC 2920)
and leave in one write.

Time is watched from outside: `deadline` says until when the present wait may last, and the Site looks at all
connections once in a while, which is cheaper than a timer for each command. A deadline is set when a wait begins, and
bytes that trickle in do not move it.
"""

from __future__ import annotations

import asyncio
from asyncio.streams import FlowControlMixin
from collections.abc import Awaitable, Callable
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP

from services.ingest.data import DataReader, Outcome

# A longer line than this without an end is not a command.
_MAX_LINE = 8192
_MAX_INBOX = 65536
# What is still taken off a connection that is being closed, so that the reply is not lost to a reset.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 4 * 1024 * 1024
# How long a client may take to agree to the end of TLS: nothing counts it any more by then.
TLS_GOODBYE_SECONDS = 3.0
_NEVER = float("inf")


class Gone(Exception):  # noqa: N818 - not an error
    """The client has hung up, or the session is to end at once."""


class Expired(Exception):  # noqa: N818 - not an error
    """The wait has lasted too long, or the process is shutting down."""


class EndlessLineError(Exception):
    """More than a line may ever be, and no end in sight."""


class Wire(SMTP):
    """Reads and writes; what the lines mean is for the subclass."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Prepare for one connection. The constructor of SMTP is left out on purpose: see the module."""
        FlowControlMixin.__init__(self, loop)
        self.loop = loop
        self.transport: Any = None
        self.deadline = _NEVER
        self._data_limits = (0.0, 0.0)
        self._inbox = bytearray()
        self._out: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._draining = False
        self._data: DataReader | None = None
        self._eof = False
        self._lost = False
        self._paused_reading = False
        self._discarded = -1
        self.over_tls = False
        self._handler_coroutine: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes off the transport."""
        reader = self._data
        if self._discarded >= 0:
            self._discarded += len(data)
            if self._discarded > _LINGER_BYTES:
                self.transport.abort()
        elif reader is not None and reader.outcome is None:
            total, idle = self._data_limits
            self.deadline = min(total, self.loop.time() + idle)
            if reader.feed(data):
                if reader.outcome is not Outcome.MALFORMED:
                    self._inbox += reader.rest
                self._wake()
        else:
            self._inbox += data
            if len(self._inbox) > _MAX_INBOX and not self._paused_reading:
                self._paused_reading = True
                self.transport.pause_reading()
            self._wake()

    def eof_received(self) -> bool:
        """Remember that no more will come; what has come is still answered, except over TLS, which cannot."""
        self._eof = True
        self._wake()
        return not self.over_tls

    def connection_lost(self, error: Exception | None) -> None:
        """End the wait of the session, or what it is doing."""
        self._lost = self._eof = True
        FlowControlMixin.connection_lost(self, error)
        if self._waiter is not None:
            self._wake()
        elif self._handler_coroutine is not None and not self._draining:
            self._handler_coroutine.cancel()

    def expire(self) -> None:
        """End the present wait: its deadline has passed, or the process is shutting down."""
        self.deadline = _NEVER
        if self._draining or self._discarded >= 0:
            self.transport.abort()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Expired())

    @property
    def waits_for_command(self) -> bool:
        """Whether nothing is under way but waiting for the next command."""
        return self._waiter is not None and self._data is None

    @property
    def pending(self) -> bool:
        """Whether the client has sent more than has been read."""
        return bool(self._inbox)

    def discard_input(self) -> None:
        """Forget what has come and not been read."""
        self._inbox.clear()

    async def read_line(self, deadline: float) -> bytes:
        """Return the next line with its end, whatever that is; what was pushed is written before waiting.

        Raises:
            Gone, Expired: as they say.
            EndlessLineError: no end within 8 KiB.
        """
        self.deadline = deadline
        while True:
            end = self._inbox.find(b"\n")
            if end >= 0:
                line = bytes(self._inbox[: end + 1])
                del self._inbox[: end + 1]
                if len(self._inbox) < _MAX_LINE:
                    self._resume()
                self.deadline = _NEVER
                return line
            if len(self._inbox) > _MAX_LINE:
                raise EndlessLineError
            await self._wait()

    async def read_data(self, reader: DataReader, total: float, idle: float) -> None:
        """Feed `reader` until it has an outcome, for `total` seconds at most, and `idle` seconds without a byte.

        Raises:
            Gone, Expired: as they say.
        """
        now = self.loop.time()
        self._data_limits = (now + total, idle)
        self.deadline = now + min(total, idle)
        self._data = reader
        try:
            while reader.outcome is None:
                await self._wait()
        finally:
            self._data = None
            self.deadline = _NEVER

    async def push(self, status: AnyStr) -> None:
        """Answer; it is written when the session waits or flushes."""
        self._out.append((status.encode("ascii") if isinstance(status, str) else status) + b"\r\n")

    async def flush(self) -> None:
        """Write what was pushed. Raises Gone if the client has hung up."""
        if self._lost:
            raise Gone
        if self._out:
            self.transport.write(b"".join(self._out))
            self._out.clear()
        if self._paused:
            self._draining = True
            try:
                await self._drain_helper()
            except ConnectionResetError:
                raise Gone from None
            finally:
                self._draining = False

    def write_last(self, status: str) -> None:
        """Write what was pushed and this, without waiting for the client to read it."""
        self.transport.write(b"".join([*self._out, status.encode("ascii"), b"\r\n"]))
        self._out.clear()

    async def refuse(self, reply: str) -> None:
        """Answer, write, and close: take off what still comes for a moment, so that the reply arrives."""
        self._inbox.clear()
        self._resume()
        self._discarded = 0
        self.deadline = self.loop.time() + _LINGER_SECONDS
        await self.push(reply)
        await self.flush()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            while not self._eof:
                await self._wait()
        self.transport.close()

    async def start_tls(self, context: Any, seconds: float) -> None:
        """Turn the connection into one over TLS, forgetting what came in the clear (RFC 3207 4.2, CVE-2011-0411).

        Raises:
            Gone: the handshake failed or took more than `seconds`.
        """
        await self.flush()
        self._inbox.clear()
        try:
            secured = await self.loop.start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=TLS_GOODBYE_SECONDS,
            )
        except OSError as error:
            raise Gone from error
        if secured is None:
            raise Gone
        self.transport = secured
        self.over_tls = True

    # Of FlowControlMixin, which has no type stubs.
    _paused: bool
    _drain_helper: Callable[[], Awaitable[None]]

    async def _wait(self) -> None:
        await self.flush()
        if self._eof:
            raise Gone
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._lost:
            raise Gone

    def _resume(self) -> None:
        if self._paused_reading:
            self._paused_reading = False
            self.transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
