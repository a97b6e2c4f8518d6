"""Mail that goes elsewhere: signed, in transactions, each with a return path of its own.

Recipients of members' mail at one domain share a transaction, and its return path stands for all of them. A customer's
recipients get one transaction each: what bounces later then names one of them (VERP), and each can carry a link of his
own to unsubscribe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.delivery.domain.model import Outcome, Outgoing, Profile, QueuedMail, Result, Signer, Transport
from services.delivery.domain.ports import Unsubscribes
from services.delivery.domain.return_path import ALL_RECIPIENTS, ReturnPaths
from services.delivery.queue.entry import Entry

_NOT_SIGNED = Outcome(Result.TEMPORARY, 451, "4.3.0", "The mail cannot be signed for now", elsewhere=True)
_BROKEN = Outcome(Result.TEMPORARY, 451, "4.3.0", "Something went wrong on our side", elsewhere=True)

_log = get_logger("remote")


@dataclass(frozen=True, slots=True)
class Transaction:
    """Recipients, by their positions in the mail, that are sent to together."""

    domain: str
    indices: tuple[int, ...]
    return_index: int


class Content(Protocol):
    """What one attempt at a mail sends."""

    async def content(self, one: Transaction) -> bytes:
        """Return the mail for a transaction. Raises: SealpostError."""


class Measured(Protocol):
    """A mail of which each recipient gets links of his own."""

    async def content(self, index: int) -> bytes:
        """Return the mail for the recipient at this position. Raises: SealpostError."""


class Measure(Protocol):
    """What counts opens and clicks (services.delivery.measuring)."""

    async def prepare(self, mail: QueuedMail, content: bytes) -> Measured | None:
        """Return what makes a mail measured, None where nothing of it is. Raises: SealpostError."""


class Forwards(Protocol):
    """How mail leaves that came in (services.delivery.forwards)."""

    def letter(self, entry: Entry, content: bytes) -> Content:
        """Return what one attempt at a mail sends."""

    def return_path(self, entry: Entry, one: Transaction) -> str:
        """Return the address that reports about a transaction come to."""


def transactions(profile: Profile, domain: str, indices: Sequence[int]) -> list[Transaction]:
    """Return the transactions for recipients at one domain."""
    if profile is Profile.RELAY:
        return [Transaction(domain, (index,), index) for index in indices]
    return [Transaction(domain, tuple(indices), ALL_RECIPIENTS)]


class RemoteDelivery:
    """Sends through the transport."""

    def __init__(self, transport: Transport, signer: Signer, paths: ReturnPaths, unsubscribes: Unsubscribes) -> None:
        """Take who sends, who signs, and what names recipients."""
        self._transport = transport
        self._signer = signer
        self._paths = paths
        self._unsubscribes = unsubscribes
        # For mail that nobody here has written; None where there is none.
        self.forwards: Forwards | None = None
        # For campaigns that count opens and clicks.
        self.measure: Measure | None = None

    def letter(self, entry: Entry, content: bytes) -> Content:
        """Return what one attempt at a mail sends."""
        if self.forwards is not None and entry.mail.order.forwarded is not None:
            return self.forwards.letter(entry, content)
        letter = Letter(self._signer, self._unsubscribes, entry, content)
        letter.measure = self.measure
        return letter

    def return_path(self, entry: Entry, one: Transaction) -> str:
        """Return the address that reports about a transaction come to."""
        if self.forwards is not None and entry.mail.order.forwarded is not None:
            return self.forwards.return_path(entry, one)
        return self._paths.make(entry.mail.mail_id, one.return_index)

    async def send(self, entry: Entry, letter: Content, one: Transaction) -> Sequence[Outcome]:
        """Carry out a transaction; return the outcomes in the order of its recipients. Never raises SealpostError."""
        order = entry.mail.order
        try:
            content = await letter.content(one)
        except SealpostError as error:
            _log.warning("mail_not_signed", error=error)
            return [_NOT_SIGNED] * len(one.indices)
        outgoing = Outgoing(
            domain=one.domain,
            return_path=self.return_path(entry, one) if order.mail_from else "",
            recipients=tuple(entry.mail.recipients[index].address for index in one.indices),
            content=content,
            smtputf8=order.smtputf8,
        )
        try:
            return await self._transport.send(outgoing)
        except Exception as error:
            # A fault of ours that this one mail brings out; what others' transactions came to must not be lost by it.
            _log.error("transport_broken", error=error)
            return [_BROKEN] * len(one.indices)


class Letter:
    """The content of a mail on its way out, signed once for everybody, or once for each who has a link of his own."""

    def __init__(self, signer: Signer, unsubscribes: Unsubscribes, entry: Entry, content: bytes) -> None:
        """Take the mail, unsigned."""
        self._signer = signer
        self._unsubscribes = unsubscribes
        self._entry = entry
        self._content = content
        self._signing = asyncio.Lock()
        self._signed: bytes | SealpostError | None = None
        self.measure: Measure | None = None
        self._measured: Measured | None = None
        self._prepared = False

    async def content(self, one: Transaction) -> bytes:
        """Return the signed mail for a transaction. Raises: SealpostError."""
        facts = self._entry.facts
        if one.return_index != ALL_RECIPIENTS:
            measured = await self._measure()
            fields = b""
            if self._entry.mail.order.one_click_unsubscribe:
                fields = self._unsubscribes.fields(self._entry.mail, one.return_index)
            if fields or measured is not None:
                content = await measured.content(one.return_index) if measured is not None else self._content
                return await self._signer.sign(fields + content, facts.sender_domain)
        async with self._signing:
            if self._signed is None:
                # Who comes meanwhile waits, and is told the same.
                try:
                    self._signed = await self._signer.sign(self._content, facts.sender_domain)
                except SealpostError as error:
                    self._signed = error
        if isinstance(self._signed, SealpostError):
            raise self._signed
        return self._signed

    async def _measure(self) -> Measured | None:
        if self.measure is None or not self._entry.mail.order.campaign:
            return None
        async with self._signing:
            if not self._prepared:
                self._measured = await self.measure.prepare(self._entry.mail, self._content)
                self._prepared = True
        return self._measured
