"""Addresses that get copies of an account's incoming mail: asked first, stopped by either side.

What is forwarded leaves sealed storage open, so an address counts only after whoever reads mail there has said yes: a
token goes there by mail, and comes back in time (`forward_confirm_seconds`). The same token stops it at any time, as
long as the entry exists. It is 256 random bits and only its hash is kept, as with sessions; guessing is hopeless, and
how often somebody is asked is limited where the mail is sent (delivery).

Ingest learns of confirmed addresses with the route of the mailbox. So that routes of all others cost nothing, the
claim on an address says whether its account forwards at all. Claim and entries are documents of their own: the entry
changes first, then the flag is written at the claim's version as the entries say, so of two changes at once the later
one sees both. A crash in between leaves a flag that is put right by the next click or change; one that is on for
nothing does no harm.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.telemetry.logs import get_logger
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.addresses import parse_address
from services.accounts.domain.domains import Domains, is_role_address
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Forward, ForwardState, Profile, State
from services.accounts.domain.ports import Kept
from services.accounts.domain.vault import address_key

MAX_FORWARDS = 3
_DAY = 86400
_TRIES = 5
_SWEEP = 1000
_log = get_logger("forwards")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True)
class Added:
    """A new entry, its address in clear, and the token that is to reach it."""

    forward: Forward
    address: str
    token: str


@dataclass(frozen=True)
class ForwardRules:
    """`domains` are those served here, `terms` those of accounts."""

    domains: Domains
    terms: AccountTerms


class Forwards:
    """Adds, confirms, stops, lists."""

    def __init__(self, keys: Keys, kept: Kept, rules: ForwardRules, clock: Clock) -> None:
        """Work on what is kept."""
        self._keys = keys
        self._kept = kept
        self._domains = rules.domains
        self._terms = rules.terms
        self._clock = clock

    async def add(self, account: Account, text: str) -> Added:
        """Note an address that is to be asked.

        Raises: InvalidError("forward_address" | "forward_public" | "forward_own"), ConflictError("forward_exists"),
        ExhaustedError("too_many_forwards") at 3, NotFoundError("account_not_found").
        """
        address = self._checked(account, text)
        now = unix_seconds(self._clock)
        for _ in range(_TRIES):
            kept = [one for one in await self._kept.forwards.of_account(account.account_id) if not _is_over(one, now)]
            if any(self._keys.vault.forward(account, one).lower() == address.lower() for one in kept):
                raise ConflictError("forward_exists")
            free = next((slot for slot in range(MAX_FORWARDS) if slot not in {one.slot for one in kept}), None)
            if free is None:
                raise ExhaustedError("too_many_forwards")
            token = secrets.token_urlsafe(32)
            forward_id = new_id()
            forward = Forward(
                key=_digest(token),
                forward_id=forward_id,
                account_id=account.account_id,
                slot=free,
                state=ForwardState.PENDING,
                address=self._keys.vault.seal_forward(account, forward_id, address),
                created_day=now // _DAY,
                confirm_until=now + self._terms.rule("forward_confirm_seconds", account.standing),
            )
            # One whose time is over and that is not swept yet would still hold its slot.
            await self._kept.forwards.sweep(now, _SWEEP)
            try:
                await self._kept.forwards.insert(forward)
            except ConflictError:
                continue
            if await self._kept.accounts.get(account.account_id) is None:
                # An erasure began meanwhile; it has passed by already, or will.
                await self._kept.forwards.delete_many([forward.key])
                raise NotFoundError("account_not_found")
            return Added(forward, address, token)
        raise ConflictError("account_changed")

    async def list(self, account_id: str) -> list[tuple[Forward, str]]:
        """Return the entries of an account with their addresses. Raises: NotFoundError("account_not_found")."""
        account = await self._kept.accounts.get(account_id)
        if account is None:
            raise NotFoundError("account_not_found")
        now = unix_seconds(self._clock)
        kept = await self._kept.forwards.of_account(account_id)
        return [(one, self._keys.vault.forward(account, one)) for one in kept if not _is_over(one, now)]

    async def delete(self, account_id: str, forward_id: str) -> None:
        """Take an entry away; NotFoundError("forward_not_found") for anybody else's."""
        for one in await self._kept.forwards.of_account(account_id):
            if one.forward_id == forward_id:
                await self._kept.forwards.delete_many([one.key])
                await self._flag(account_id)
                return
        raise NotFoundError("forward_not_found")

    async def confirm(self, token: str) -> None:
        """Begin to forward to the address that has this token; idempotent. Raises: NotFoundError("forward_unknown")."""
        one = await self._find(token)
        if one.state is ForwardState.STOPPED or _is_over(one, unix_seconds(self._clock)):
            raise NotFoundError("forward_unknown")
        await self._put(one, ForwardState.ACTIVE)

    async def stop(self, token: str) -> None:
        """Forward nothing more to the address that has this token; idempotent. Raises: as `confirm`."""
        await self._put(await self._find(token), ForwardState.STOPPED)

    async def active(self, account_ids: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return the confirmed addresses of accounts that the flag names, without those that cannot be opened now.

        Raises: UnavailableError where the store does not answer.
        """
        found: dict[str, Sequence[str]] = {}
        for account_id in dict.fromkeys(account_ids):
            account = await self._kept.accounts.get(account_id)
            if account is None:
                found[account_id] = ()
                continue
            kept = await self._kept.forwards.of_account(account_id)
            chosen = [one for one in kept if one.state is ForwardState.ACTIVE]
            try:
                found[account_id] = [self._keys.vault.forward(account, one) for one in chosen]
            except SealpostError as error:
                # One account's trouble, and that of nobody asked for beside it.
                _log.error("forwards_unreadable", error=error)
        return found

    async def _find(self, token: str) -> Forward:
        found = await self._kept.forwards.get(_digest(token)) if _TOKEN.match(token) else None
        if found is None:
            raise NotFoundError("forward_unknown")
        return found

    async def _put(self, one: Forward, state: ForwardState) -> None:
        if one.state is not state:
            try:
                await self._kept.forwards.put_state(one, state)
            except ConflictError as error:
                raise ConflictError("account_changed") from error
            except NotFoundError as error:
                raise NotFoundError("forward_unknown") from error
        await self._flag(one.account_id)

    async def _flag(self, account_id: str) -> None:
        """Have the claim say whether the account forwards."""
        account = await self._kept.accounts.get(account_id)
        if account is None:
            return
        for _ in range(_TRIES):
            claim = (await self._kept.claims.get_many([account.address_key])).get(account.address_key)
            if claim is None or claim.state is not State.ACTIVE or claim.account_id != account_id:
                return
            kept = await self._kept.forwards.of_account(account_id)
            active = any(one.state is ForwardState.ACTIVE for one in kept)
            try:
                await self._kept.claims.put_forwards(replace(claim, forwards=active))
            except ConflictError:
                continue
            return
        raise ConflictError("account_changed")

    def _checked(self, account: Account, text: str) -> str:
        try:
            address = parse_address(text)
        except InvalidError as error:
            raise InvalidError("forward_address") from error
        local = text.rpartition("@")[0]
        if local.startswith('"') or address.domain.startswith("[") or "." not in address.domain:
            raise InvalidError("forward_address")
        domain = self._domains.find(address.domain)
        if domain is not None:
            if domain.profile is Profile.PUBLIC:
                raise InvalidError("forward_public")
            if is_role_address(address) or address_key(self._keys.hashes, address.base) == account.address_key:
                raise InvalidError("forward_own")
        # Elsewhere the case of a local part may mean something.
        return f"{local}@{address.domain}"


def _is_over(one: Forward, now: int) -> bool:
    return one.state is ForwardState.PENDING and now >= one.confirm_until


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
