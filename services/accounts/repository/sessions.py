"""Sessions, by the hash of their token; in the order in which they end if nobody uses them."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import delete_quietly, number, text
from libs.docstore.store import Collection, Document, Index, Insert, Patch, Query, Store, Value
from libs.runtime.errors import NotFoundError
from services.accounts.domain.model import Session

SESSIONS = Collection(
    "sessions",
    (Index("account", ("account_id", "idle_end")), Index("idle_end", ("idle_end",))),
    fields=("session_id", "account_id", "epoch", "created_hour", "last_used_hour", "idle_end", "expires_at"),
)

_ALL = 1000


class SessionRepository:
    """Implements domain.ports.SessionsPort. `idle_end` is never after `expires_at`, so one index finds both ends."""

    def __init__(self, store: Store) -> None:
        """Keep sessions in `store`."""
        self._store = store

    async def insert(self, session: Session) -> None:
        """See SessionsPort."""
        body: dict[str, Value] = {
            "session_id": session.session_id,
            "account_id": session.account_id,
            "epoch": session.epoch,
            "created_hour": session.created_hour,
            "last_used_hour": session.last_used_hour,
            "idle_end": session.idle_end,
            "expires_at": session.expires_at,
        }
        await self._store.write(Insert(SESSIONS, session.key, body))

    async def get(self, key: str) -> Session | None:
        """See SessionsPort."""
        document = await self._store.get(SESSIONS, key)
        return _decode(document) if document else None

    async def touch(self, key: str, idle_end: int, last_used_hour: int) -> bool:
        """See SessionsPort."""
        return await self._patch(Patch(SESSIONS, key, {"idle_end": idle_end, "last_used_hour": last_used_hour}))

    async def move(self, key: str, epoch: int) -> bool:
        """See SessionsPort."""
        return await self._patch(Patch(SESSIONS, key, {"epoch": epoch}))

    async def of_account(self, account_id: str) -> list[Session]:
        """See SessionsPort."""
        found = await self._store.find(Query(SESSIONS, "account", (account_id,), limit=_ALL))
        return [_decode(document) for document in found]

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See SessionsPort."""
        await delete_quietly(self._store, SESSIONS, keys)

    async def _patch(self, patch: Patch) -> bool:
        try:
            await self._store.write(patch)
        except NotFoundError:
            return False
        return True


def _decode(document: Document) -> Session:
    body = document.body
    return Session(
        key=document.key,
        session_id=text(body, "session_id"),
        account_id=text(body, "account_id"),
        epoch=number(body, "epoch"),
        created_hour=number(body, "created_hour"),
        last_used_hour=number(body, "last_used_hour"),
        idle_end=number(body, "idle_end"),
        expires_at=number(body, "expires_at"),
    )
