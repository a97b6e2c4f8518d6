"""Mail is submitted: checked, counted, prepared; who may send with which address.

What can be refused without asking anybody is refused first, what is asked of others comes next, and the limits come
last, so that only mail that would be taken is counted. A submission that comes again - the caller did not hear our
answer - is found by its id when it is written, and answered as the first time.

A mail from <> - a read receipt (RFC 8098 2.1), the reply of a vacation (RFC 3834 3.3) - is the account's by its From
field alone, goes to one recipient, and nothing ever comes back for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from libs.mailbox.model import Accounts, Standing
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InternalError,
    InvalidError,
    SealpostError,
)
from libs.runtime.ids import is_id
from services.delivery.domain.addresses import check_recipient, domain_key
from services.delivery.domain.model import Order, Profile
from services.delivery.domain.ports import Campaigns, Limits, Senders
from services.delivery.domain.prepare import Prepared, prepare

MAX_RECIPIENTS = 1000
MAX_AHEAD = 30 * 86400
_MAX_KEY = 200
_CAMPAIGN = re.compile(r"[a-z0-9_-]{1,64}\Z")
_OFFLOAD_BYTES = 256 * 1024
_SENDING = frozenset((Profile.SEALED, Profile.RELAY))


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the caller is told: the id of the first submission, and the Message-ID of the mail."""

    submission_id: str
    message_id: str


class Queue(Protocol):
    """Where submitted mails go."""

    async def put(self, order: Order, prepared: Prepared) -> None:
        """Write a mail, durably. Raises: ConflictError("exists") if there is one of this id, SealpostError."""

    async def find(self, account_id: str, mail_id: str) -> Submitted | None:
        """Return a mail of this account that was submitted before. Raises: SealpostError."""


class Keys(Protocol):
    """Customers' own keys for submissions."""

    async def claim(self, name: str, digest: bytes, mail_id: str, terms: int = 0) -> str:
        """Return the id of the mail that was submitted first under `name`: perhaps this one.

        `terms`: see Order.

        Raises: ConflictError("idempotency_mismatch"), UnavailableError.
        """


class Names(Protocol):
    """Makes names of what must not stand in documents."""

    def idempotency(self, account_id: str, key: str) -> str:
        """Return the name of a customer's key."""

    def same(self, content: bytes) -> bytes:
        """Return what tells two submissions apart."""


@dataclass(frozen=True)
class Desks:
    """Everybody who is asked about a submission."""

    queue: Queue
    keys: Keys
    names: Names
    accounts: Accounts
    senders: Senders
    limits: Limits
    campaigns: Campaigns


class Submissions:
    """Takes mail."""

    def __init__(self, desks: Desks, hostname: str, max_bytes: int, clock: Clock) -> None:
        """Take whom to ask, our name, and the size of the largest mail."""
        self._desks = desks
        self._hostname = hostname
        self._max_bytes = max_bytes
        self._clock = clock

    async def authorize(self, account_id: str, addresses: Sequence[str]) -> list[bool]:
        """Tell for each address whether the account may send with it. Raises: SealpostError."""
        if len(addresses) == 1:
            return [await self._may_use(account_id, addresses[0])]
        return list(await asyncio.gather(*(self._may_use(account_id, address) for address in addresses)))

    async def submit(self, orders: Sequence[Order]) -> list[Submitted | SealpostError]:
        """Take each mail, durably, or say why not; one's failure leaves the others alone."""
        results = await asyncio.gather(*map(self._submit, orders), return_exceptions=True)
        return [_told(result) for result in results]

    async def _submit(self, order: Order) -> Submitted:
        order = self._checked(order)
        prepared = await self._prepared(order)
        desks = self._desks
        if order.campaign and await desks.campaigns.stopped(order.account_id, order.campaign):
            raise DeniedError("campaign_stopped")
        await self._check_senders(order, prepared)
        if order.idempotency_key:
            name = desks.names.idempotency(order.account_id, order.idempotency_key)
            digest = desks.names.same(_fingerprint(order))
            first = await desks.keys.claim(name, digest, order.submission_id, order.terms)
            if first != order.submission_id:
                found = await desks.queue.find(order.account_id, first)
                if found is not None:
                    return found
                # Whoever came first did not get that far.
                order = replace(order, submission_id=first)
                prepared = await self._prepared(order)
        try:
            await desks.limits.reserve(order.account_id, order.profile, len(order.recipients))
        except (ExhaustedError, DeniedError, InvalidError):
            found = await desks.queue.find(order.account_id, order.submission_id)
            if found is None:
                raise
            return found
        return await self._put(order, prepared)

    async def _put(self, order: Order, prepared: Prepared) -> Submitted:
        try:
            await self._desks.queue.put(order, prepared)
        except ConflictError:
            found = await self._desks.queue.find(order.account_id, order.submission_id)
            if found is None:
                raise
            return found
        return Submitted(order.submission_id, prepared.message_id)

    def _checked(self, order: Order) -> Order:
        if not is_id(order.submission_id) or not order.account_id or len(order.idempotency_key) > _MAX_KEY:
            raise InvalidError("submission_invalid")
        if order.profile not in _SENDING:
            raise DeniedError("sender_not_allowed")
        if not order.recipients:
            raise InvalidError("recipient_invalid")
        if len(order.recipients) > (MAX_RECIPIENTS if order.mail_from else 1):
            raise InvalidError("too_many_recipients")
        if len(order.content) > self._max_bytes:
            raise InvalidError("too_large")
        now = unix_seconds(self._clock)
        if order.send_at < 0 or order.send_at > now + MAX_AHEAD:
            raise InvalidError("send_at_invalid")
        if order.campaign and not _CAMPAIGN.match(order.campaign):
            raise InvalidError("campaign_invalid")
        if order.one_click_unsubscribe and not order.campaign:
            raise InvalidError("campaign_invalid")
        recipients = tuple(dict.fromkeys(map(check_recipient, order.recipients)))
        wide = order.smtputf8 or not all(map(str.isascii, (order.mail_from, *recipients)))
        return replace(order, recipients=recipients, smtputf8=wide)

    async def _prepared(self, order: Order) -> Prepared:
        now = self._clock.now()
        if len(order.content) > _OFFLOAD_BYTES:
            prepared = await asyncio.to_thread(prepare, order, self._hostname, now)
        else:
            prepared = prepare(order, self._hostname, now)
        if len(prepared.content) > self._max_bytes + _OFFLOAD_BYTES:
            raise InvalidError("too_large")
        return prepared

    async def _check_senders(self, order: Order, prepared: Prepared) -> None:
        sender = [order.mail_from] if order.mail_from else []
        addresses = dict.fromkeys((*sender, *prepared.from_addresses))
        allowed = dict(zip(addresses, await self.authorize(order.account_id, list(addresses)), strict=True))
        if sender and not allowed[order.mail_from]:
            raise DeniedError("sender_not_allowed")
        if not all(allowed.values()):
            raise DeniedError("from_not_allowed")

    async def _may_use(self, account_id: str, address: str) -> bool:
        try:
            check_recipient(address)
        except InvalidError:
            return False
        route = await self._desks.accounts.resolve(address)
        if route.standing is Standing.OK:
            # A public inbox belongs to no account.
            return bool(account_id) and route.account_id == account_id
        if route.standing in (Standing.NOT_OURS, Standing.INVALID):
            return await self._desks.senders.verified(account_id, domain_key(address))
        return False


def _fingerprint(order: Order) -> bytes:
    digest = hashlib.sha256(order.content).digest()
    rest = (order.mail_from, sorted(order.recipients), order.send_at, order.campaign, order.one_click_unsubscribe)
    return digest + repr(rest).encode()


def _told(result: Submitted | BaseException) -> Submitted | SealpostError:
    if isinstance(result, Submitted | SealpostError):
        return result
    if isinstance(result, Exception):
        error = InternalError("submission_fault")
        error.__cause__ = result
        return error
    raise result
