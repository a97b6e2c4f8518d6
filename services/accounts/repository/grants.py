"""Who holds which role: the key is role and slot, so a slot is given away once."""

from __future__ import annotations

from libs.docstore.fields import choice, delete_quietly, number, text
from libs.docstore.store import Collection, Document, Index, Insert, Query, Store
from libs.runtime.errors import ConflictError
from services.accounts.domain.model import Grant, Role

GRANTS = Collection(
    "grants",
    (Index("role", ("role", "slot")),),
    fields=("role", "slot", "account_id", "address_key", "granted_day"),
)


class GrantRepository:
    """Implements domain.ports.GrantsPort."""

    def __init__(self, store: Store) -> None:
        """Keep grants in `store`."""
        self._store = store

    async def insert(self, grant: Grant) -> None:
        """See GrantsPort."""
        body = {
            "role": grant.role.value,
            "slot": grant.slot,
            "account_id": grant.account_id,
            "address_key": grant.address_key,
            "granted_day": grant.granted_day,
        }
        try:
            await self._store.write(Insert(GRANTS, _key(grant), body))
        except ConflictError as error:
            raise ConflictError("slot_taken") from error

    async def of_role(self, role: Role, limit: int) -> list[Grant]:
        """See GrantsPort."""
        found = await self._store.find(Query(GRANTS, "role", (role.value,), limit=limit))
        return [_decode(document) for document in found]

    async def delete(self, grant: Grant) -> None:
        """See GrantsPort."""
        await delete_quietly(self._store, GRANTS, [_key(grant)])


def _key(grant: Grant) -> str:
    return f"{grant.role.value}/{grant.slot}"


def _decode(document: Document) -> Grant:
    body = document.body
    return Grant(
        role=choice(Role, text(body, "role")),
        slot=number(body, "slot"),
        account_id=text(body, "account_id"),
        address_key=text(body, "address_key"),
        granted_day=number(body, "granted_day", 0),
    )
