"""A client that submits mail as programs do: TLS from the first byte, AUTH PLAIN, some sessions at once.

Each session is an account of its own, since what an account may send in a minute is limited. `each` mails go over one
connection; one each is the hard case, for every mail pays a handshake and a password check then. Times are of the whole
way to the 250 of a mail: from connecting for the first of a connection, from MAIL for the others. A refusal fails the
run, for a rate with losses is no rate.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import uvloop

_MAIL_SECONDS = 60.0


@dataclass(frozen=True)
class Login:
    """Who submits, with which address as sender."""

    address: str
    password: str


@dataclass(frozen=True)
class Submission:
    """What is submitted: where, by whom (a session each), to whom in turn, how many mails of how many bytes in all."""

    port: int
    logins: Sequence[Login]
    recipients: Sequence[str]
    mails: int
    size: int = 4096
    each: int = 1_000_000


def submit(load: Submission) -> list[float]:
    """Submit it all; return the seconds that each mail took, sorted."""
    return sorted(uvloop.run(_submit(load)))


async def _submit(load: Submission) -> list[float]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Certificates of both sides are made for the occasion.
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    numbers = iter(range(load.mails))
    times: list[float] = []
    async with asyncio.TaskGroup() as group:
        for login in load.logins:
            group.create_task(_session_after_session(load, login, numbers, times, tls))
    return times


async def _session_after_session(
    load: Submission, login: Login, numbers: Iterator[int], times: list[float], tls: ssl.SSLContext
) -> None:
    mail = _mail(login.address, load.size)
    while (number := next(numbers, None)) is not None:
        started = time.perf_counter()
        async with asyncio.timeout(_MAIL_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", load.port, ssl=tls)
        try:
            await _sign_in(reader, writer, login)
            for left in range(load.each - 1, -1, -1):
                await _one(reader, writer, (login.address, load.recipients[number % len(load.recipients)]), mail)
                times.append(time.perf_counter() - started)
                if not left or (number := next(numbers, None)) is None:
                    break
                started = time.perf_counter()
            await _say(reader, writer, b"QUIT\r\n", b"221")
        finally:
            writer.close()


async def _sign_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: Login) -> None:
    proof = base64.b64encode(f"\0{login.address}\0{login.password}".encode())
    await _expect(reader, b"220")
    await _say(reader, writer, b"EHLO client.test\r\n", b"250")
    await _say(reader, writer, b"AUTH PLAIN " + proof + b"\r\n", b"235")


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, between: tuple[str, str], mail: bytes
) -> None:
    sender, recipient = between
    async with asyncio.timeout(_MAIL_SECONDS):
        await _say(reader, writer, f"MAIL FROM:<{sender}>\r\n".encode(), b"250")
        await _say(reader, writer, f"RCPT TO:<{recipient}>\r\n".encode(), b"250")
        await _say(reader, writer, b"DATA\r\n", b"354")
        await _say(reader, writer, mail, b"250")


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: bytes, code: bytes) -> None:
    writer.write(what)
    await _expect(reader, code)


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readline()
        if not line.startswith(code):
            raise RuntimeError(f"the server answered {line[:60]!r} where {code!r} was due")
        if line[3:4] == b" ":
            return


def _mail(sender: str, size: int) -> bytes:
    head = (
        f"From: <{sender}>\r\nTo: <someone@elsewhere.test>\r\nSubject: Your receipt\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    ).encode()
    line = b"X" * 76 + b"\r\n"
    return head + line * max(1, (size - len(head)) // len(line)) + b".\r\n"
