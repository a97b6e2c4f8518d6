"""Clients that load a mail server: Debian's smtp-source where present, and our own, which also takes times.

One mail a session, a fixed number of sessions at once; a refused mail fails the run, for a rate with losses is no rate.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass

from tests.support.tools import find_tool

_SESSION_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """What is sent: where, to whom, how many mails of how many bytes, by how many sessions at once."""

    port: int
    recipient: str
    mails: int
    size: int
    sessions: int = 20


def client_name() -> str:
    """Return which client `rate` uses on this machine."""
    return "smtp-source" if find_tool("smtp-source") else "own"


def send(load: Load) -> float:
    """Send it all with the best client at hand; return the seconds until the last reply."""
    source = find_tool("smtp-source")
    if source is None:
        return asyncio.run(_timed(load))[0]
    started = time.monotonic()
    subprocess.run(
        [source, "-s", str(load.sessions), "-m", str(load.mails), "-l", str(load.size), "-f", "bench@client.test",
         "-M", "client.test", "-t", load.recipient, f"127.0.0.1:{load.port}"],
        check=True, timeout=600, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return time.monotonic() - started


def latencies(load: Load) -> list[float]:
    """Send it all with our own client; return the seconds from connecting to the 250 of each mail, sorted."""
    return sorted(asyncio.run(_timed(load))[1])


async def _timed(load: Load) -> tuple[float, list[float]]:
    text = _mail(load.size)
    left = iter(range(load.mails))
    times: list[float] = []

    async def session_after_session() -> None:
        for _ in left:
            times.append(await _one(load, text))

    started = time.monotonic()
    await asyncio.gather(*(session_after_session() for _ in range(load.sessions)))
    return time.monotonic() - started, times


def _mail(size: int) -> bytes:
    head = b"From: <bench@client.test>\r\nTo: <someone@sealpost.test>\r\nSubject: bench\r\n\r\n"
    line = b"X" * 78 + b"\r\n"
    return head + line * max(1, (size - len(head)) // len(line)) + b".\r\n"


async def one_mail(load: Load) -> float:
    """Send one of its mails in a session of its own; return the seconds from connecting to the 250."""
    return await _one(load, _mail(load.size))


async def _one(load: Load, text: bytes) -> float:
    started = time.monotonic()
    async with asyncio.timeout(_SESSION_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        try:
            await _expect(reader, b"220")
            for line, code in (
                (b"EHLO client.test", b"250"),
                (b"MAIL FROM:<bench@client.test>", b"250"),
                (b"RCPT TO:<" + load.recipient.encode() + b">", b"250"),
                (b"DATA", b"354"),
            ):
                writer.write(line + b"\r\n")
                await _expect(reader, code)
            writer.write(text)
            await _expect(reader, b"250")
            took = time.monotonic() - started
            writer.write(b"QUIT\r\n")
            await _expect(reader, b"221")
        finally:
            writer.close()
    return took


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readline()
        if not line.startswith(code):
            raise RuntimeError(f"the server answered {line[:3]!r} where {code!r} was due")
        if line[3:4] == b" ":
            return
