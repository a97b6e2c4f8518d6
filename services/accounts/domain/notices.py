"""Notices: which version of the policy each account was told of, what its owner answered, and whose terms hold.

Retention announces a version, tells every account that it affects by mail, and notes here that it has (policy E9).
Each account remembers the latest version that it was told of and since when, in its own document; two indexes on that,
by profile, answer who is still to be told and who was told too late without looking at anybody else.

Whoever signs up while a version is announced is told by signing up. He was never promised anything else for longer,
so his notice does not put the version off: only those who were told of it as a change (`told_at`) are waited for.

Answers. Until a version takes effect nothing happens whatever the answer is. From then on
- silence and "accepted" mean the version in force,
- "refused" means the version that held for the account when it refused, until the day that the notice named.
A refusal that has taken effect outlives the notice of the next version (`held`): silence about the next does not end
what was promised to who refused the last; only accepting the next one does, once it takes effect, or refusing it, which
keeps the same version until the later of both days. An answer to a version that was overtaken before it took effect is
void. `terms_in_force` is the one place where this is decided.

The numbers of a version (told, refused) are counters beside it, added after the accounts were written: a crash in
between leaves them too low, which decides nothing. Whether all were told is never taken from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.policy.terms import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from libs.runtime.ids import is_id
from services.accounts.domain.model import Account, Answer, Profile, Standing, State
from services.accounts.domain.ports import Kept
from services.accounts.domain.rights_ports import Announcement, KeptRights, Tally, Told

MAX_MARKED = 1000
_TRIES = 5


@dataclass(frozen=True)
class Marking:
    """A version, whom it affects, when they were told, from when it holds and until when old terms do: Unix seconds."""

    version: int
    at: int
    effective: int
    old_until: int
    profiles: tuple[Profile, ...] = ()


@dataclass(frozen=True)
class NoticeState:
    """How far the notices of a version are."""

    complete: bool
    noticed: int
    refused: int


def terms_in_force(standing: Standing, active: int, now: int) -> int:
    """Return the version whose terms hold for an account, where `active` is in force for everybody else."""
    if standing.noticed <= active:
        if standing.answer is Answer.ACCEPTED:
            return active
        if standing.answer is Answer.REFUSED:
            return _kept(standing.kept, standing.old_until, active, now)
    return _kept(standing.held, standing.held_until, active, now)


def told_of(standing: Standing, marking: Marking, active: int) -> Standing:
    """Return the standing after the owner was told of a version; the first time counts, and no date moves nearer."""
    if standing.noticed > marking.version:
        return standing
    if standing.noticed == marking.version:
        effective, old_until = (
            max(standing.effective, marking.effective),
            max(standing.old_until, marking.old_until),
        )
        return replace(standing, effective=effective, old_until=old_until)
    held, held_until = standing.held, standing.held_until
    if standing.noticed <= active and standing.answer is not Answer.NONE:
        refused = standing.answer is Answer.REFUSED
        held, held_until = (standing.kept, standing.old_until) if refused else (0, 0)
    return Standing(
        noticed=marking.version,
        noticed_at=marking.at,
        told_at=marking.at,
        effective=marking.effective,
        old_until=marking.old_until,
        held=held,
        held_until=held_until,
    )


def answered(standing: Standing, accept: bool, active: int, now: int) -> Standing:
    """Return the standing after an answer to the version that the owner was told of last.

    Raises: ConflictError("policy_version") if it has taken effect, unless a refusal is taken back.
    """
    if standing.noticed <= active and not (accept and standing.answer is Answer.REFUSED):
        raise ConflictError("policy_version")
    if accept:
        return replace(standing, answer=Answer.ACCEPTED, kept=0)
    if standing.answer is Answer.REFUSED:
        return standing
    kept = terms_in_force(standing, active, now)
    # Who has kept terms until a later day already keeps them that long.
    until = max(standing.old_until, standing.held_until if kept == standing.held else 0)
    return replace(standing, answer=Answer.REFUSED, kept=kept, old_until=until)


class Notices:
    """Tells who is to be told, notes that he was, and takes answers."""

    def __init__(self, kept: Kept, rights: KeptRights, terms: Terms, clock: Clock) -> None:
        """`terms` know the version in force."""
        self._kept = kept
        self._notices = rights.notices
        self._terms = terms
        self._clock = clock

    def terms_of(self, account: Account) -> int:
        """Return the version whose terms hold for an account now."""
        return terms_in_force(account.standing, self._terms.active, unix_seconds(self._clock))

    async def at_sign_up(self, profile: Profile) -> Standing:
        """Return the standing of an account that is being made: it knows what is in force and what is announced."""
        now = unix_seconds(self._clock)
        active = self._terms.active
        announced = await self._notices.announced(profile)
        if announced is None or announced.version <= active:
            return Standing(noticed=active, noticed_at=now)
        return Standing(
            noticed=announced.version, noticed_at=now, effective=announced.effective, old_until=announced.old_until
        )

    async def shown(self, account: Account) -> Standing | None:
        """Return the standing if there is something to show: a version to come, or one refused while old terms last."""
        standing = account.standing
        if standing.noticed > self._terms.active:
            announced = await self._notices.announced(account.profile)
            return standing if announced is not None and announced.version == standing.noticed else None
        refused = standing.answer is Answer.REFUSED and unix_seconds(self._clock) < standing.old_until
        return standing if refused else None

    async def waiting(self, account: Account) -> int:
        """Return the version that waits for an answer, 0 = none."""
        if account.standing.answer is not Answer.NONE:
            return 0
        shown = await self.shown(account)
        return shown.noticed if shown else 0

    async def answer(self, account_id: str, version: int, accept: bool) -> Account:
        """Note an answer; return the account as it is now. Idempotent.

        Raises: ConflictError("policy_version" | "account_changed"), NotFoundError("account_not_found").
        """
        for _ in range(_TRIES):
            account = await self._kept.accounts.get(account_id)
            if account is None:
                raise NotFoundError("account_not_found")
            before = account.standing
            if before.noticed == version and before.answer is (Answer.ACCEPTED if accept else Answer.REFUSED):
                return account
            if before.noticed != version or await self.shown(account) is None:
                raise ConflictError("policy_version")
            after = answered(before, accept, self._terms.active, unix_seconds(self._clock))
            if after.answer is Answer.REFUSED:
                await self._flag(account)
            if not await self._notices.put_many([Told(account_id, account.profile, after, account.version)]):
                await self._count(account.profile, before, after)
                return replace(account, standing=after, version=account.version + 1)
        raise ConflictError("account_changed")

    async def unnoticed(self, version: int, profiles: Sequence[Profile], limit: int) -> list[str]:
        """Return at most `limit` (1 to 1,000) accounts that were not told of `version` or a later one."""
        if not 1 <= limit <= MAX_MARKED:
            raise InvalidError("limit")
        found: list[str] = []
        for profile in dict.fromkeys(profiles):
            if len(found) < limit:
                found += await self._notices.behind(profile, _version(version), limit - len(found))
        return found

    async def mark(self, marking: Marking, account_ids: Sequence[str]) -> None:
        """Note that accounts were told of a version; who was told before keeps that time, who is gone is left out.

        Accounts of the profiles named, and of those of the accounts, that are made from now on know it from the start.
        Raises: InvalidError("version" | "limit" | "account_id").
        """
        _version(marking.version)
        if len(account_ids) > MAX_MARKED or not all(is_id(account_id) for account_id in account_ids):
            raise InvalidError("limit" if len(account_ids) > MAX_MARKED else "account_id")
        for profile in dict.fromkeys(marking.profiles):
            await self._announce(profile, marking)
        left = list(dict.fromkeys(account_ids))
        for _ in range(_TRIES):
            if not left:
                return
            left = await self._mark_once(marking, left)
        if left:
            raise ConflictError("account_changed")

    async def withdraw(self, version: int, profiles: Sequence[Profile]) -> None:
        """Ask nobody about a version any more that will not come. Idempotent."""
        for profile in dict.fromkeys(profiles):
            await self._notices.withdraw(profile, _version(version))

    async def state(self, version: int, profiles: Sequence[Profile], before: int) -> NoticeState:
        """Tell whether every account of `profiles` was told of `version` at `before` (Unix seconds) or earlier.

        Without profiles: of those to whom the version is announced.
        """
        complete, noticed, refused = True, 0, 0
        for profile in dict.fromkeys(profiles or await self._announced_to(_version(version))):
            late = await self._notices.behind(profile, _version(version), 1)
            complete = complete and not late and not await self._notices.told_after(profile, before)
            tally = await self._notices.tally(profile, version)
            noticed, refused = noticed + tally.noticed, refused + tally.refused
        return NoticeState(complete, noticed, refused)

    async def _mark_once(self, marking: Marking, account_ids: Sequence[str]) -> list[str]:
        """Mark what can be marked; return the accounts that somebody else changed at the same moment."""
        found = await self._notices.get_many(account_ids)
        for profile in {one.profile for one in found.values()} - set(marking.profiles):
            await self._announce(profile, marking)
        changed = [
            replace(one, standing=standing)
            for one in found.values()
            if (standing := told_of(one.standing, marking, self._terms.active)) != one.standing
        ]
        failed = set(await self._notices.put_many(changed)) if changed else set()
        written = [one for one in changed if one.account_id not in failed]
        for profile in {one.profile for one in written}:
            new = [
                one
                for one in written
                if one.profile is profile and found[one.account_id].standing.noticed < marking.version
            ]
            if new:
                await self._notices.add(profile, marking.version, Tally(noticed=len(new)))
        return sorted(failed)

    async def _announced_to(self, version: int) -> list[Profile]:
        found = [await self._notices.announced(profile) for profile in Profile]
        return [one.profile for one in found if one is not None and one.version == version]

    async def _announce(self, profile: Profile, marking: Marking) -> None:
        if marking.version > self._terms.active:
            await self._notices.announce(Announcement(profile, marking.version, marking.effective, marking.old_until))

    async def _count(self, profile: Profile, before: Standing, after: Standing) -> None:
        change = (after.answer is Answer.REFUSED) - (before.answer is Answer.REFUSED)
        if change:
            await self._notices.add(profile, after.noticed, Tally(refused=change))

    async def _flag(self, account: Account) -> None:
        """Have the claim say that other terms may hold, before they do; it never says the contrary again."""
        for _ in range(_TRIES):
            claim = (await self._kept.claims.get_many([account.address_key])).get(account.address_key)
            if claim is None or claim.state is not State.ACTIVE or claim.account_id != account.account_id:
                return
            if claim.keeps_terms:
                return
            try:
                await self._kept.claims.keep_terms(claim)
            except ConflictError:
                continue
            return
        raise ConflictError("account_changed")


def _kept(version: int, until: int, active: int, now: int) -> int:
    return version if version and version < active and now < until else active


def _version(version: int) -> int:
    if version < 1:
        raise InvalidError("version")
    return version
