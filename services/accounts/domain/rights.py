"""What an account's owner has agreed to, and where he wants to be reached beside his mailbox.

Everything is off until somebody switches it on (policy E8), and the time of each change is kept with it. A contact
address is kept only while there is one; it is sealed under the account's data key like all that names a person, and
nobody looks anything up by it (policy S5).

A change that races with the erasure of its account would leave something behind: after each write the account is read
again, and what was written goes where the account is gone or on its way. An erasure marks the account before it deletes
anything, so one of both sees the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from services.accounts.domain.addresses import parse_address
from services.accounts.domain.domains import Domains, is_role_address
from services.accounts.domain.keys import Keys
from services.accounts.domain.model import Account, Profile, State
from services.accounts.domain.ports import Kept
from services.accounts.domain.rights_ports import Consent, Consents, ConsentTo, KeptRights
from services.accounts.domain.vault import Place, address_key

_TRIES = 5


@dataclass(frozen=True)
class OwnRights:
    """What the owner sees: his consents and his contact address, empty where there is none."""

    account: Account
    consents: Consents
    contact: str


class OwnersRights:
    """Consents and contact addresses."""

    def __init__(self, keys: Keys, kept: Kept, rights: KeptRights, domains: Domains, clock: Clock) -> None:
        """`domains` are those served here."""
        self._keys = keys
        self._kept = kept
        self._rights = rights
        self._domains = domains
        self._clock = clock

    async def living(self, account_id: str) -> Account:
        """Return an account that is not being erased. Raises: NotFoundError("account_not_found")."""
        account = await self._kept.accounts.get(account_id)
        if account is None:
            raise NotFoundError("account_not_found")
        return account

    async def get(self, account_id: str) -> OwnRights:
        """Return what an owner has agreed to. Raises: NotFoundError("account_not_found")."""
        account = await self.living(account_id)
        return OwnRights(account, await self._rights.consents.get(account_id), await self.contact(account))

    async def contact(self, account: Account) -> str:
        """Return the contact address of an account, empty if there is none."""
        sealed = await self._rights.contacts.get(account.account_id)
        return self._keys.vault.open_text(account, _place(account.account_id), sealed) if sealed else ""

    async def put_consents(self, account_id: str, given: Mapping[ConsentTo, bool]) -> None:
        """Note consents, those that are not named stay; the time changes only where the consent does.

        Raises: NotFoundError("account_not_found"), ConflictError("account_changed").
        """
        await self.living(account_id)
        for _ in range(_TRIES):
            before = await self._rights.consents.get(account_id)
            now = unix_seconds(self._clock)
            changed = {to: Consent(on, now) for to, on in given.items() if before.to(to).given != on}
            if not changed:
                return
            try:
                await self._rights.consents.put(account_id, replace(before, given={**before.given, **changed}))
            except ConflictError:
                continue
            await self._unless_gone(account_id)
            return
        raise ConflictError("account_changed")

    async def put_contact(self, account_id: str, text: str) -> None:
        """Keep a contact address instead of the one that was kept; empty: keep none.

        Raises: InvalidError("contact_address" | "contact_public" | "contact_own"), NotFoundError("account_not_found").
        """
        account = await self.living(account_id)
        if not text:
            await self._rights.contacts.delete(account_id)
            return
        address = self._checked(account, text)
        sealed = self._keys.vault.seal_text(account, _place(account_id), address)
        await self._rights.contacts.put(account_id, sealed)
        await self._unless_gone(account_id)

    async def find(self, text: str) -> Account:
        """Return the account of an address.

        Raises: NotFoundError("account_not_found"), InvalidError("address_invalid").
        """
        key = address_key(self._keys.hashes, parse_address(text).base)
        claim = (await self._kept.claims.get_many([key])).get(key)
        if claim is None or claim.state is not State.ACTIVE:
            raise NotFoundError("account_not_found")
        return await self.living(claim.account_id)

    async def _unless_gone(self, account_id: str) -> None:
        try:
            await self.living(account_id)
        except NotFoundError:
            await self._rights.consents.delete(account_id)
            await self._rights.contacts.delete(account_id)
            raise

    def _checked(self, account: Account, text: str) -> str:
        try:
            address = parse_address(text)
        except InvalidError as error:
            raise InvalidError("contact_address") from error
        local = text.rpartition("@")[0]
        if local.startswith('"') or address.domain.startswith("[") or "." not in address.domain:
            raise InvalidError("contact_address")
        domain = self._domains.find(address.domain)
        if domain is not None:
            if domain.profile is Profile.PUBLIC:
                raise InvalidError("contact_public")
            if is_role_address(address) or address_key(self._keys.hashes, address.base) == account.address_key:
                raise InvalidError("contact_own")
        # Elsewhere the case of a local part may mean something.
        return f"{local}@{address.domain}"


def _place(account_id: str) -> Place:
    return Place("contacts", account_id, "address")
