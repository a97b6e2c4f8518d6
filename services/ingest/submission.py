"""Submission (RFC 6409): takes mail for anywhere, but only from who has signed in, and only over TLS.

Without TLS there is no AUTH, without AUTH no MAIL: this is what keeps it from being an open relay. PLAIN and LOGIN are
offered (RFC 4954), with app passwords. The sender must be an address of the account; delivery checks that again, the
From field, and everything else about a mail. Where the recipients are is not asked here: delivery brings the mail to
them, here or elsewhere.

The null reverse-path is for what must not be answered, read receipts (RFC 8098 2.1) and replies of vacations (RFC 3834
3.3): then the From field alone says whose it is, and there is one recipient.

Nothing of the client goes into the mail: no Received field is made here, and neither its address nor the name that it
gives itself is handed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import ClassVar

from libs.mail.addresses import Path
from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, SealpostError, UnauthenticatedError
from libs.runtime.ids import new_id
from services.ingest import meters, replies, sasl
from services.ingest.desk import Desk
from services.ingest.domain import Proof, SignedIn, Submission, Submitter
from services.ingest.sasl import SaslError
from services.ingest.site import Site
from services.ingest.smtp import Edge

# RFC 4954 5: from somebody we trust as little as any other client it is read and not believed.
_AUTH_PARAMETER = re.compile(r"(?:<>|(?:[!-*,-<>-~]|\+[0-9A-F]{2})+)\Z")


# Words of meters, where those of the policy differ.
_SIGN_INS = {"signed_in": "success", "malformed": "failed", "cancelled": "failed", "revoked": "closed"}


class SubmissionEdge(Edge):
    """One connection to submission."""

    meter: ClassVar[meters.Meter] = meters.SUBMITTED
    span: ClassVar[str] = "submit"
    port: ClassVar[str] = "submission"
    parameters: ClassVar[frozenset[str]] = Edge.parameters | {"AUTH"}

    def __init__(
        self, site: Site, desk: Desk, loop: asyncio.AbstractEventLoop, admitted: ExitStack | None = None
    ) -> None:
        """Serve for `site`; `admitted` as for Connection."""
        super().__init__(site, loop, admitted)
        self._desk = desk
        self._signed_in: SignedIn | None = None

    @property
    def _submitter(self) -> Submitter | None:
        return self._signed_in.submitter if self._signed_in is not None else None

    def extensions(self) -> list[str]:
        """Offer AUTH where it is allowed."""
        return [f"AUTH {' '.join(sasl.MECHANISMS)}"] if self.over_tls else super().extensions()

    def most_recipients(self) -> int:
        """Return more for accounts that send much."""
        if self.transaction.mail_from == "":
            return 1
        relay = self._submitter is not None and self._submitter.relay
        return self.settings.relay_recipients if relay else super().most_recipients()

    def reply_for(self, error: BaseException) -> str:
        """Return the reply by the table of submission."""
        return replies.for_submission(error)

    def closed(self) -> str:
        """Take mail from nobody in the clear (RFC 3207 4), and from nobody who has not signed in (RFC 4954 6)."""
        if not self.over_tls:
            return replies.TLS_FIRST
        return "" if self._submitter else replies.SIGN_IN_FIRST

    async def judge_sender(self, path: Path) -> str:
        """Accept addresses of the account and <>, as many mails a minute as it may send."""
        if "AUTH" in path.parameters and not _AUTH_PARAMETER.match(path.parameters["AUTH"]):
            return replies.BAD_PARAMETER
        submitter = self._submitter
        if submitter is None or (path.address and not await self._desk.may_send(submitter, path.address)):
            return replies.NOT_YOUR_ADDRESS
        return replies.TOO_MANY_MAILS if self._desk.count_mail(submitter) else ""

    async def take_recipient(self, path: Path) -> bool:
        """Accept every address with a domain (RFC 6409 4.2): delivery knows the way."""
        if not path.domain:
            return await self.mistake(replies.BAD_RECIPIENT)
        self.transaction.rcpt_tos.append(path.address)
        await self.push(replies.RECIPIENT_OK)
        return False

    async def hand_over(self, content: bytearray) -> str:
        """Accept once delivery has the mail for good."""
        transaction, submitter = self.transaction, self._submitter
        if submitter is None:
            raise DeniedError("not_signed_in")
        sender, recipients = transaction.mail_from or "", tuple(transaction.rcpt_tos)
        submission = Submission(new_id(), submitter, sender, recipients, content, transaction.smtp_utf8)
        del content
        return replies.accepted(await self._desk.submit(submission))

    async def smtp_MAIL(self, argument: str) -> bool:
        """As for everybody, from who may still send. Raises SealpostError where that cannot be told."""
        if self._signed_in is not None:
            try:
                await self._desk.renew(self._signed_in)
            except (UnauthenticatedError, InvalidError):
                self._count_sign_in("revoked")
                return await self.break_off("proofs", replies.REVOKED)
        return await super().smtp_MAIL(argument)

    async def smtp_AUTH(self, argument: str) -> bool:
        """RFC 4954 4. Whoever has begun a mail has signed in already."""
        if not self.over_tls:
            return await self.mistake(replies.SIGN_IN_NEEDS_TLS)
        if not self.client.extended:
            return await self.mistake(replies.HELLO_FIRST)
        if self._submitter is not None:
            return await self.mistake(replies.SIGNED_IN_ALREADY)
        mechanism, _, initial = argument.partition(" ")
        read = _READERS.get(mechanism.upper())
        if read is None:
            return await self.mistake(replies.UNKNOWN_MECHANISM if mechanism else replies.BAD_ARGUMENT)
        try:
            proof = await read(self, initial)
        except SaslError as error:
            self._count_sign_in(error.outcome)
            return await self.mistake(error.reply)
        return await self._sign_in(proof)

    async def _plain(self, initial: str) -> Proof:
        return sasl.read_plain(sasl.decode_initial(initial) if initial else await self._response())

    async def _login(self, initial: str) -> Proof:
        name = sasl.decode_initial(initial) if initial else await self._response(sasl.USER_NAME)
        return sasl.read_login(name, await self._response(sasl.PASSWORD))

    async def _response(self, challenge: str = "") -> bytes:
        await self.push(replies.challenge(challenge))
        return sasl.decode(await self.next_line(replies.PROOF_TOO_LONG))

    def _count_sign_in(self, outcome: str) -> None:
        meters.SIGN_INS.inc(outcome=outcome)
        self.visit.sign_in(_SIGN_INS.get(outcome, outcome))

    async def _sign_in(self, proof: Proof) -> bool:
        try:
            signed_in = await self._desk.sign_in(self.key, proof)
        except UnauthenticatedError:
            self._count_sign_in("wrong")
            return await self.mistake(replies.WRONG_PROOF)
        except SealpostError as error:
            limited = isinstance(error, ExhaustedError)
            self._count_sign_in("limited" if limited else "failed")
            if limited and error.reason == "client_attempts":
                return await self.break_off("proofs", replies.TOO_MANY_PROOFS)
            return await self.mistake(replies.SIGN_IN_LATER)
        try:
            self.lifetime.enter_context(self._desk.hold(signed_in.submitter))
        except ExhaustedError:
            self._count_sign_in("limited")
            return await self.break_off("account", replies.TOO_MANY_OF_ACCOUNT)
        self._count_sign_in("signed_in")
        self._signed_in = signed_in
        await self.push(replies.SIGNED_IN)
        return False


_READERS: dict[str, Callable[[SubmissionEdge, str], Awaitable[Proof]]] = {
    "PLAIN": SubmissionEdge._plain,
    "LOGIN": SubmissionEdge._login,
}
