"""An HTTPS server on the loopback that answers what it is told to, byte by byte if need be."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.rpc.devca import ensure_authority, make_authority, write_leaf
from libs.runtime.clock import SystemClock


@dataclass(frozen=True)
class Asked:
    """A request that came; header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class HttpsServer:
    """A running one. `ca_file` is what clients have to trust, `asked` what came so far."""

    ca_file: str
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer of these, after which the connection stays open."""
    fields = {"content-length": str(len(body))} | dict(headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


@asynccontextmanager
async def serve_https(
    directory: Path, hosts: Sequence[str], answer: Answer, *, trusted: bool = True
) -> AsyncIterator[HttpsServer]:
    """Serve `answer` on a free port of 127.0.0.1, a certificate for `hosts` of a CA `trusted` or strange."""
    clock = SystemClock()
    authority = ensure_authority(directory / "ca", clock=clock)
    issuer = authority if trusted else make_authority(clock=clock, name="a strange authority")
    write_leaf(directory / "leaf", issuer, hosts, clock=clock)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "leaf" / "tls.crt", directory / "leaf" / "tls.key")
    running = HttpsServer(str(directory / "ca" / "ca.crt"))
    open_now: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            open_now.add(task)
        running.connections += 1
        try:
            while (asked := await _read(reader)) is not None:
                running.asked.append(asked)
                await answer(asked, writer)
                await writer.drain()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@contextmanager
def served_https(directory: Path, hosts: Sequence[str], answer: Answer) -> Iterator[HttpsServer]:
    """Do the same on a loop of its own in a thread, for tests that use none."""
    loop, over, ready, found = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[HttpsServer]()

    async def serve() -> None:
        async with serve_https(directory, hosts, answer) as server:
            found.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(20), "the server does not listen"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
