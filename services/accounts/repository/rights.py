"""Consents and contact addresses, by the id of their account."""

from __future__ import annotations

from libs.docstore.fields import blob, number
from libs.docstore.store import Body, Collection, Delete, Index, Insert, Patch, Replace, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.rights_ports import Consent, Consents, ConsentTo

_ACCOUNT = (Index("account", ("account_id",)),)
CONSENTS = Collection(
    "consents",
    _ACCOUNT,
    small=True,
    fields=("account_id", "newsletter", "newsletter_changed", "contact", "contact_changed"),
)
CONTACTS = Collection("contacts", _ACCOUNT, fields=("account_id", "address"))


class ConsentRepository:
    """Implements domain.rights_ports.ConsentsPort."""

    def __init__(self, store: Store) -> None:
        """Keep consents in `store`."""
        self._store = store

    async def get(self, account_id: str) -> Consents:
        """See ConsentsPort."""
        document = await self._store.get(CONSENTS, account_id)
        if document is None:
            return Consents()
        return Consents({to: _consent(document.body, to) for to in ConsentTo}, document.version)

    async def put(self, account_id: str, consents: Consents) -> None:
        """See ConsentsPort."""
        body: dict[str, Value] = {"account_id": account_id}
        for to in ConsentTo:
            body |= {to.value: consents.to(to).given, f"{to.value}_changed": consents.to(to).at}
        version = consents.version
        write = Replace(CONSENTS, account_id, body, version) if version else Insert(CONSENTS, account_id, body)
        try:
            await self._store.write(write)
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("rights_changed") from error

    async def delete(self, account_id: str) -> bool:
        """See ConsentsPort."""
        return await _deleted(self._store, CONSENTS, account_id)


class ContactRepository:
    """Implements domain.rights_ports.ContactsPort."""

    def __init__(self, store: Store) -> None:
        """Keep contact addresses in `store`."""
        self._store = store

    async def get(self, account_id: str) -> bytes | None:
        """See ContactsPort."""
        document = await self._store.get(CONTACTS, account_id)
        return blob(document.body, "address") if document else None

    async def put(self, account_id: str, sealed: bytes) -> None:
        """See ContactsPort."""
        fields: dict[str, Value] = {"account_id": account_id, "address": sealed}
        try:
            await self._store.write(Patch(CONTACTS, account_id, fields))
            return
        except NotFoundError:
            pass
        try:
            await self._store.write(Insert(CONTACTS, account_id, fields))
        except ConflictError:
            # Somebody else gave the first one at the same moment; the later write counts.
            await self._store.write(Patch(CONTACTS, account_id, fields))

    async def delete(self, account_id: str) -> bool:
        """See ContactsPort."""
        return await _deleted(self._store, CONTACTS, account_id)


def _consent(body: Body, to: ConsentTo) -> Consent:
    return Consent(body.get(to.value) is True, number(body, f"{to.value}_changed", 0))


async def _deleted(store: Store, collection: Collection, key: str) -> bool:
    try:
        await store.write(Delete(collection, key))
    except NotFoundError:
        return False
    return True
