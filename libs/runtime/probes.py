"""The HTTP side door for machines: /metrics, /livez, /readyz, and nothing else.

Four fixed answers to GET and HEAD do not need a framework, which would cost every service 15 MB. One request per
connection; the head is bounded in bytes and in time, and so is the number of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from libs.runtime.health import Health
from libs.telemetry import metrics

_MAX_HEAD_BYTES = 8192
_MAX_CONNECTIONS = 32
_TEXT = "text/plain; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Answer = tuple[int, str, bytes]


class Probes:
    """Serves metrics and health as an async context manager."""

    def __init__(self, host: str, port: int, health: Health, *, seconds: float = 5.0) -> None:
        """Prepare to listen on `host`:`port`; port 0 picks one. A connection lives at most `seconds`."""
        self._seconds = seconds
        self._host = host
        self._wanted_port = port
        self._health = health
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pages: dict[bytes, Callable[[], Awaitable[Answer]]] = {
            b"/metrics": self._metrics,
            b"/livez": self._live,
            b"/readyz": self._ready,
        }

    @property
    def port(self) -> int:
        """The port listened on; 0 before the start."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Probes:
        """Listen. Raises OSError where the address cannot be had."""
        self._server = await asyncio.start_server(
            self._connected, self._host, self._wanted_port, limit=_MAX_HEAD_BYTES, backlog=_MAX_CONNECTIONS
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the listener and all connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            async with asyncio.timeout(self._seconds):
                await self._answer(reader, writer)
        except (TimeoutError, ConnectionError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = b""
        method, (status, kind, body) = await self._page(head.split(b"\r\n", 1)[0].split(b" "))
        lines = (
            f"HTTP/1.1 {status} {_REASONS[status]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            "\r\n",
        )
        writer.write("\r\n".join(lines).encode("ascii"))
        if method != b"HEAD":
            writer.write(body)
        await writer.drain()

    async def _page(self, request: list[bytes]) -> tuple[bytes, Answer]:
        if len(request) != 3 or not request[2].startswith(b"HTTP/1."):
            return b"", (400, _TEXT, b"bad request\n")
        method, target, _ = request
        if method not in (b"GET", b"HEAD"):
            return method, (405, _TEXT, b"GET or HEAD\n")
        page = self._pages.get(target.split(b"?", 1)[0])
        return method, await page() if page is not None else (404, _TEXT, b"/metrics, /livez, /readyz\n")

    async def _metrics(self) -> Answer:
        body, kind = metrics.render()
        return 200, kind, body

    async def _live(self) -> Answer:
        return 200, _TEXT, b"alive\n"

    async def _ready(self) -> Answer:
        report = await self._health.report()
        lines = ["ready" if report.ready else "not ready"]
        lines += [f"{name} {'passing' if passing else 'failing'}" for name, passing in sorted(report.checks.items())]
        return 200 if report.ready else 503, _TEXT, ("\n".join(lines) + "\n").encode("ascii")
