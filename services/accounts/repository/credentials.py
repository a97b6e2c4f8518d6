"""API keys and app passwords, by the keyed hash of their secret; numbered by slots for each account."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import blob, choice, delete_quietly, number, text, texts
from libs.docstore.store import Collection, Document, Index, Insert, Query, Store, Value
from libs.runtime.errors import ConflictError
from services.accounts.domain.credentials import MAX_CREDENTIALS
from services.accounts.domain.model import Credential, CredentialKind

CREDENTIALS = Collection(
    "credentials",
    (Index("account", ("account_id", "slot"), unique=True),),
    fields=("credential_id", "account_id", "kind", "scopes", "prefix", "label", "created_day", "slot"),
)


class CredentialRepository:
    """Implements domain.ports.CredentialsPort."""

    def __init__(self, store: Store) -> None:
        """Keep credentials in `store`."""
        self._store = store

    async def insert(self, credential: Credential) -> None:
        """See CredentialsPort."""
        body: dict[str, Value] = {
            "credential_id": credential.credential_id,
            "account_id": credential.account_id,
            "kind": credential.kind.value,
            "scopes": list(credential.scopes),
            "prefix": credential.prefix,
            "label": credential.label,
            "created_day": credential.created_day,
            "slot": credential.slot,
        }
        try:
            await self._store.write(Insert(CREDENTIALS, credential.key, body))
        except ConflictError as error:
            raise ConflictError("slot_taken") from error

    async def get(self, key: str) -> Credential | None:
        """See CredentialsPort."""
        document = await self._store.get(CREDENTIALS, key)
        return _decode(document) if document else None

    async def of_account(self, account_id: str) -> list[Credential]:
        """See CredentialsPort."""
        found = await self._store.find(Query(CREDENTIALS, "account", (account_id,), limit=MAX_CREDENTIALS))
        return [_decode(document) for document in found]

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See CredentialsPort."""
        await delete_quietly(self._store, CREDENTIALS, keys)


def _decode(document: Document) -> Credential:
    body = document.body
    return Credential(
        key=document.key,
        credential_id=text(body, "credential_id"),
        account_id=text(body, "account_id"),
        kind=choice(CredentialKind, text(body, "kind")),
        scopes=texts(body, "scopes"),
        prefix=text(body, "prefix"),
        label=blob(body, "label"),
        created_day=number(body, "created_day"),
        slot=number(body, "slot"),
    )
