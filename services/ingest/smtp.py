"""The SMTP edge: the commands of RFC 5321 that the MX and submission have in common, on aiosmtpd's protocol.

Extensions: SIZE (RFC 1870), PIPELINING (2920), 8BITMIME (6152), SMTPUTF8 (6531), STARTTLS (3207), ENHANCEDSTATUSCODES
(2034). There is no BDAT, no VRFY that tells anything. Who may send, which recipients are taken and where a mail goes,
is said by the subclasses: mx.MxEdge, submission.SubmissionEdge.

A mail is this process's only once 250 has been said; until then the client keeps it, so every doubt is a 4xx.
"""

from __future__ import annotations

from typing import ClassVar

from libs.mail.addresses import Path, PathError, read_hello, read_path
from libs.runtime.errors import SealpostError
from libs.telemetry import traces
from services.ingest import meters, replies
from services.ingest.connection import Connection
from services.ingest.data import DataReader, Outcome
from services.ingest.domain import Client
from services.ingest.wire import Expired

HANDSHAKE_SECONDS = 30.0
_MAX_SIZE_DIGITS = 20
_BODIES = ("7BIT", "8BITMIME")


class Edge(Connection):
    """The verbs, and what a subclass says to them."""

    # What is counted, and what a trace calls the handing over of a mail.
    meter: ClassVar[meters.Meter]
    span: ClassVar[str]
    # Of MAIL.
    parameters: ClassVar[frozenset[str]] = frozenset({"SIZE", "BODY", "SMTPUTF8"})

    def extensions(self) -> list[str]:
        """Return what EHLO offers beside what is offered always."""
        return ["STARTTLS"] if self.site.tls is not None and not self.over_tls else []

    def most_recipients(self) -> int:
        """Return how many recipients a mail may have."""
        return self.settings.max_recipients

    def closed(self) -> str:
        """Return the reply that refuses any mail of this client as things are, or ""."""
        return ""

    async def judge_sender(self, path: Path) -> str:
        """Return the reply that refuses this sender, or "". Raises SealpostError where that is not known."""
        return ""

    def begin_mail(self) -> None:
        """Begin what goes on while the client talks: its sender has been accepted."""

    async def take_recipient(self, path: Path) -> bool:
        """Answer a recipient whose address is well-formed; one that is accepted goes to `rcpt_tos`. Returns whether
        the connection is over. Raises SealpostError where it is not known if it can be accepted."""
        raise NotImplementedError

    async def hand_over(self, content: bytearray) -> str:
        """Return the reply that takes responsibility for the mail.

        The caller holds no reference to `content`, so that a large mail can be let go of on the way.
        Raises SealpostError: it has not.
        """
        raise NotImplementedError

    async def smtp_HELO(self, argument: str) -> bool:
        """RFC 5321 4.1.1.1."""
        return await self._hello(argument, extended=False)

    async def smtp_EHLO(self, argument: str) -> bool:
        """RFC 5321 4.1.1.1."""
        return await self._hello(argument, extended=True)

    async def _hello(self, argument: str, extended: bool) -> bool:
        name = read_hello(argument)
        if name is None:
            return await self.mistake(replies.BAD_ARGUMENT)
        self.reset()
        self.client = Client(self.client.address, name, extended, self.over_tls)
        if not extended:
            await self.push(f"250 {self.settings.hostname}")
            return False
        lines = [self.settings.hostname, f"SIZE {self.settings.max_message_bytes}", "PIPELINING", "8BITMIME"]
        lines += [*self.extensions(), "SMTPUTF8"]
        await self.push("".join(f"250-{line}\r\n" for line in lines) + "250 ENHANCEDSTATUSCODES")
        return False

    async def smtp_STARTTLS(self, argument: str) -> bool:
        """RFC 3207: afterwards everything said before is forgotten, what was sent ahead too."""
        tls = self.site.tls
        if tls is None:
            return await self.mistake(replies.NOT_IMPLEMENTED)
        if argument:
            return await self.mistake(replies.NO_ARGUMENT)
        if self.over_tls:
            return await self.mistake(replies.TLS_ALREADY)
        context = tls.context()
        self.reset()
        await self.push(replies.START_TLS)
        await self.start_tls(context, HANDSHAKE_SECONDS)
        self.client = Client(self.client.address)
        return False

    async def smtp_MAIL(self, argument: str) -> bool:
        """RFC 5321 4.1.1.2, with room reserved for the size that is declared (RFC 1870)."""
        transaction = self.transaction
        if not self.client.hello:
            return await self.mistake(replies.HELLO_FIRST)
        if refusal := self.closed():
            return await self.mistake(refusal)
        if transaction.mail_from is not None:
            return await self.mistake(replies.ONE_MAIL_AT_A_TIME)
        try:
            path = read_path(argument, "FROM:")
        except PathError as error:
            return await self.mistake(replies.BAD_SENDER if error.kind == "address" else replies.BAD_ARGUMENT)
        if refusal := self._refusal_of(path) or await self.judge_sender(path):
            return await self.mistake(refusal)
        if not await self._find_room(int(path.parameters.get("SIZE", "0"))):
            meters.REFUSALS.inc(reason="room")
            await self.push(replies.NO_ROOM)
            return False
        transaction.mail_from = path.address
        transaction.smtp_utf8 = "SMTPUTF8" in path.parameters
        self.begin_mail()
        await self.push(replies.SENDER_OK)
        return False

    async def _find_room(self, size: int) -> bool:
        reservation = self.transaction.reservation
        if reservation.reserve(size):
            return True
        await self.flush()
        return await reservation.reserve_within(size, 0.0 if self.site.closing else self.settings.room_seconds)

    def _refusal_of(self, path: Path) -> str:
        """Return the reply that refuses a sender or the parameters of MAIL, or ""."""
        parameters = path.parameters
        if parameters.keys() - self.parameters or (parameters and not self.client.extended):
            return replies.UNKNOWN_PARAMETER
        size = parameters.get("SIZE", "0")
        if not (size.isascii() and size.isdigit() and len(size) <= _MAX_SIZE_DIGITS):
            return replies.BAD_PARAMETER
        if parameters.get("BODY", "7BIT").upper() not in _BODIES or parameters.get("SMTPUTF8"):
            return replies.BAD_PARAMETER
        if path.address and not path.domain:
            return replies.BAD_SENDER
        if not path.ascii and "SMTPUTF8" not in parameters:
            return replies.NEEDS_SMTPUTF8
        return replies.TOO_LARGE if int(size) > self.settings.max_message_bytes else ""

    async def smtp_RCPT(self, argument: str) -> bool:
        """RFC 5321 4.1.1.3."""
        transaction = self.transaction
        if transaction.mail_from is None:
            return await self.mistake(replies.MAIL_FIRST)
        try:
            path = read_path(argument, "TO:")
        except PathError as error:
            return await self.mistake(replies.BAD_RECIPIENT if error.kind == "address" else replies.BAD_ARGUMENT)
        if path.parameters:
            return await self.mistake(replies.UNKNOWN_PARAMETER)
        if not path.address:
            return await self.mistake(replies.BAD_RECIPIENT)
        if not path.ascii and not transaction.smtp_utf8:
            return await self.mistake(replies.NEEDS_SMTPUTF8)
        if len(transaction.rcpt_tos) >= self.most_recipients():
            await self.push(replies.TOO_MANY_RECIPIENTS)
            return False
        try:
            return await self.take_recipient(path)
        except SealpostError as error:
            # The recipients so far stand; whether to go on without this one is the client's choice.
            return await self.mistake(await self.handle_exception(error))

    async def smtp_DATA(self, argument: str) -> bool:
        """RFC 5321 4.1.1.4; what was sent ahead of 354 is neither data nor a command (RFC 2920 3.1)."""
        transaction = self.transaction
        if self.pending:
            return await self.break_off("ahead", replies.BEFORE_GO_AHEAD)
        if argument:
            return await self.mistake(replies.NO_ARGUMENT)
        if not transaction.rcpt_tos:
            return await self.mistake(replies.MAIL_FIRST if transaction.mail_from is None else replies.RECIPIENT_FIRST)
        limit = self.settings.max_message_bytes
        reader = DataReader(limit, limit, transaction.reservation)
        await self.push(replies.GO_AHEAD)
        try:
            await self.read_data(reader, self.settings.data_seconds, self.settings.idle_seconds)
        except Expired:
            return await self.break_off("time", replies.TOO_SLOW)
        if reader.outcome is not Outcome.COMPLETE:
            return await self._refuse_data(reader)
        self.well_done()
        await self.push(await self._hand_over(reader))
        return False

    async def _refuse_data(self, reader: DataReader) -> bool:
        if reader.outcome is Outcome.MALFORMED:
            return await self.break_off("bytes", replies.MALFORMED)
        no_room = reader.refused is Outcome.NO_ROOM
        outcome = "no_room" if no_room else "too_large"
        self.meter.mails.inc(outcome=outcome)
        self.visit.mail(outcome, len(reader.content))
        reply = replies.NO_ROOM if no_room else replies.TOO_LARGE
        if reader.outcome is Outcome.ENDLESS:
            await self.refuse(reply)
            return True
        self.reset()
        await self.push(reply)
        return False

    async def _hand_over(self, reader: DataReader) -> str:
        """Hand the mail over and return the reply; the transaction is over, whatever that is."""
        size, recipients = len(reader.content), len(self.transaction.rcpt_tos)
        began = self.loop.time()
        try:
            with traces.span(self.span, bytes=size, recipients=recipients):
                reply = await self.hand_over(reader.take())
        except SealpostError as error:
            self.meter.mails.inc(outcome=(outcome := meters.outcome_of(error)))
            self.visit.mail(outcome, size)
            return self.reply_for(error)
        finally:
            self.reset()
        self.meter.accepted(size, self.loop.time() - began)
        self.visit.mail("accepted", size)
        return reply

    async def smtp_RSET(self, argument: str) -> bool:
        """RFC 5321 4.1.1.5."""
        if argument:
            return await self.mistake(replies.NO_ARGUMENT)
        self.reset()
        await self.push(replies.OK)
        return False

    async def smtp_NOOP(self, argument: str) -> bool:
        """RFC 5321 4.1.1.9."""
        await self.push(replies.OK)
        return False

    async def smtp_HELP(self, argument: str) -> bool:
        """RFC 5321 4.1.1.8."""
        await self.push(replies.HELP)
        return False

    async def smtp_VRFY(self, argument: str) -> bool:
        """RFC 5321 3.5.3: a reply that is the same for everybody."""
        await self.push(replies.CANNOT_VERIFY if argument else replies.BAD_ARGUMENT)
        return False

    async def smtp_EXPN(self, argument: str) -> bool:
        """RFC 5321 3.5.2: there is nothing to expand."""
        return await self.mistake(replies.NOT_IMPLEMENTED)

    async def smtp_QUIT(self, argument: str) -> bool:
        """RFC 5321 4.1.1.10."""
        await self.push(replies.BYE)
        await self.flush()
        return True
