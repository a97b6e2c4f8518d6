"""Domains that customers send with: claimed, proved by the DNS, looked at again each day.

Anybody may claim any domain, and several may claim the same one; it is proved by records that only whoever runs the
domain can publish, and belongs to one account at a time. Who holds it keeps it while his ownership record stands, which
is looked at again at the moment somebody else proves his own. A holder whose records are gone loses the domain after
three days: one bad day of a DNS provider must not stop a business.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, SealpostError
from libs.telemetry.logs import get_logger
from services.delivery.customers.domain_records import Claim, DomainRecords, Owner
from services.delivery.customers.looking import look
from services.delivery.customers.marks import Marks, canonical_domain
from services.delivery.customers.ports import Accounts, DkimKeys, Dns
from services.delivery.customers.suffixes import is_public_suffix
from services.delivery.domain.limits import DAY
from services.delivery.domain.sender_domains import (
    Installation,
    RecordState,
    Wanted,
    customer_records,
    is_verified,
    ownership_record,
)

_MOST = 50
_FAILING_DAYS = 3
_HOPEFUL_DAYS = 30
_RECHECKS_AT_ONCE = 20
_ATTEMPTS = 5
_KNOWN_SECONDS = 15.0
_MAX_KNOWN = 20_000

_log = get_logger("sender_domains")


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain with its records and what the last look found of each; `checked_at` in Unix seconds, 0 for never."""

    domain: str
    verified: bool
    records: Sequence[tuple[Wanted, RecordState]]
    checked_at: int


@dataclass(frozen=True, slots=True)
class DomainPeers:
    """Whom sender domains ask."""

    accounts: Accounts
    dkim: DkimKeys
    dns: Dns


class SenderDomains:
    """The sender domains of all accounts; implements domain.ports.Senders."""

    def __init__(
        self, records: DomainRecords, marks: Marks, peers: DomainPeers, installation: Installation, clock: Clock
    ) -> None:
        """Keep claims in `records`."""
        self._records = records
        self._marks = marks
        self._peers = peers
        self._installation = installation
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    async def verified(self, account_id: str, domain: str) -> bool:
        """See domain.ports.Senders; what other processes find out is known here within 15 seconds."""
        key, now = (self._marks.account(account_id), domain), self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        claim = await self._records.get(*key)
        self._remember(key, claim is not None and claim.verified)
        return self._known[key][1]

    async def put(self, account_id: str, domain: str) -> DomainView:
        """Claim a domain; return the records to publish. Claimed already, it is as it was.

        Raises: InvalidError("domain_invalid" | "domain_public_suffix" | "domain_served"),
        ExhaustedError("too_many_sender_domains"), UnavailableError.
        """
        name, account = canonical_domain(domain), self._marks.account(account_id)
        await self._refuse(name)
        claim = await self._records.get(account, name)
        if claim is None:
            if len(await self._records.of_account(account, _MOST)) >= _MOST:
                raise ExhaustedError("too_many_sender_domains")
            now = unix_seconds(self._clock)
            claim = Claim(account, name, await self._peers.dkim.ensure(name), now, recheck=_tomorrow(now))
            try:
                await self._records.insert(claim)
            except ConflictError:
                return await self.put(account_id, domain)
        return self._view(claim)

    async def list(self, account_id: str) -> list[DomainView]:
        """Return the domains of an account."""
        claims = await self._records.of_account(self._marks.account(account_id), _MOST)
        return [self._view(claim) for claim in claims]

    async def check(self, account_id: str, domain: str) -> DomainView:
        """Look at the DNS now. Raises: NotFoundError("sender_domain"), ConflictError("domain_taken"), SealpostError."""
        claim = await self._records.get(self._marks.account(account_id), canonical_domain(domain))
        if claim is None:
            raise NotFoundError("sender_domain")
        return self._view(await self._check(claim, daily=False))

    async def delete(self, account_id: str, domain: str) -> None:
        """Give a domain up; absent is fine. Its DKIM keys go with its last claim."""
        name, account = canonical_domain(domain), self._marks.account(account_id)
        if await self._records.get(account, name) is None:
            return
        await self._records.delete(account, name)
        self._known.pop((account, name), None)
        await self._release(account, name)
        if not await self._records.is_wanted(name):
            await self._peers.dkim.delete(name)

    async def recheck(self) -> int:
        """Look again at some domains whose day is over; return how many."""
        now = unix_seconds(self._clock)
        due = await self._records.due(now, _RECHECKS_AT_ONCE)
        await asyncio.gather(*(self._recheck(claim, now) for claim in due))
        return len(due)

    async def _recheck(self, claim: Claim, now: int) -> None:
        try:
            # Before the look, so that another process does not look as well, and that a failing look is not repeated.
            hopeful = claim.verified or now < claim.added + _HOPEFUL_DAYS * DAY
            recheck = _tomorrow(now) if hopeful else 0
            version = await self._records.postpone(claim, recheck)
            await self._check(replace(claim, version=version, recheck=recheck), daily=True)
        except (ConflictError, NotFoundError):
            return
        except SealpostError as error:
            _log.warning("recheck_failed", error=error)

    async def _check(self, claim: Claim, *, daily: bool) -> Claim:
        wanted = self._wanted(claim)
        states = await look(self._peers.dns, wanted)
        proved = is_verified(wanted, states)
        if proved:
            await self._take(claim)
        for _ in range(_ATTEMPTS):
            now = unix_seconds(self._clock)
            new = _judged(replace(claim, states=states, checked_at=now), proved, daily=daily)
            if new.verified and not claim.verified and not new.recheck:
                new = replace(new, recheck=_tomorrow(now))
            try:
                new = replace(new, version=await self._records.replace(new))
                break
            except ConflictError:
                fresh = await self._records.get(claim.account, claim.domain)
                if fresh is None:
                    raise NotFoundError("sender_domain") from None
                claim = fresh
        else:
            raise ConflictError("contention")
        if claim.verified and not new.verified:
            await self._release(claim.account, claim.domain)
        self._remember((claim.account, claim.domain), new.verified)
        return new

    async def _take(self, claim: Claim) -> None:
        """Make the account the domain's owner. Raises: ConflictError("domain_taken"), UnavailableError."""
        owner = await self._records.owner(claim.domain)
        if owner is not None and owner.account == claim.account:
            return
        if owner is not None:
            token = self._marks.ownership(owner.account, claim.domain)
            (state,) = await look(self._peers.dns, [ownership_record(claim.domain, token)])
            if state in (RecordState.OK, RecordState.UNREACHABLE):
                raise ConflictError("domain_taken")
            # First, so that there is no moment at which two may send.
            await self._records.disprove(owner.account, claim.domain)
            self._known.pop((owner.account, claim.domain), None)
        try:
            await self._records.take(claim.domain, claim.account, owner)
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("domain_taken") from error

    async def _release(self, account: str, domain: str) -> None:
        owner: Owner | None = await self._records.owner(domain)
        if owner is not None and owner.account == account:
            try:
                await self._records.release(domain, owner)
            except (ConflictError, NotFoundError):
                # It is somebody else's by now.
                return

    async def _refuse(self, domain: str) -> None:
        if is_public_suffix(domain):
            raise InvalidError("domain_public_suffix")
        ours = {one.name for one in await self._peers.accounts.served()}
        ours |= {self._installation.hostname.lower(), self._installation.bounce_domain.lower()}
        if any(domain == name or domain.endswith(f".{name}") for name in ours):
            raise InvalidError("domain_served")

    def _wanted(self, claim: Claim) -> tuple[Wanted, ...]:
        dkim = [(one.selector, one.record) for one in claim.dkim]
        token = self._marks.ownership(claim.account, claim.domain)
        return customer_records(claim.domain, token, dkim, self._installation)

    def _view(self, claim: Claim) -> DomainView:
        wanted = self._wanted(claim)
        states = claim.states if len(claim.states) == len(wanted) else [RecordState.UNCHECKED] * len(wanted)
        return DomainView(claim.domain, claim.verified, list(zip(wanted, states, strict=True)), claim.checked_at)

    def _remember(self, key: tuple[str, str], verified: bool) -> None:
        self._known[key] = (self._clock.monotonic() + _KNOWN_SECONDS, verified)
        self._known.move_to_end(key)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)


def _judged(claim: Claim, proved: bool | None, *, daily: bool) -> Claim:
    if proved:
        return replace(claim, verified=True, failing=0)
    if proved is None or not claim.verified or not daily:
        return claim
    failing = claim.failing + 1
    return replace(claim, failing=failing, verified=failing < _FAILING_DAYS)


def _tomorrow(now: int) -> int:
    return now + int(DAY * random.uniform(0.9, 1.1))
