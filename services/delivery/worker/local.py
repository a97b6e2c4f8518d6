"""Mail that stays here: sealed copies in the mailboxes of members and in public inboxes, and mails of our own.

A copy has the same message id at each attempt, made of the mail and the mailbox, so that it is stored once however
often it is brought. What goes in front of the mail names no client: who submits mail is known, and nobody has to know
where from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from libs.mail import envelope
from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.copies import Copies, owner
from libs.mailbox.facts import record_stored
from libs.mailbox.model import Accounts, Crypto, Delivery, Route, SealTask, Standing, Storage
from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError, NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.telemetry.facts import NoFacts, Recorder
from libs.telemetry.logs import get_logger
from services.delivery.domain.model import Outcome, QueuedMail, Result
from services.delivery.domain.ports import AccountAddresses, Domains
from services.delivery.domain.queue import message_id_of, starts_at

_OFFLOAD_BYTES = 1024 * 1024
_LARGE_AT_ONCE = 2

# Whoever submitted it has signed in, and may use the address: what DMARC asks.
_VERDICT = Verdict(dmarc="pass", results="auth=pass")

_REFUSALS = {
    Standing.UNKNOWN: Outcome(Result.PERMANENT, 550, "5.1.1", "No such mailbox"),
    Standing.INVALID: Outcome(Result.PERMANENT, 553, "5.1.3", "Not an address"),
    Standing.SUSPENDED: Outcome(Result.TEMPORARY, 450, "4.2.1", "Mailbox not in use for now"),
}

_log = get_logger("local")


@dataclass(frozen=True)
class MailboxPeers:
    """Whom to call to bring mail into mailboxes."""

    accounts: Accounts
    crypto: Crypto
    storage: Storage
    domains: Domains
    addresses: AccountAddresses


class LocalDelivery:
    """Puts mails into mailboxes of this installation."""

    def __init__(self, hostname: str, peers: MailboxPeers, clock: Clock, facts: Recorder | None = None) -> None:
        """Take the name that trace fields carry, whom to call, and who counts copies."""
        self._facts = facts or NoFacts()
        self._hostname = hostname
        self._peers = peers
        self._copies = Copies(peers.crypto, peers.storage)
        self._clock = clock
        # A large mail is in memory several times over while it is sealed.
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def is_own(self, domain: str) -> bool:
        """Tell whether mail for a domain stays here. Raises: SealpostError."""
        return domain in await self._peers.domains.own()

    async def deliver(self, mail: QueuedMail, content: bytes, addresses: Sequence[str]) -> list[Outcome]:
        """Store copies for addresses at domains of ours; return their outcomes in order. Never raises SealpostError."""
        now = self._clock.now()
        at = starts_at(mail)
        forwarded = mail.order.forwarded
        verdict = forwarded.verdict if forwarded else _VERDICT
        body = self._trace(mail.order.mail_from, mail.mail_id, at, verdict) + content
        draft = await _draft(body)

        async def one(address: str) -> Outcome:
            try:
                route = await self._peers.accounts.resolve(address)
                if route.standing is not Standing.OK:
                    return _REFUSALS.get(route.standing, _REFUSALS[Standing.SUSPENDED])
                message_id = message_id_of(mail.mail_id, f"copy/{route.mailbox_id}", at)
                task = SealTask(owner(route, now), message_id, envelope.finish(draft, address, verdict), body)
                await self._store(route, task, now)
            except SealpostError as error:
                return _failure(error)
            return Outcome(Result.DELIVERED, 250, "2.0.0", "", self._hostname)

        return list(await asyncio.gather(*map(one, addresses)))

    async def put(self, account_id: str, message_id: str, content: bytes) -> None:
        """Store a mail of our own, complete, in an account's mailbox; once for each `message_id`.

        Nothing is stored where the account is gone or its mailbox is full. Raises: SealpostError for what may pass.
        """
        try:
            address = await self._peers.addresses.address(account_id)
        except NotFoundError:
            return
        route = await self._peers.accounts.resolve(address)
        if route.standing is not Standing.OK:
            # A closed account's address stands as suspended.
            return
        now = self._clock.now()
        sealed_for = envelope.finish(await _draft(content), address, Verdict())
        try:
            await self._store(route, SealTask(owner(route, now), message_id, sealed_for, content), now)
        except ExhaustedError as error:
            if not error.reason.startswith("quota_"):
                raise
            _log.info("mailbox_full")

    async def _store(self, route: Route, task: SealTask, now: datetime) -> None:
        async with self._large if len(task.body) > _OFFLOAD_BYTES else nullcontext():
            copies = await self._copies.make([(route, task)], now)
            await self._peers.storage.append(Delivery(new_id(), copies))
        record_stored(self._facts, route, len(task.body))

    def _trace(self, mail_from: str, mail_id: str, at: int, verdict: Verdict) -> bytes:
        received = format_datetime(datetime.fromtimestamp(at, UTC))
        return (
            f"Return-Path: <{mail_from}>\r\n"
            f"Received: by {self._hostname} with ESMTPSA id {mail_id};\r\n\t{received}\r\n"
            f"Authentication-Results: {self._hostname}; {verdict.results}\r\n"
        ).encode()


async def _draft(content: bytes) -> envelope.Draft:
    letter = Letter(bytearray(content))
    if len(content) > _OFFLOAD_BYTES:
        return await asyncio.to_thread(envelope.draft, letter)
    return envelope.draft(letter)


def _failure(error: SealpostError) -> Outcome:
    if isinstance(error, ExhaustedError) and error.reason.startswith("quota_"):
        return Outcome(Result.TEMPORARY, 452, "4.2.2", "Mailbox full")
    _log.warning("copy_not_stored", error=error)
    return Outcome(Result.TEMPORARY, 451, "4.3.0", "", elsewhere=True)
