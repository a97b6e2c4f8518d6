"""The data classes of the account itself and of the claim on its address.

The keys of everything that is sealed for an account stand in its document, so the class `account` destroys them all;
and that document says what else is to go, so it goes last. The claim loses its owner just before.

An unfinished account, whose sign-up never came to claim its address, has a time; any other ends with its erasure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from libs.docstore.store import Query, Store
from libs.owner.classes import AT_MOST, Due, StoredClass, json_item
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from services.accounts.domain.erasures import Erasures
from services.accounts.domain.model import Account, Kdf
from services.accounts.domain.ports import AccountsPort
from services.accounts.domain.registration import Registration
from services.accounts.domain.vault import Vault
from services.accounts.repository.accounts import ACCOUNTS
from services.accounts.repository.claims import ADDRESSES

# One page of the store.
_PAGE = 1000


class AccountClass:
    """Implements HeldClass."""

    name = "account"

    def __init__(
        self, store: Store, registration: Registration, erasures: Erasures, shown: ShownAccounts, accounts: AccountsPort
    ) -> None:
        """Answer for the accounts in `store`."""
        self._store = store
        self._registration = registration
        self._erasures = erasures
        self._shown = shown
        self._accounts = accounts

    async def count(self) -> Count:
        """See HeldClass. What has a time are unfinished accounts."""
        total = await self._store.count(ACCOUNTS, AT_MOST)
        first = await self._store.find(Query(ACCOUNTS, "claim_due", limit=1))
        due = first[0].body["claim_due"] if first else 0
        erasing = await self._erasures.keyless()
        return Count(total, total >= AT_MOST, due if isinstance(due, int) else 0, erasing)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        page = min(limit, _PAGE)
        looked, deleted = await self._registration.sweep(until, page)
        return Swept(deleted, looked == page)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = await self._accounts.get(subject.account_id)
        if account is not None:
            body = self._shown.facts(account) if wanted.disclosure else self._shown.everything(account)
            yield json_item("account.json", body)
            if not wanted.disclosure:
                yield json_item("private-key.json", self._shown.private_key(account))

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass. No mail comes in and nobody signs in any more when this returns."""
        return await self._erasures.erase_keys(subject.account_id)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        return Erased(int(await self._erasures.delete(subject.account_id)))


class ShownAccounts:
    """What of an account is shown: to its owner everything, to a disclosure the facts that the policy allows.

    Verifiers are left out of both: they prove a password to this service and tell nobody anything.
    """

    def __init__(self, vault: Vault, facts: Sequence[str]) -> None:
        """`facts` are policy.yaml's."""
        self._vault = vault
        self._facts = tuple(facts)

    def facts(self, account: Account) -> dict[str, Any]:
        """Return what a disclosure may hold."""
        everything = self.everything(account)
        return {name: everything[name] for name in self._facts}

    def private_key(self, account: Account) -> dict[str, Any]:
        """Return what its owner needs to open his mail elsewhere, beside his password."""
        return {
            "address": self._vault.identity(account).address,
            "fingerprint": self._vault.identity(account).fingerprint,
            "kdf": {"algorithm": "argon2id", **_kdf(account.kdf)},
            "wrapped_private_key": account.wrapped_private_key,
        }

    def everything(self, account: Account) -> dict[str, Any]:
        """Return what its owner gets."""
        identity = self._vault.identity(account)
        recovery, erasure = account.recovery, account.erasure
        return {
            "account_id": account.account_id,
            "mailbox_id": account.mailbox_id,
            "profile": account.profile.value,
            "address": identity.address,
            "created_day": account.created_day,
            "roles": [role.value for role in account.roles],
            "fingerprint": identity.fingerprint,
            "kdf": _kdf(account.kdf),
            "wrapped_private_key": account.wrapped_private_key,
            "recovery": {"wrapped_private_key": recovery.wrapped_private_key} if recovery else None,
            "erasure": {"asked_at": erasure.asked_at, "due": erasure.due} if erasure else None,
        }


class AddressClaimClass(StoredClass):
    """The claim of an account on its address; a closed one names nobody."""

    def __init__(self, store: Store, erasures: Erasures) -> None:
        """Answer for the claims in `store`."""
        super().__init__("address_claim", store, (ADDRESSES,), due={ADDRESSES.name: Due("release_due")})
        self._erasures = erasures

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        claim = None if wanted.disclosure else await self._erasures.claim_of(subject.account_id)
        if claim is not None:
            body = {"address_key": claim.address_key, "state": claim.state.value, "forwards": claim.forwards}
            yield json_item("address-claim.json", body)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        return Erased(await self._erasures.forget_owner(subject.account_id))


def _kdf(kdf: Kdf) -> dict[str, Any]:
    return {
        "salt": kdf.salt,
        "memory_kib": kdf.memory_kib,
        "iterations": kdf.iterations,
        "parallelism": kdf.parallelism,
    }
