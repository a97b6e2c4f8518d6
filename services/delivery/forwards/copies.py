"""Takes copies of incoming mail, durably and once.

The MX brings a copy before it stores the mail, so it is queued to go out some seconds later: if the mail cannot be
stored after all the MX takes it back in time. Its id is a keyed hash of account and bytes, so whoever brings the same
mail again, because he was told to or because he never heard the answer, finds it queued. One that was taken back and
comes again is another copy: its id has the next number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from libs.envelope import KeyedHash
from libs.mail.letter import Letter
from libs.mail.text import clean
from libs.mail.verdict import Verdict
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import is_id
from libs.telemetry.logs import get_logger
from services.delivery.domain.addresses import check_recipient, domain_key
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Forwarded, Order, Profile, State, Way
from services.delivery.domain.ports import Letters, PlatformLetter
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.queue import message_id_of
from services.delivery.domain.submission import Queue
from services.delivery.forwards.counts import DailyCounts
from services.delivery.queue.entry import Entry

MAX_TARGETS = 3
DIGEST_BYTES = 32

_NUMBERS = 20
_DAY = 86400
_MOST_TOLD = 10_000
_MAX_HEADER = 64 * 1024
_MAX_MESSAGE_ID = 998


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail to be forwarded; see sealpost.delivery.v1.ForwardRequest."""

    account_id: str
    domain: str
    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    digest: bytes
    smtputf8: bool
    verdict: Verdict
    terms: int = 0


@dataclass(frozen=True, slots=True)
class CopyRules:
    """`hold`: seconds until a copy goes out; `per_day`: mails of an account; `own_hosts`: never forwarded to."""

    hold: int
    per_day: int
    max_bytes: int
    own_hosts: frozenset[str]
    site: Site


_log = get_logger("copies")


class Trails(Protocol):
    """Tells of mails that are queued or settled."""

    async def of_account(self, account_id: str, mail_id: str) -> tuple[Entry, bool]:
        """Return a mail, and whether what waits of it is cancelled. Raises: NotFoundError, UnavailableError."""


class Cancels(Protocol):
    """Stops what is not sent."""

    async def withdraw(self, mail_id: str) -> None:
        """Cancel what is not sent yet of a mail. Raises: UnavailableError."""


@dataclass(frozen=True)
class CopyParts:
    """What copies are taken with."""

    queue: Queue
    trails: Trails
    cancels: Cancels
    hashes: KeyedHash
    counts: DailyCounts
    letters: Letters
    clock: Clock


class Copies:
    """Takes copies, and takes them back."""

    def __init__(self, parts: CopyParts, rules: CopyRules) -> None:
        """Take these."""
        self._parts = parts
        self._rules = rules
        # The day of which somebody was told last; whoever falls out is told again, and finds one notice.
        self._told: dict[str, int] = {}

    async def forward(self, mail: Incoming) -> bool:
        """Return once the copies are durable; False, and nothing is queued, where the account's are used up for today.

        Raises: InvalidError("forward") for what the MX must not send, UnavailableError and others for what may pass.
        """
        order = self._order(mail)
        if not order.recipients:
            return True
        try:
            await self._parts.counts.add("mails", mail.account_id, self._rules.per_day, account_id=mail.account_id)
        except ExhaustedError:
            await self._tell(mail.account_id)
            return False
        for number in range(_NUMBERS):
            mail_id = self._id(mail.account_id, mail.digest, number)
            try:
                await self._parts.queue.put(replace(order, submission_id=mail_id), _prepared(mail.content))
            except ConflictError:
                if await self._is_withdrawn(mail.account_id, mail_id):
                    continue
            return True
        raise UnavailableError("forward_contended")

    async def withdraw(self, account_id: str, digest: bytes) -> None:
        """Take a copy back, as far as it has not gone out. Idempotent. Raises: UnavailableError."""
        for number in range(_NUMBERS):
            mail_id = self._id(account_id, digest, number)
            try:
                if not await self._is_withdrawn(account_id, mail_id):
                    await self._parts.cancels.withdraw(mail_id)
                    return
            except NotFoundError:
                return

    async def _tell(self, account_id: str) -> None:
        """Tell the owner that this is all for today: once, for the notice has the id of the day."""
        now = unix_seconds(self._parts.clock)
        day = now - now % _DAY
        if self._told.get(account_id) == day:
            return
        notice_id = message_id_of(account_id, "forwards/limited", day)
        fields = {"most": f"{self._rules.per_day:,}"}
        try:
            letter = PlatformLetter(notice_id, account_id, "service", "forwarding_limited", fields)
            await self._parts.letters.send(letter)
        except SealpostError as error:
            # The next mail tries again.
            _log.warning("notice_failed", error=error)
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[account_id] = day

    async def _is_withdrawn(self, account_id: str, mail_id: str) -> bool:
        entry, cancelled = await self._parts.trails.of_account(account_id, mail_id)
        return cancelled or all(one.state is State.CANCELLED for one in entry.mail.recipients)

    def _order(self, mail: Incoming) -> Order:
        size_ok = 0 < len(mail.content) <= self._rules.max_bytes
        if not (is_id(mail.account_id) and len(mail.digest) == DIGEST_BYTES and size_ok):
            raise InvalidError("forward")
        if len(mail.recipients) > MAX_TARGETS:
            raise InvalidError("forward")
        recipients = tuple(dict.fromkeys(filter(self._may_go_to, mail.recipients)))
        return Order(
            submission_id="",
            account_id=mail.account_id,
            # Each recipient gets a transaction, and a return path, of his own.
            profile=Profile.RELAY,
            mail_from=mail.mail_from,
            recipients=recipients,
            content=mail.content,
            send_at=unix_seconds(self._parts.clock) + self._rules.hold,
            smtputf8=mail.smtputf8 or not all(map(str.isascii, recipients)),
            forwarded=Forwarded(Way.COPY, mail.domain, mail.verdict),
            terms=mail.terms,
        )

    def _may_go_to(self, address: str) -> bool:
        try:
            return domain_key(check_recipient(address)) not in self._rules.own_hosts
        except InvalidError:
            return False

    def _id(self, account_id: str, digest: bytes, number: int) -> str:
        return self._parts.hashes.digest("forward", f"{account_id}/{number}/".encode() + digest).hex()


def _prepared(content: bytes) -> Prepared:
    header = Letter(bytearray(content[:_MAX_HEADER]))
    return Prepared(
        content=content,
        message_id=clean(header.fields.first(b"message-id"), _MAX_MESSAGE_ID),
        from_addresses=(),
        sender_domain="",
        auto_submitted=True,
    )
