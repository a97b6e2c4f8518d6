"""Accounts on their way out, on the documents and an index of the accounts.

What is left of an account without keys: its mailbox, the key of its address and its roles, which tell what else is to
go, and what was asked for. Replacing the document is one write: there is no state in which half of its keys are gone.
"""

from __future__ import annotations

from libs.docstore.fields import choice, number, text, texts
from libs.docstore.store import Body, Delete, Document, Patch, Query, Replace, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.model import Erasure, Leaving, Profile, Role
from services.accounts.repository.accounts import ACCOUNTS, ERASURE_FIELDS, decode_erasure
from services.accounts.repository.standings import decode_standing

_BEGUN, _KEYLESS = 1, 2
_LEFT = ("mailbox_id", "profile", "address_key", "roles", *ERASURE_FIELDS)
_KEYS = ("data_key", "wrapped_private_key", "recovery")
_MOST = 1000


class ErasureRepository:
    """Implements domain.ports.ErasuresPort."""

    def __init__(self, store: Store) -> None:
        """Work on the accounts in `store`."""
        self._store = store

    async def get(self, account_id: str) -> Leaving | None:
        """See ErasuresPort."""
        document = await self._store.get(ACCOUNTS, account_id)
        return _decode(document) if document else None

    async def ask(self, leaving: Leaving, erasure: Erasure | None) -> None:
        """See ErasuresPort."""
        fields: dict[str, Value] = {
            "erase_asked": erasure.asked_at if erasure else None,
            "erase_due": erasure.due if erasure else None,
            "erase_receipt": erasure.receipt if erasure else None,
        }
        await self._change(Patch(ACCOUNTS, leaving.account_id, fields, leaving.version))

    async def due(self, until: int, limit: int) -> list[Leaving]:
        """See ErasuresPort."""
        return [_decode(one) for one in await self._store.find(Query(ACCOUNTS, "erase_due", upper=until, limit=limit))]

    async def begin(self, leaving: Leaving) -> None:
        """See ErasuresPort."""
        # Nobody waits for its address, or for its owner's notice, any more.
        fields: dict[str, Value] = {"erasing": _BEGUN, "claim_due": None, "noticed": None, "told_at": None}
        await self._change(Patch(ACCOUNTS, leaving.account_id, fields, leaving.version))

    async def destroy(self, leaving: Leaving) -> int:
        """See ErasuresPort."""
        document = await self._store.get(ACCOUNTS, leaving.account_id)
        if document is None:
            raise NotFoundError("account_not_found")
        body: Body = {name: document.body[name] for name in _LEFT if document.body.get(name) is not None}
        left = {**body, "erasing": _KEYLESS}
        await self._change(Replace(ACCOUNTS, leaving.account_id, left, leaving.version))
        return sum(document.body.get(name) is not None for name in _KEYS)

    async def keyless(self) -> int:
        """See ErasuresPort."""
        return len(await self._store.find(Query(ACCOUNTS, "erasing", (_KEYLESS,), limit=_MOST)))

    async def announcing(self, account_id: str) -> bool:
        """See ErasuresPort."""
        waiting = await self._store.pending_events(_MOST)
        return any(one.collection == ACCOUNTS and one.key == account_id for one in waiting)

    async def delete(self, account_id: str) -> bool:
        """See ErasuresPort."""
        try:
            await self._store.write(Delete(ACCOUNTS, account_id))
        except NotFoundError:
            return False
        return True

    async def _change(self, write: Patch | Replace) -> None:
        try:
            await self._store.write(write)
        except NotFoundError as error:
            raise NotFoundError("account_not_found") from error
        except ConflictError as error:
            raise ConflictError("account_changed") from error


def _decode(document: Document) -> Leaving:
    body = document.body
    state = number(body, "erasing", 0)
    return Leaving(
        account_id=document.key,
        mailbox_id=text(body, "mailbox_id"),
        profile=choice(Profile, text(body, "profile")),
        address_key=text(body, "address_key"),
        roles=tuple(choice(Role, role) for role in texts(body, "roles")),
        standing=decode_standing(body),
        erasure=decode_erasure(body),
        begun=state >= _BEGUN,
        keyless=state == _KEYLESS,
        version=document.version,
    )
