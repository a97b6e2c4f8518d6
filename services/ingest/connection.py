"""One connection from the greeting to the end: reading commands strictly, counting mistakes, giving everything back.

Every line ends with CRLF or the connection ends: tolerance for anything else is how one mail is smuggled inside another
(RFC 5321 2.3.8). What a client holds - its place in the counters, room for its mail - lives exactly as long as the
coroutine that serves it, whichever way that ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from aiosmtpd.smtp import Envelope

from libs.mailbox.model import Recipient
from libs.runtime.errors import SealpostError
from libs.telemetry import logs
from services.ingest import meters, replies
from services.ingest.admission import Reservation
from services.ingest.domain import Authentication, Client, NoAuthentication
from services.ingest.facts import Visit
from services.ingest.site import Site, client_address
from services.ingest.wire import EndlessLineError, Expired, Gone, Wire

# RFC 5321 4.5.3.1.4, and the additions of RFC 1870, 6152 and 6531 for MAIL; addresses in UTF-8 take more.
# AUTH may carry the longest response of its mechanisms (RFC 4954 4): 767 octets (RFC 4616 2) in base64.
_MAX_COMMAND = {"MAIL": 1024, "RCPT": 1024, "AUTH": 2048}
_MAX_COMMAND_DEFAULT = 512
_TOO_LONG = {"AUTH": replies.PROOF_TOO_LONG}
_MAIL_COMMANDS = frozenset({"MAIL", "RCPT", "DATA"})
# A browser that was talked into posting to this port, and an extension whose content would come next as commands.
_FOREIGN = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE", "CONNECT", "TRACE", "BDAT"})
_NO_CHECKS = NoAuthentication()

log = logs.get_logger("smtp")
# aiosmtpd writes addresses at INFO and bodies at DEBUG.
logging.getLogger("mail.log").disabled = True


class Transaction(Envelope):
    """One mail between MAIL and the end of its data; `close` gives back what it holds."""

    def __init__(self, reservation: Reservation) -> None:
        """Begin with nothing but a claim to room."""
        super().__init__()
        self.reservation = reservation
        # Where copies go; for mail that others bring on its way `rcpt_tos` is all there is.
        self.recipients: list[Recipient] = []
        self.authentication: Authentication = _NO_CHECKS

    def close(self) -> None:
        """Release the room and drop checks that nobody waits for. Idempotent."""
        self.reservation.release()
        self.authentication.cancel()


class UnusableError(Exception):
    """A line after which nothing that the client sends has a meaning."""

    def __init__(self, reason: str, reply: str) -> None:
        """Take what to count and what to answer."""
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


class Connection(Wire):
    """Serves the verbs of a subclass, its methods smtp_<VERB>: they take the argument and return whether it is over."""

    verbs: ClassVar[Mapping[str, Callable[[Any, str], Awaitable[bool]]]] = {}
    # A word of the policy's dimension of that name.
    port: ClassVar[str] = "other"

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop, admitted: ExitStack | None = None) -> None:
        """Serve for `site`. `admitted` is what `site` counts a connection by that has come over TLS already."""
        super().__init__(loop)
        self.site = site
        self.over_tls = admitted is not None
        # What is entered here is given back when the connection ends.
        self.lifetime = admitted or ExitStack()
        self._admitted = admitted is not None
        self.settings = site.settings
        self.key = ""
        self.client = Client("")
        self.transaction: Transaction
        self.visit = Visit(site.facts, self.port)
        self._errors = 0
        self._idle_commands = 0
        self._end = 0.0

    def __init_subclass__(cls) -> None:
        """Collect the verbs."""
        own = {name.removeprefix("smtp_"): method for name, method in vars(cls).items() if name.startswith("smtp_")}
        cls.verbs = {**cls.verbs, **own}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        self.transport = transport
        self.client.address = client_address(transport.get_extra_info("peername"))
        self.key = self.site.client_key(self.client.address)
        self.visit.came_from(self.client.address)
        session = self.loop.create_task(self._handle_client())
        # A session that is cancelled before its first step holds something too: what it was admitted with.
        session.add_done_callback(lambda _: self.lifetime.close())
        self._handler_coroutine = session

    @property
    def made(self) -> bool:
        """Whether the session has begun."""
        return self._handler_coroutine is not None

    def new_transaction(self) -> Transaction:
        """Return a transaction in which nothing was said yet."""
        return Transaction(self.site.admission.open(self.key))

    def reset(self) -> None:
        """Forget the mail that was begun (RFC 5321 4.1.1.5), give its room back."""
        self.transaction.close()
        self.transaction = self.new_transaction()

    def well_done(self) -> None:
        """Forget former mistakes: a mail has come to its end."""
        self._errors = self._idle_commands = 0

    async def mistake(self, reply: str) -> bool:
        """Answer a command that is refused; after too many of them, hang up."""
        self._errors += 1
        if self._errors > self.settings.max_errors:
            return await self.break_off("errors", replies.TOO_MANY_ERRORS)
        await self.push(reply)
        return False

    async def break_off(self, reason: str, reply: str) -> bool:
        """Answer and close; what the mail held is free from here on."""
        meters.REFUSALS.inc(reason=reason)
        self.visit.note("refused")
        self.transaction.close()
        await self.refuse(reply)
        return True

    async def handle_exception(self, error: Exception) -> str:
        """Return the reply for a failure: never its text."""
        if not isinstance(error, SealpostError):
            log.error("command_failed", error=error)
        meters.REFUSALS.inc(reason="failure")
        self.visit.note("deferred")
        return self.reply_for(error)

    def reply_for(self, error: BaseException) -> str:
        """Return the reply for an error, by the table of this kind of service."""
        return replies.for_error(error)

    async def _handle_client(self) -> None:
        """Serve the connection to its end, and give back whatever it holds on every way out."""
        self._end = self.loop.time() + self.settings.session_seconds
        self.transaction = self.new_transaction()
        with self.lifetime as lifetime:
            refusal = "" if self._admitted else self.site.admit(self.key, lifetime)
            self.site.connections.add(self)
            lifetime.callback(self._leave)
            meters.SESSIONS.inc(outcome="refused" if refusal else "served")
            try:
                if refusal:
                    self.visit.note("refused")
                    await self.refuse(refusal)
                else:
                    await self.push(f"220 {self.settings.hostname} ESMTP sealpost")
                    await self._serve()
            except (Gone, ConnectionError):
                # The client has hung up: nothing was taken over from it that it has not been told.
                self.visit.note("dropped")
            except Expired:
                self._say_goodbye()

    def _leave(self) -> None:
        secured = self.transport.get_extra_info("ssl_object")
        self.visit.over((secured and secured.version()) or "none")
        self.site.leave(self)
        self.transaction.close()
        self.transport.close()

    def _say_goodbye(self) -> None:
        """Tell a client whose wait was ended why, without waiting for it to read."""
        if self.site.closing:
            reply = replies.CLOSING
        else:
            meters.REFUSALS.inc(reason="time")
            self.visit.note("idle")
            reply = replies.SESSION_OVER if self.loop.time() >= self._end else replies.IDLE
        self.write_last(reply)

    async def _serve(self) -> None:
        done = False
        while not done:
            if self.site.closing:
                raise Expired
            try:
                done = await self._command(await self.next_line())
            except (Gone, Expired, ConnectionError):
                raise
            except UnusableError as error:
                done = await self.break_off(error.reason, error.reply)
            except Exception as error:  # whatever it is, the client may try again, and learns nothing of it
                self.reset()
                done = await self.mistake(await self.handle_exception(error))

    async def next_line(self, too_long: str = replies.LINE_TOO_LONG) -> bytes:
        """Return the next line of the client without its end.

        Raises:
            Gone, Expired: see Wire.
            UnusableError: it has no end (the answer is `too_long`), or not CRLF, or holds what no line may.
        """
        try:
            line = await self.read_line(min(self._end, self.loop.time() + self.settings.idle_seconds))
        except EndlessLineError:
            raise UnusableError("line", too_long) from None
        if line[-2:] != b"\r\n" or b"\r" in line[:-2] or b"\0" in line:
            raise UnusableError("bytes", replies.BAD_BYTES)
        return line[:-2]

    async def _command(self, line: bytes) -> bool:
        """Answer one command; return whether the connection is finished with."""
        word, _, rest = line.partition(b" ")
        name = word.upper().decode("ascii", "replace")
        if name in _FOREIGN:
            return await self.break_off("foreign", replies.NOT_IMPLEMENTED)
        if len(line) + 2 > _MAX_COMMAND.get(name, _MAX_COMMAND_DEFAULT):
            return await self.mistake(_TOO_LONG.get(name, replies.LINE_TOO_LONG))
        verb = self.verbs.get(name)
        if verb is None:
            return await self.mistake(replies.UNKNOWN_COMMAND)
        if name not in _MAIL_COMMANDS:
            self._idle_commands += 1
            if self._idle_commands > self.settings.max_idle_commands:
                return await self.break_off("errors", replies.TOO_MANY_ERRORS)
        try:
            argument = rest.decode("utf-8").strip(" ")
        except UnicodeDecodeError:
            return await self.mistake(replies.BAD_ARGUMENT)
        if not argument.isprintable():
            return await self.mistake(replies.BAD_ARGUMENT)
        return await verb(self, argument)
