"""The data classes of what belongs to an account: sessions, credentials, roles, addresses that get copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from libs.docstore.store import Collection, Document, Store
from libs.owner.classes import Due, Owned, StoredClass, json_item
from libs.owner.model import Erased, Item, Subject, Wanted
from services.accounts.domain.model import Role
from services.accounts.domain.ports import Kept
from services.accounts.domain.staff import Staff
from services.accounts.domain.vault import Vault
from services.accounts.repository.credentials import CREDENTIALS
from services.accounts.repository.forwards import FORWARDS
from services.accounts.repository.grants import GRANTS
from services.accounts.repository.sessions import SESSIONS

_OWNED = Owned("account", lambda subject: subject.account_id)
_SHOWN_OF_SESSION = ("session_id", "created_hour", "last_used_hour", "idle_end", "expires_at")


def session_class(store: Store) -> StoredClass:
    """Return the class of sessions, which end by themselves."""

    def shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
        return None if wanted.disclosure else {name: document.body.get(name) for name in _SHOWN_OF_SESSION}

    due, owned = {SESSIONS.name: Due("idle_end")}, {SESSIONS.name: _OWNED}
    return StoredClass("session", store, (SESSIONS,), due=due, owned=owned, shown=shown)


class CredentialClass(StoredClass):
    """API keys and app passwords; of the secret there is a keyed hash, which shows nobody anything."""

    def __init__(self, store: Store, kept: Kept, vault: Vault) -> None:
        """Answer for the credentials in `store`."""
        super().__init__("credential", store, (CREDENTIALS,), owned={CREDENTIALS.name: _OWNED})
        self._kept = kept
        self._vault = vault

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = None if wanted.disclosure else await self._kept.accounts.get(subject.account_id)
        if account is None:
            return
        for one in await self._kept.credentials.of_account(subject.account_id):
            body = {
                "credential_id": one.credential_id,
                "kind": one.kind.value,
                "label": self._vault.label(account, one),
                "prefix": one.prefix,
                "scopes": list(one.scopes),
                "created_day": one.created_day,
            }
            yield json_item(f"credential-{one.slot:02d}.json", body)


class ForwardClass(StoredClass):
    """Addresses that get copies; one that nobody confirms has a time."""

    def __init__(self, store: Store, kept: Kept, vault: Vault) -> None:
        """Answer for the addresses in `store`."""
        due, owned = {FORWARDS.name: Due("confirm_until")}, {FORWARDS.name: _OWNED}
        super().__init__("forward", store, (FORWARDS,), due=due, owned=owned)
        self._kept = kept
        self._vault = vault

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        account = None if wanted.disclosure else await self._kept.accounts.get(subject.account_id)
        if account is None:
            return
        for one in await self._kept.forwards.of_account(subject.account_id):
            body = {
                "forward_id": one.forward_id,
                "address": self._vault.forward(account, one),
                "state": one.state.value,
                "created_day": one.created_day,
                "confirm_until": one.confirm_until,
            }
            yield json_item(f"forward-{one.slot:02d}.json", body)


class RoleClass(StoredClass):
    """Who holds which role; few, so an account's are found by looking through each role."""

    def __init__(self, store: Store, kept: Kept, staff: Staff) -> None:
        """Answer for the grants in `store`."""
        super().__init__("role", store, (GRANTS,))
        self._kept = kept
        self._staff = staff

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        for role in () if wanted.disclosure else Role:
            for grant in await self._kept.grants.of_role(role, 1000):
                if grant.account_id == subject.account_id:
                    body = {"role": role.value, "granted_day": grant.granted_day}
                    yield json_item(f"role-{role.value}.json", body)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass. There are at most as many as roles."""
        return Erased(await self._staff.release_roles(subject.account_id))
