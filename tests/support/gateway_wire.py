"""Bytes into the gateway's socket, and whatever comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.gateway import Site, running_site

HOST = b"Host: mail.test\r\n"
PAGE = b"GET / HTTP/1.1\r\n" + HOST
INFO = b"GET /v1/info HTTP/1.1\r\n" + HOST
KDF = b"POST /v1/kdf HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
BODY = b'{"address":"ada@sealpost.test"}'


CHUNKED = KDF + b"Transfer-Encoding: chunked\r\n"


@asynccontextmanager
async def impatient_site(home: Path) -> AsyncIterator[Site]:
    """Give a site with a small page and short patience, its files in `home`."""
    (home / "web" / "assets").mkdir(parents=True)
    (home / "web" / "index.html").write_text("<!doctype html><title>sealpost</title>" + " " * 2000)
    (home / "web" / "assets" / "main-abc.js").write_text("0;" * 2000)
    patience: dict[str, Any] = {"head_timeout": timedelta(seconds=0.6), "body_timeout": timedelta(seconds=0.6)}
    async with running_site(home, home / "web", requests_per_minute=100_000, **patience) as running:
        yield running


async def talk(site: Site, *pieces: bytes, pause: float = 0.0, wait: float = 3.0) -> bytes:
    """Send `pieces`; return everything that comes until the server closes or `wait` seconds have passed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    received = b""
    try:
        for piece in pieces:
            writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(pause)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(wait):
                while block := await reader.read(65536):
                    received += block
    finally:
        writer.close()
    return received


def statuses(received: bytes) -> list[int]:
    """Return the statuses of the answers in `received`."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def closed(request: bytes) -> bytes:
    """Return `request` with the wish that the connection end."""
    return request + b"Connection: close\r\n\r\n"
