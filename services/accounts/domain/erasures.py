"""Erasing an account: asked for by its owner, undone while the grace lasts, and then by nobody.

Asking and undoing are one write each to the account's document. During the grace nothing else changes: mail comes in,
everything works. When it is over, retention begins the erasure here, writes the account into its register, and has
every service erase what it keeps of it; the part of this service is done by services.accounts.held through `erase_keys`
and what follows it. Every step may be repeated, for whoever takes it may die at any moment:

1. `begin` marks the account's document. That write ends the time for undo, and because whoever asks for the account no
   longer finds one, every session and credential is dead with it.
2. Then the claim on the address is closed: no mail comes in any more, and nobody else gets the address for a while. A
   crash in between leaves a claim of an account that is being erased; who signs up takes it for taken, and the
   repetition closes it. What roles the owner had is announced as lost in the closed claim, which is the document that
   stays.
3. `erase_keys` replaces the account's document by one that says nothing but what else is to go. With it go the only
   copies of the wrapped private key, of what the recovery code unwraps, and of the data key that names and labels are
   sealed under. It does 1 and 2 first, where a backup has brought the account back as if nothing had been asked for.
4. What belongs to the account goes, then its owner from the claim, of which the keyed hash and a day remain, and last
   the account's document.

Nothing is begun before its time by the clock of this service, whatever the caller's clock says.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.model import Claim, Erasure, Leaving, State
from services.accounts.domain.ports import Kept

MAX_DUE = 1000
_TRIES = 5


@dataclass(frozen=True)
class Asked:
    """An erasure that is asked for; `token` is empty unless it was asked for by this very call."""

    erasure: Erasure
    token: str = ""


class Erasures:
    """Asks, undoes, begins, and does what an erasure does to the account itself."""

    def __init__(self, kept: Kept, terms: AccountTerms, clock: Clock) -> None:
        """Work on what is kept."""
        self._kept = kept
        self._terms = terms
        self._clock = clock

    async def request(self, account_id: str) -> Asked:
        """Have the account erased when its grace is over; asked again, it answers with what was asked first.

        Raises: NotFoundError("account_not_found"), ConflictError("account_changed").
        """
        for _ in range(_TRIES):
            leaving = await self._living(account_id)
            if leaving.erasure is not None:
                return Asked(leaving.erasure)
            grace = self._terms.rule("erasure_grace_seconds", leaving.standing)
            try:
                return await self._ask(leaving, grace)
            except ConflictError:
                continue
        raise ConflictError("account_changed")

    async def cancel(self, account_id: str) -> None:
        """Undo. Idempotent, also where nothing was asked for.

        Raises: ConflictError("erasure_begun" | "account_changed"), NotFoundError("account_not_found").
        """
        for _ in range(_TRIES):
            leaving = await self._get(account_id)
            if leaving.begun:
                raise ConflictError("erasure_begun")
            if leaving.erasure is None:
                return
            try:
                await self._kept.erasures.ask(leaving, None)
            except ConflictError:
                continue
            return
        raise ConflictError("account_changed")

    async def due(self, until: int, limit: int) -> list[Leaving]:
        """Return at most `limit` (1 to 1,000) accounts whose grace is over at `until`, begun or not, oldest first.

        `until` may lie ahead, for whoever wants to know what is coming; `begin` guards the time.
        Raises: InvalidError("limit").
        """
        if not 1 <= limit <= MAX_DUE:
            raise InvalidError("limit")
        return await self._kept.erasures.due(until, limit)

    async def begin(self, account_id: str) -> None:
        """Begin an erasure that is due; from now on there is no undo, no session and no mail for it. Idempotent.

        Raises: ConflictError("erasure_not_due" | "account_changed"), NotFoundError("account_not_found").
        """
        for _ in range(_TRIES):
            leaving = await self._get(account_id)
            if not leaving.begun and (leaving.erasure is None or leaving.erasure.due > self._now()):
                raise ConflictError("erasure_not_due")
            if await self._begin(leaving):
                return
        raise ConflictError("account_changed")

    async def at_once(self, account_id: str) -> str:
        """Erase without grace, as staff may; return the token that finds the receipt, empty if the owner has it.

        Idempotent; of an account that is gone, nothing is left to do. Raises: ConflictError("account_changed").
        """
        token = ""
        for _ in range(_TRIES):
            leaving = await self._kept.erasures.get(account_id)
            if leaving is None:
                return token
            now = self._now()
            try:
                if leaving.erasure is None:
                    token = (await self._ask(leaving, 0)).token
                elif not leaving.begun and leaving.erasure.due > now:
                    asked = leaving.erasure
                    await self._kept.erasures.ask(leaving, Erasure(asked.asked_at, now, asked.receipt))
                await self.begin(account_id)
            except ConflictError:
                continue
            return token
        raise ConflictError("account_changed")

    async def erase_keys(self, account_id: str) -> int:
        """Leave nothing of an account that can be read; return how many keys were destroyed. Idempotent.

        Raises: ConflictError("account_changed").
        """
        for _ in range(_TRIES):
            leaving = await self._kept.erasures.get(account_id)
            if leaving is None or leaving.keyless:
                return 0
            if not await self._begin(leaving) or not leaving.begun:
                continue
            try:
                return await self._kept.erasures.destroy(leaving)
            except (ConflictError, NotFoundError):
                continue
        raise ConflictError("account_changed")

    async def forget_owner(self, account_id: str) -> int:
        """Take the account out of the claim on its address; return how many claims it was in. Idempotent.

        Raises: ConflictError("account_changed").
        """
        leaving = await self._kept.erasures.get(account_id)
        claim = await self._claim(leaving) if leaving else None
        return int(claim is not None and await self._kept.claims.forget_owner(claim))

    async def delete(self, account_id: str) -> bool:
        """Delete what is left of the account's document; tell whether anything was.

        Raises: UnavailableError("announcements_wait") while what it announces, a change of roles, is not
        published: with the document it would be lost.
        """
        if await self._kept.erasures.announcing(account_id):
            raise UnavailableError("announcements_wait")
        return await self._kept.erasures.delete(account_id)

    async def keyless(self) -> int:
        """Return how many accounts are left of which nothing can be read, at most 1,000."""
        return await self._kept.erasures.keyless()

    async def claim_of(self, account_id: str) -> Claim | None:
        """Return the claim of an account on its address."""
        leaving = await self._kept.erasures.get(account_id)
        return await self._claim(leaving) if leaving else None

    async def _ask(self, leaving: Leaving, grace: int) -> Asked:
        token, now = secrets.token_urlsafe(32), self._now()
        erasure = Erasure(now, now + grace, hashlib.sha256(token.encode()).digest())
        await self._kept.erasures.ask(leaving, erasure)
        return Asked(erasure, token)

    async def _begin(self, leaving: Leaving) -> bool:
        """Mark the account and close the claim on its address; False if either was changed at the same moment."""
        try:
            if not leaving.begun:
                await self._kept.erasures.begin(leaving)
            claim = await self._claim(leaving)
            if claim is not None and claim.state is State.ACTIVE:
                release_due = self._now() + self._terms.rule("closed_address_seconds", leaving.standing)
                await self._kept.claims.close(claim, release_due, leaving.roles)
        except ConflictError:
            return False
        return True

    async def _claim(self, leaving: Leaving) -> Claim | None:
        claim = (await self._kept.claims.get_many([leaving.address_key])).get(leaving.address_key)
        return claim if claim is not None and claim.account_id == leaving.account_id else None

    async def _living(self, account_id: str) -> Leaving:
        leaving = await self._get(account_id)
        if leaving.begun:
            raise NotFoundError("account_not_found")
        return leaving

    async def _get(self, account_id: str) -> Leaving:
        leaving = await self._kept.erasures.get(account_id)
        if leaving is None:
            raise NotFoundError("account_not_found")
        return leaving

    def _now(self) -> int:
        return unix_seconds(self._clock)
