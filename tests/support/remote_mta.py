"""A mail server of somebody else, on the loopback, that behaves as a script says.

    async with serve_mta("127.0.0.2") as mta:
        mta.says(RCPT, "450 4.2.0 come back later", once=True)
        ...
        assert mta.mails[0].recipients == ("bob@remote.test",)

Without a script it takes every mail. What it does at a step (remote_steps) is a reply, a misdeed (DROP, RESET, SILENCE,
NOISE, slow), or a function of the argument that returns one of these, or None for the usual answer. Several servers can
share a port on different addresses (127.0.0.2, 127.0.0.3, ...), as the servers of a domain do.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tests.support.remote_steps import (
    CONNECT,
    CONTENT,
    DATA,
    EHLO,
    HANDSHAKE,
    HELO,
    MAIL,
    NOISE,
    QUIT,
    RCPT,
    RSET,
    STARTTLS,
    Misdeed,
    Received,
    Script,
    Step,
)

EXTENSIONS: Final = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass
class _Conversation:
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    hello: str = ""
    mail_from: str | None = None
    options: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    def forget_mail(self) -> None:
        self.mail_from, self.options, self.recipients = None, [], []


class RemoteMta:
    """A running server; see the module.

    `commands` are the lines that came, `pipelined` how many of them came before the answer to the one before,
    `connections` how many there were, `most_open` at once.
    """

    def __init__(self, name: str, context: ssl.SSLContext | None) -> None:
        """Take the name it greets with, and the certificate for STARTTLS, if it is to be offered."""
        self.name = name
        self.address = ""
        self.port = 0
        self.context = context
        self.extensions: Sequence[str] = EXTENSIONS
        self.mails: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open_connections = 0
        self.most_open = 0
        self.pipelined = 0
        self._scripts: dict[str, list[tuple[Script, bool]]] = {}
        self._greylisted: set[tuple[str, str]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def says(self, step: str, *scripts: Script, once: bool = False) -> None:
        """From now on do this at `step`; with `once` each script for one time, one after the other, then as before."""
        former = [] if not once else [entry for entry in self._scripts.get(step, []) if not entry[1]]
        self._scripts[step] = [(script, once) for script in scripts] + former

    def behaves(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()
        self._greylisted = None

    def greylists(self) -> None:
        """Refuse each pair of sender and recipient once, for a while."""
        self._greylisted = set()

    async def serve(self, address: str, port: int) -> asyncio.Server:
        """Listen; use `serve_mta` instead."""
        server = await asyncio.start_server(self._connected, address, port, limit=1 << 20)
        self.address, self.port = server.sockets[0].getsockname()[:2]
        return server

    async def stop(self) -> None:
        """End all conversations, those too that were accepted and have not begun."""
        await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        self.most_open = max(self.most_open, self.open_connections)
        talk = _Conversation(self.connections, reader, writer)
        try:
            await self._converse(talk)
        except (_Over, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            # Cancelled by `stop` alone; a task that ends as cancelled is a fault for asyncio's streams.
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            talk.writer.close()
            with suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await talk.writer.wait_closed()

    async def _converse(self, talk: _Conversation) -> None:
        await self._answer(talk, CONNECT, "", f"220 {self.name} ESMTP")
        while line := await talk.reader.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.commands.append(text)
            verb, _, argument = text.partition(" ")
            handle = self._handlers.get(verb.upper())
            if handle is None:
                await self._answer(talk, verb.upper(), argument, "502 5.5.1 not known")
            else:
                await handle(self, talk, argument)

    async def _hello(self, talk: _Conversation, argument: str) -> None:
        talk.hello = argument
        talk.forget_mail()
        extensions = list(self.extensions)
        if self.context is not None and not _version(talk):
            extensions.append("STARTTLS")
        lines = [self.name, *extensions]
        usual = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}"
        await self._answer(talk, EHLO, argument, usual)

    async def _old_hello(self, talk: _Conversation, argument: str) -> None:
        talk.hello = argument
        await self._answer(talk, HELO, argument, f"250 {self.name}")

    async def _starttls(self, talk: _Conversation, argument: str) -> None:
        if self.context is None:
            await self._answer(talk, STARTTLS, argument, "502 5.5.1 not offered")
            return
        if not await self._answer(talk, STARTTLS, argument, "220 2.0.0 go ahead"):
            return
        step = self._next(HANDSHAKE, "")
        if step is NOISE:
            talk.writer.write(b"this is not TLS, whatever was said before\r\n")
            await talk.writer.drain()
            raise _Over
        if isinstance(step, Misdeed):
            await self._misbehave(talk, step)
        await talk.writer.start_tls(self.context)
        talk.hello = ""
        talk.forget_mail()

    async def _mail(self, talk: _Conversation, argument: str) -> None:
        match = re.match(r"(?i)FROM:<([^>]*)>(.*)", argument)
        if match is None or talk.mail_from is not None:
            await self._answer(talk, MAIL, argument, "503 5.5.1 not now, or not so")
        elif await self._answer(talk, MAIL, argument, "250 2.1.0 sender ok"):
            talk.mail_from, talk.options = match[1], match[2].split()

    async def _rcpt(self, talk: _Conversation, argument: str) -> None:
        match = re.match(r"(?i)TO:<([^>]*)>", argument)
        usual = "250 2.1.5 recipient ok"
        if match is None or talk.mail_from is None:
            usual = "503 5.5.1 not now, or not so"
        elif self._greylisted is not None and (pair := (talk.mail_from, match[1])) not in self._greylisted:
            self._greylisted.add(pair)
            usual = "450 4.2.0 greylisted, come back later"
        if await self._answer(talk, RCPT, argument, usual) and match is not None:
            talk.recipients.append(match[1])

    async def _data(self, talk: _Conversation, argument: str) -> None:
        usual = "354 go ahead" if talk.recipients else "554 5.5.1 nobody to deliver to"
        if not await self._answer(talk, DATA, argument, usual):
            return
        lines = []
        while (line := await talk.reader.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise _Over
            lines.append(line.removeprefix(b"."))
        step = self._next(CONTENT, "")
        # Whoever does not hear the answer cannot know that the mail was taken.
        accepted = isinstance(step, Misdeed) or step is None or step.startswith("2")
        self.mails.append(
            Received(
                talk.number,
                talk.hello,
                _version(talk),
                talk.mail_from or "",
                tuple(talk.options),
                tuple(talk.recipients),
                b"".join(lines),
                accepted,
            )
        )
        talk.forget_mail()
        await self._do(talk, step, "250 2.0.0 taken")

    async def _reset(self, talk: _Conversation, argument: str) -> None:
        talk.forget_mail()
        await self._answer(talk, RSET, argument, "250 2.0.0 forgotten")

    async def _quit(self, talk: _Conversation, argument: str) -> None:
        await self._answer(talk, QUIT, argument, "221 2.0.0 bye")
        raise _Over

    _handlers: Final = {
        EHLO: _hello,
        HELO: _old_hello,
        STARTTLS: _starttls,
        MAIL: _mail,
        RCPT: _rcpt,
        DATA: _data,
        RSET: _reset,
        QUIT: _quit,
    }

    def _next(self, step: str, argument: str) -> Step | None:
        entries = self._scripts.get(step)
        if not entries:
            return None
        script, once = entries[0]
        if once:
            entries.pop(0)
        return script(argument) if callable(script) else script

    async def _answer(self, talk: _Conversation, step: str, argument: str, usual: str) -> bool:
        """Answer; return whether it was a yes."""
        return await self._do(talk, self._next(step, argument), usual)

    async def _do(self, talk: _Conversation, step: Step | None, usual: str) -> bool:
        if isinstance(step, Misdeed):
            await self._misbehave(talk, step)
            step = None
        reply = usual if step is None else step
        # There is no other way to see what has come already.
        if talk.reader._buffer:  # type: ignore[attr-defined]
            self.pipelined += 1
        talk.writer.write(reply.encode() + b"\r\n")
        await talk.writer.drain()
        if reply.startswith("421"):
            raise _Over
        return reply.startswith(("2", "3"))

    async def _misbehave(self, talk: _Conversation, step: Misdeed) -> None:
        if step.kind == "slow":
            await asyncio.sleep(step.seconds)
        elif step.kind == "silence":
            # Until the client goes away.
            while await talk.reader.read(65536):
                pass
            raise _Over
        else:
            if step.kind == "reset":
                talk.writer.transport.abort()
            raise _Over


class _Over(Exception):  # noqa: N818 - the end of a conversation, not a fault
    """The conversation has ended."""


def _version(talk: _Conversation) -> str:
    found = talk.writer.get_extra_info("ssl_object")
    return (found.version() or "") if found is not None else ""


@asynccontextmanager
async def serve_mta(
    address: str = "127.0.0.2", port: int = 0, *, name: str = "mx.remote.test", context: ssl.SSLContext | None = None
) -> AsyncIterator[RemoteMta]:
    """Run a server that calls itself `name`, on a free port unless one is given; with `context` it offers STARTTLS."""
    mta = RemoteMta(name, context)
    server = await mta.serve(address, port)
    try:
        yield mta
    finally:
        server.close()
        await mta.stop()
        await server.wait_closed()
