"""One connection of a client, with the bounds that uvicorn does not set.

uvicorn reads a request's header without a limit in bytes or in time, takes any number of pipelined requests, and
answers what it cannot parse in plain text. Here a header has a size, a number of fields and a deadline; a client has
a number of connections; and every refusal is a problem document with the headers of every other answer.

After a refusal that left the request's body unread, the rest is read and dropped for a little while, so that the client
gets to see the answer (RFC 9112, 9.6): many look for it only when they have sent everything. Whoever goes on sending is
cut off, where a whole mail may come later than elsewhere.

What a client does not read is the kernel's business: TCP_USER_TIMEOUT (serve.py) ends connections that take nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedGauge
from services.gateway.http import problems
from services.gateway.http.clients import Clients
from services.gateway.http.guard import ABORT
from services.gateway.http.headers import SecurityHeaders

MAX_HEAD_BYTES = 32 * 1024
MAX_FIELDS = 100
MAX_PIPELINED = 16
_LINGER_BYTES = 1024 * 1024
_LINGER_SECONDS = 5.0
# For a mail: as many as it may have, within
_UPLOAD_LINGER_SECONDS = 60.0


@dataclass(frozen=True)
class Bounds:
    """What connections are held to: how many in all, how many of one client; of a request, by its path, the bytes after
    its header, and the seconds until its header has arrived."""

    most: int
    body_bytes: Callable[[str], int]
    per_client: KeyedGauge
    head_seconds: float
    clients: Clients
    headers: SecurityHeaders


class Config(uvicorn.Config):
    """uvicorn's configuration, which is the one thing that it hands to its connections."""

    bounds: Bounds


class Connection(HttpToolsProtocol):
    """A connection within bounds."""

    config: Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or turn it away."""
        super().connection_made(transport)
        self._bounds = self.config.bounds
        self._place = ExitStack()
        self._timer: asyncio.TimerHandle | None = None
        self._refusal = (400, "request_malformed")
        self._head_bytes = self._body_bytes = self._most_body_bytes = 0
        self._in_head = True
        self._whole = True
        self._lingering: asyncio.TimerHandle | None = None
        self._dropped = 0
        if len(self.connections) > self._bounds.most:
            self._refuse(503, "busy")
            return
        peer = self.client[0] if self.client else ""
        if not self._bounds.clients.is_proxy(peer):
            key = self._bounds.clients.key_of({"type": "http", "client": self.client, "headers": []})
            try:
                self._place.enter_context(self._bounds.per_client.hold(key))
            except ExhaustedError:
                self._refuse(429, "too_many_at_once")
                return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        self._head_arrived()
        self._end_linger()
        self._place.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and look how much of a header it has been fed."""
        if self._lingering is not None:
            self._dropped += len(data)
            if self._dropped > (self._most_body_bytes if self._is_upload() else _LINGER_BYTES):
                self.transport.abort()
                return
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._body_bytes += len(data)
            if self._body_bytes > self._most_body_bytes:
                # More than any framing of a body can need: extensions of chunks, trailers.
                self.transport.abort()
                return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "headers_too_large")
            elif self._timer is None and (self._is_idle() or not self._whole):
                # uvicorn has stopped the timer of the pause between two requests, whatever it was that came.
                self._expect_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        self._in_head, self._whole = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header; trailers, which come after the body, are dropped (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the header; what is raised here ends the connection in `send_400_response`."""
        self._in_head, self._head_bytes, self._body_bytes = False, 0, 0
        self._head_arrived()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_FIELDS:
            self._refusal = (431, "headers_too_large")
            raise ValueError("header")
        if not self.url.startswith((b"/", b"http://", b"https://")):
            raise ValueError("target")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            # RFC 9112, section 3.2: the server must not guess which.
            raise ValueError("host")
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = (429, "too_many_at_once")
            raise ValueError("pipeline")
        super().on_headers_complete()
        self._most_body_bytes = self._bounds.body_bytes(self.scope["path"])
        if self.parser.should_upgrade():
            # What follows is, for all that the other side knows, of another protocol.
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request."""
        self._whole = self._in_head = True
        self._end_linger()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request; what is left of this one is dropped."""
        super().on_response_complete()
        unread = not self._whole and not self._in_head and self._is_idle()
        if unread and self._lingering is None and not self.transport.is_closing():
            seconds = _UPLOAD_LINGER_SECONDS if self._is_upload() else _LINGER_SECONDS
            self._lingering = self.loop.call_later(seconds, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not take."""
        self._refuse(*self._refusal)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer and close; close alone where the answer would end up in the middle of another one."""
        if self.transport.is_closing():
            return
        if not self._is_idle():
            self.transport.abort()
            return
        body = problems.document(status, reason)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if status in (429, 503):
            headers.append((b"retry-after", b"5"))
        lines = [name + b": " + value + b"\r\n" for name, value in self._bounds.headers.added_to("", headers)]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.close()

    def _is_upload(self) -> bool:
        return self._most_body_bytes > self._bounds.body_bytes("")

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(self._bounds.head_seconds, self._head_late)

    def _head_arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_late(self) -> None:
        self._timer = None
        if self._whole:
            # Nothing was asked, so there is nothing to answer.
            self.transport.close()
        else:
            self._refuse(408, "body_late")

    def _end_linger(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
            self._dropped = 0
