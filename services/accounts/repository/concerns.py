"""Concerns by id; numbered by slots for each account while they are not closed."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import blob, choice, delete_quietly, number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store, Value
from libs.runtime.errors import ConflictError, InternalError
from services.accounts.domain.rights_ports import About, Concern, ConcernState

# `slot` is there only until it is closed, `due` only from then on.
CONCERNS = Collection(
    "concerns",
    (
        Index("slot", ("account_id", "slot"), unique=True),
        Index("account", ("account_id", "changed_at")),
        Index("state", ("state", "changed_at")),
        Index("due", ("due",)),
    ),
    fields=("account_id", "about", "state", "opened_at", "changed_at", "entries", "slot", "due"),
)
_ALL = 100


class ConcernRepository:
    """Implements domain.rights_ports.ConcernsPort."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    async def insert(self, concern: Concern) -> None:
        """See ConcernsPort."""
        try:
            await self._store.write(Insert(CONCERNS, concern.concern_id, _encode(concern)))
        except ConflictError as error:
            raise ConflictError("slot_taken") from error

    async def get(self, concern_id: str) -> Concern | None:
        """See ConcernsPort."""
        document = await self._store.get(CONCERNS, concern_id)
        return decode_concern(document) if document else None

    async def put(self, concern: Concern) -> Concern:
        """See ConcernsPort."""
        await self._store.write(Replace(CONCERNS, concern.concern_id, _encode(concern), concern.version))
        return concern

    async def of_account(self, account_id: str, limit: int) -> list[Concern]:
        """See ConcernsPort."""
        query = Query(CONCERNS, "account", (account_id,), descending=True, limit=limit)
        return [decode_concern(document) for document in await self._store.find(query)]

    async def slots(self, account_id: str) -> set[int]:
        """See ConcernsPort."""
        found = await self._store.find(Query(CONCERNS, "slot", (account_id,), limit=_ALL))
        return {number(document.body, "slot") for document in found}

    async def in_state(self, state: ConcernState, limit: int, *, oldest: bool) -> list[Concern]:
        """See ConcernsPort."""
        query = Query(CONCERNS, "state", (state.value,), descending=not oldest, limit=limit)
        return [decode_concern(document) for document in await self._store.find(query)]

    async def delete_many(self, concern_ids: Sequence[str]) -> None:
        """See ConcernsPort."""
        await delete_quietly(self._store, CONCERNS, concern_ids)


def decode_concern(document: Document) -> Concern:
    """Return the concern of a document. Raises: InternalError("document_damaged")."""
    body = document.body
    return Concern(
        concern_id=document.key,
        account_id=text(body, "account_id"),
        about=choice(About, text(body, "about")),
        state=choice(ConcernState, text(body, "state")),
        opened_at=number(body, "opened_at"),
        changed_at=number(body, "changed_at"),
        entries=_entries(body),
        slot=number(body, "slot") if body.get("slot") is not None else None,
        due=number(body, "due", 0),
        version=document.version,
    )


def _entries(body: Body) -> tuple[bytes, ...]:
    value = body.get("entries")
    if not isinstance(value, list):
        raise InternalError("document_damaged")
    return tuple(blob({"entry": entry}, "entry") for entry in value)


def _encode(concern: Concern) -> dict[str, Value]:
    return {
        "account_id": concern.account_id,
        "about": concern.about.value,
        "state": concern.state.value,
        "opened_at": concern.opened_at,
        "changed_at": concern.changed_at,
        "entries": list(concern.entries),
        "slot": concern.slot,
        "due": concern.due or None,
    }
