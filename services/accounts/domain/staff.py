"""Who holds a role, who gives it, and how staff have an account erased.

The command line does all of this. Over RPC, operators see who holds a role, and give and take the role `statistics`
alone: whoever takes the gateway over makes no operator.

A role is written in two places: a grant, numbered by a slot, and the account, where each request finds it. Grants are
keyed by role and slot, so that two people who give the last slot away at the same moment cannot both succeed: a maximum
of holders (policy E3: statistics are seen by a very limited number of employees) is exact. Granting writes the grant
first and revoking removes it last, so a crash in between leaves a slot too many in use, never a holder too many;
doing it again completes it. Each change is announced with the write of the account's document (role.changed.v1).

Closing an account is an erasure without grace and goes the same road as any other (domain.erasures).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, NotFoundError
from services.accounts.domain.account_terms import AccountTerms
from services.accounts.domain.addresses import parse_address
from services.accounts.domain.erasures import Erasures
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Claim, Grant, Role, State
from services.accounts.domain.ports import Kept
from services.accounts.domain.vault import address_key

_SWEEP = 1000
_DAY = 86400
_TRIES = 3


@dataclass(frozen=True)
class StaffTools:
    """How many may hold a role, by the policy, and the one road that leads out."""

    terms: AccountTerms
    erasures: Erasures


# For the roles without a promised maximum: far above any staff, and a bound all the same.
_HOLDERS = 100


class Staff:
    """What an operator does at the command line, to accounts named by their address."""

    def __init__(self, tools: StaffTools, keys: Keys, kept: Kept, clock: Clock) -> None:
        """Work on what is kept."""
        self._terms = tools.terms
        self._erasures = tools.erasures
        self._keys = keys
        self._kept = kept
        self._clock = clock

    async def grant(self, text: str, role: Role) -> None:
        """Give a role to the account of this address. Idempotent; effective with the next request.

        Raises: NotFoundError("account_not_found"), ExhaustedError("too_many_holders"), InvalidError("address_invalid"),
        ConflictError("account_changed").
        """
        account = await self._account(text)
        await self._take_slot(account, role)
        try:
            await self._change_roles(account.account_id, add=role)
        except NotFoundError:
            # Its erasure began meanwhile.
            await self._free_slots(account.account_id, role)
            raise

    async def revoke_from(self, account_id: str, role: Role) -> None:
        """Take a role from this account, which may be closed. Idempotent; effective with the next request.

        Raises: ConflictError("account_changed").
        """
        if await self._kept.accounts.get(account_id) is not None:
            await self._change_roles(account_id, remove=role)
        await self._free_slots(account_id, role)

    async def revoke(self, text: str, role: Role) -> None:
        """Take a role from the account of this address. Idempotent; effective with the next request.

        Raises: as `grant`.
        """
        account = await self._account(text)
        await self._change_roles(account.account_id, remove=role)
        await self._free_slots(account.account_id, role)

    async def holders(self) -> list[tuple[Role, Grant, str]]:
        """Return every grant with the address of its holder, empty where the account is gone."""
        return [(role, grant, address) for role in Role for grant, address in await self.holders_of(role)]

    async def holders_of(self, role: Role) -> list[tuple[Grant, str]]:
        """Return the grants of one role, each with the address of its holder, empty where the account is gone."""
        rows = []
        for grant in await self._kept.grants.of_role(role, _SWEEP):
            account = await self._kept.accounts.get(grant.account_id)
            rows.append((grant, self._keys.vault.identity(account).address if account else ""))
        return rows

    def most(self, role: Role) -> int:
        """Return how many may hold a role."""
        return self._terms.rule("statistics_holders") if role is Role.STATISTICS else _HOLDERS

    async def close_account(self, text: str) -> str:
        """Erase the account of this address without grace; return the token that finds the receipt.

        Nobody can sign in any more and no mail comes in when this returns; retention has everything erased within
        minutes. Idempotent; the token is empty where the erasure was asked for before.

        Raises: NotFoundError("account_not_found"), InvalidError("address_invalid"), ConflictError("account_changed").
        """
        claim = await self._claim(text)
        return await self._erasures.at_once(claim.account_id) if claim.account_id else ""

    async def release_roles(self, account_id: str) -> int:
        """Delete the grants of an account that is erased; return how many there were."""
        return sum([await self._free_slots(account_id, role) for role in Role])

    async def _take_slot(self, account: Account, role: Role) -> None:
        maximum, today = self.most(role), unix_seconds(self._clock) // _DAY
        for _ in range(_TRIES):
            grants = await self._kept.grants.of_role(role, _SWEEP)
            if any(grant.account_id == account.account_id for grant in grants):
                return
            taken = {grant.slot for grant in grants}
            free = next((slot for slot in range(maximum) if slot not in taken), None)
            # Counted as well: after the maximum was lowered, holders may sit in slots above it.
            if free is None or len(grants) >= maximum:
                raise ExhaustedError("too_many_holders")
            try:
                await self._kept.grants.insert(Grant(role, free, account.account_id, account.address_key, today))
            except ConflictError:
                continue
            return
        raise ConflictError("account_changed")

    async def _free_slots(self, account_id: str, role: Role) -> int:
        found = [one for one in await self._kept.grants.of_role(role, _SWEEP) if one.account_id == account_id]
        for grant in found:
            await self._kept.grants.delete(grant)
        return len(found)

    async def _change_roles(self, account_id: str, *, add: Role | None = None, remove: Role | None = None) -> None:
        for _ in range(_TRIES):
            account = await self._kept.accounts.get(account_id)
            if account is None:
                raise NotFoundError("account_not_found")
            roles = tuple(role for role in Role if role is add or (role in account.roles and role is not remove))
            if roles == account.roles:
                return
            try:
                await self._kept.accounts.set_roles(account, roles)
            except ConflictError:
                continue
            return
        raise ConflictError("account_changed")

    async def _account(self, text: str) -> Account:
        claim = await self._claim(text)
        account = await self._kept.accounts.get(claim.account_id) if claim.state is State.ACTIVE else None
        if account is None:
            raise NotFoundError("account_not_found")
        return account

    async def _claim(self, text: str) -> Claim:
        key = address_key(self._keys.hashes, parse_address(text).base)
        claim = (await self._kept.claims.get_many([key])).get(key)
        if claim is None:
            raise NotFoundError("account_not_found")
        return claim
