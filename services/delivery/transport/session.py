"""One connection to one mail server, and mails over it one after the other.

Where the server offers PIPELINING (RFC 2920) a mail takes two turns: MAIL, every RCPT and DATA at once, then the
content; else a turn for each command. Recipients are answered for one by one. Until the final dot has been handed over
nothing can have been delivered, so what breaks before it may be tried again at once elsewhere; what breaks after it is
temporary, and the one place where a mail can arrive twice.

Content with 8-bit bytes goes as it is to a server that does not offer 8BITMIME, as most MTAs do ("just send 8"):
recoding would break the signatures, and servers that take off the eighth bit have died out. What needs SMTPUTF8 (RFC
6531) cannot go where it is not offered: 5.6.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.delivery.domain.model import Outcome
from services.delivery.transport.replies import Reply, Stage, of_destination, permanent, read_outcome, temporary
from services.delivery.transport.settings import Patience
from services.delivery.transport.wire import ConnectionLostError, Wire, stuff


@dataclass(frozen=True, slots=True)
class Parcel:
    """A mail for some recipients, as it goes into one transaction; domains in A-labels where `wide` is not set.

    `wide`: SMTPUTF8 is needed. `content` is stuffed (wire.stuff), `size` what it was before.
    """

    return_path: str
    recipients: tuple[str, ...]
    content: bytes
    size: int
    eight_bit: bool
    wide: bool


class SessionLostError(Exception):
    """The connection ended before anything of the mail can have been delivered."""

    def __init__(self, outcome: Outcome) -> None:
        """Take what to say of it if no other server does better."""
        super().__init__(outcome.status)
        self.outcome = outcome


class Session:
    """An open, greeted connection."""

    def __init__(self, wire: Wire, host: str, extensions: Mapping[str, str], patience: Patience) -> None:
        """Take the name of the server and what its EHLO offered, keywords in lower case."""
        self.wire = wire
        self.host = host
        # What protects it, in words of the policy's deliveries.
        self.protection = "none"
        self.mails = 0
        self._extensions = extensions
        self._patience = patience
        self._pipelining = "pipelining" in extensions
        # A transaction was begun and not finished.
        self._half_done = False
        self._ending = False

    @property
    def is_usable(self) -> bool:
        """Whether another mail may be tried on it."""
        return not self._ending and self.wire.is_quiet

    def close(self) -> None:
        """Take leave without waiting for the answer."""
        self.wire.close(b"QUIT\r\n")

    def abort(self) -> None:
        """Close at once."""
        self._ending = True
        self.wire.abort()

    async def deliver(self, parcel: Parcel) -> Sequence[Outcome]:
        """Return the outcome for each recipient of `parcel`.

        Raises:
            SessionLostError: nothing was delivered, another connection may be tried.
        """
        refusal = self._refusal(parcel)
        if refusal is not None:
            return [refusal] * len(parcel.recipients)
        self.mails += 1
        try:
            return await self._transact(parcel)
        except ConnectionLostError as error:
            self._ending = True
            raise SessionLostError(lost(error, self.host)) from None
        except BaseException:
            # Cancelled in the middle: nobody knows what the next reply belongs to.
            self.abort()
            raise

    def _refusal(self, parcel: Parcel) -> Outcome | None:
        limit = self._extensions.get("size", "").strip()
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:18]) < parcel.size:
            return permanent("5.3.4", "message is larger than the server takes", self.host)
        if parcel.wide and "smtputf8" not in self._extensions:
            return permanent("5.6.7", "the server does not take international addresses or fields", self.host)
        return None

    async def _transact(self, parcel: Parcel) -> Sequence[Outcome]:
        commands = [self._mail(parcel), *(_rcpt(address) for address in parcel.recipients), b"DATA\r\n"]
        await self._reset_if_needed()
        if self._pipelining:
            self.wire.write(b"".join(commands))
        self._half_done = True
        mail = await self._ask(commands[0], self._patience.mail)
        if not mail.is_good and not self._pipelining:
            return [read_outcome(mail, Stage.MAIL, self.host)] * len(parcel.recipients)
        replies = [await self._ask(command, self._patience.rcpt) for command in commands[1:-1]]
        taken = mail.is_good and any(reply.is_good for reply in replies)
        whole = None
        if taken or self._pipelining:
            data = await self._ask(commands[-1], self._patience.data)
            if data.code == 354:
                # A server that goes ahead without anybody to deliver to gets an empty mail (RFC 2920 3.1).
                whole = await self._send_content(parcel.content if taken else stuff(b""))
            elif data.code >= 400:
                whole = read_outcome(data, Stage.DATA, self.host)
            else:
                # Neither go ahead nor no: nobody knows what this server expects now.
                raise ConnectionLostError("nonsense")
        if not mail.is_good:
            return [read_outcome(mail, Stage.MAIL, self.host)] * len(replies)
        return [
            whole if whole is not None and reply.is_good else read_outcome(reply, Stage.RCPT, self.host)
            for reply in replies
        ]

    async def _reset_if_needed(self) -> None:
        if self._half_done:
            self.wire.write(b"RSET\r\n")
            await self._reply(self._patience.mail)
            self._half_done = False

    async def _send_content(self, content: bytes) -> Outcome:
        if not self.wire.is_quiet:
            # More replies than questions: the one to the mail could not be told from them.
            raise ConnectionLostError("nonsense")
        try:
            await self.wire.write_content(content, self._patience.block)
        except ConnectionLostError:
            # A server that has seen enough says no and closes. If it has not said anything, this raises again.
            early = await self.wire.reply(0.0)
            if early.is_good:
                raise
            return read_outcome(early, Stage.CONTENT, self.host)
        try:
            reply = await self._reply(self._patience.content, last=True)
        except ConnectionLostError as error:
            self._ending = True
            return replace(lost(error, self.host), elsewhere=False)
        self._half_done = False
        return read_outcome(reply, Stage.CONTENT, self.host)

    async def _ask(self, command: bytes, seconds: float) -> Reply:
        if not self._pipelining:
            self.wire.write(command)
        return await self._reply(seconds)

    async def _reply(self, seconds: float, *, last: bool = False) -> Reply:
        reply = await self.wire.reply(seconds)
        if reply.code == 421:
            # The server is closing (RFC 5321 3.8): nothing else will come.
            self._ending = True
            if not last:
                raise SessionLostError(of_destination(read_outcome(reply, Stage.GREETING, self.host)))
        return reply

    def _mail(self, parcel: Parcel) -> bytes:
        command = f"MAIL FROM:<{parcel.return_path}>"
        if "size" in self._extensions:
            command += f" SIZE={parcel.size}"
        if parcel.eight_bit and "8bitmime" in self._extensions:
            command += " BODY=8BITMIME"
        if parcel.wide:
            command += " SMTPUTF8"
        return command.encode() + b"\r\n"


def lost(error: ConnectionLostError, host: str) -> Outcome:
    """Return what to say of a connection that ended without a reply."""
    text = {"silent": "no reply in time", "nonsense": "reply is not SMTP"}.get(error.what, "connection lost")
    return temporary("4.5.0" if error.what == "nonsense" else "4.4.2", text, host)


def _rcpt(address: str) -> bytes:
    return f"RCPT TO:<{address}>\r\n".encode()
