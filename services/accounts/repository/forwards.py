"""Addresses that copies are forwarded to, by the hash of their token; numbered by slots for each account."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import blob, choice, delete_quietly, number, text
from libs.docstore.store import Collection, Document, Index, Insert, Patch, Query, Store, Value
from libs.runtime.errors import ConflictError
from services.accounts.domain.model import Forward, ForwardState

# `confirm_until` is there only until somebody has answered.
FORWARDS = Collection(
    "forwards",
    (Index("account", ("account_id", "slot"), unique=True), Index("confirm_until", ("confirm_until",))),
    fields=("forward_id", "account_id", "slot", "state", "address", "created_day", "confirm_until"),
)
_ALL = 10


class ForwardRepository:
    """Implements domain.ports.ForwardsPort."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    async def insert(self, forward: Forward) -> None:
        """See ForwardsPort."""
        body: dict[str, Value] = {
            "forward_id": forward.forward_id,
            "account_id": forward.account_id,
            "slot": forward.slot,
            "state": forward.state.value,
            "address": forward.address,
            "created_day": forward.created_day,
            "confirm_until": forward.confirm_until,
        }
        try:
            await self._store.write(Insert(FORWARDS, forward.key, body))
        except ConflictError as error:
            raise ConflictError("slot_taken") from error

    async def get(self, key: str) -> Forward | None:
        """See ForwardsPort."""
        document = await self._store.get(FORWARDS, key)
        return _decode(document) if document else None

    async def of_account(self, account_id: str) -> list[Forward]:
        """See ForwardsPort."""
        found = await self._store.find(Query(FORWARDS, "account", (account_id,), limit=_ALL))
        return [_decode(document) for document in found]

    async def put_state(self, forward: Forward, state: ForwardState) -> None:
        """See ForwardsPort."""
        fields: dict[str, Value] = {"state": state.value, "confirm_until": None}
        await self._store.write(Patch(FORWARDS, forward.key, fields, forward.version))

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See ForwardsPort."""
        await delete_quietly(self._store, FORWARDS, keys)

    async def sweep(self, now: int, limit: int) -> int:
        """See ForwardsPort."""
        return await self._store.delete_range(FORWARDS, "confirm_until", (), now, limit)


def _decode(document: Document) -> Forward:
    body = document.body
    return Forward(
        key=document.key,
        forward_id=text(body, "forward_id"),
        account_id=text(body, "account_id"),
        slot=number(body, "slot"),
        state=choice(ForwardState, text(body, "state")),
        address=blob(body, "address"),
        created_day=number(body, "created_day"),
        confirm_until=number(body, "confirm_until", 0),
        version=document.version,
    )
