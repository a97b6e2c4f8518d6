"""Folders of their owner: one document for each mailbox, changed by compare-and-set.

All of them together are at most 200 KiB and change rarely, so one document keeps the limit exact without counting.

Deleting a folder takes its name away first, so that nothing new is moved into it, then moves what it holds to the inbox
in bounded pieces. What is left over - a large folder, a crash, a mail that was under way into it - is moved by `sweep`,
which comes when whatever was under way at the deletion has ended, and forgets the folder when it finds it empty.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from libs.docstore.store import Delete, Document, Insert, Patch, Query, Replace, Store, Value, Written
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.storage.domain import (
    INBOX,
    MAX_FOLDERS,
    OPERATION_SECONDS,
    SYSTEM_FOLDERS,
    check_folder_name,
    check_mailbox,
    is_folder_id,
)
from services.storage.erased import ErasedMailboxes
from services.storage.limits import limited
from services.storage.repository import FOLDERS, MESSAGES, mapping, placed, read_all
from services.storage.usage import Tally, Usage, folder_weight

CLOSING_SECONDS = 4 * OPERATION_SECONDS
_ATTEMPTS = 8
_PIECE = 200
_PIECES = 10
_SWEEP = 20


class Folders:
    """The folders that owners made."""

    def __init__(self, store: Store, usage: Usage, erased: ErasedMailboxes, clock: Clock) -> None:
        """Keep them in `store`."""
        self._store = store
        self._erased = erased
        self._usage = usage
        self._clock = clock

    async def names(self, mailbox_id: str) -> Mapping[str, bytes]:
        """Return the sealed name of each folder of a mailbox by its id, in order of making."""
        return _names(await self._store.get(FOLDERS, mailbox_id))

    async def existing(self, mailbox_ids: Collection[str]) -> dict[str, Collection[str]]:
        """Return the ids of the folders of several mailboxes."""
        found = await read_all(self._store, FOLDERS, list(mailbox_ids))
        return {mailbox_id: _names(document).keys() for mailbox_id, document in found.items()}

    async def check(self, mailbox_id: str, folder_id: str) -> None:
        """Raise unless messages may be moved to the folder: InvalidError("folder"), NotFoundError("folder")."""
        check_mailbox(mailbox_id)
        if not is_folder_id(folder_id):
            raise InvalidError("folder")
        if folder_id not in SYSTEM_FOLDERS and folder_id not in await self.names(mailbox_id):
            raise NotFoundError("folder")

    async def put(self, mailbox_id: str, folder_id: str, sealed_name: bytes) -> str:
        """Make a folder ("": a new one) or rename it; return its id.

        Raises: InvalidError("sealed_name" | "folder_reserved"), NotFoundError("folder"), ExhaustedError("folders"),
        NotFoundError("mailbox") if it is erased.
        """
        check_mailbox(mailbox_id)
        check_folder_name(sealed_name)
        if folder_id in SYSTEM_FOLDERS:
            raise InvalidError("folder_reserved")
        with self._usage.gate.inside():
            async with limited():
                await self._erased.check(mailbox_id)
                return await self._put(mailbox_id, folder_id, sealed_name)

    async def _put(self, mailbox_id: str, folder_id: str, sealed_name: bytes) -> str:
        chosen = folder_id or new_id()
        for _ in range(_ATTEMPTS):
            document = await self._store.get(FOLDERS, mailbox_id)
            names = _names(document)
            if folder_id and folder_id not in names:
                raise NotFoundError("folder")
            if not folder_id and len(names) >= MAX_FOLDERS:
                raise ExhaustedError("folders")
            if await self._save(mailbox_id, document, {"names": {**names, chosen: sealed_name}}):
                return chosen
        raise UnavailableError("contention")

    async def delete(self, mailbox_id: str, folder_id: str) -> int:
        """Delete a folder and move what it holds to the inbox; return how many messages moved before the answer.

        Raises: InvalidError("folder_reserved"), NotFoundError("folder").
        """
        check_mailbox(mailbox_id)
        if folder_id in SYSTEM_FOLDERS:
            raise InvalidError("folder_reserved")
        with self._usage.gate.inside():
            async with limited():
                await self._erased.check(mailbox_id)
                await self._close(mailbox_id, folder_id)
                return await self._empty(mailbox_id, folder_id)

    async def _close(self, mailbox_id: str, folder_id: str) -> None:
        for _ in range(_ATTEMPTS):
            document = await self._store.get(FOLDERS, mailbox_id)
            names = dict(_names(document))
            if document is None or names.pop(folder_id, None) is None:
                raise NotFoundError("folder")
            now = unix_seconds(self._clock)
            closing: list[Value] = [*_closing(document), folder_id]
            fields: dict[str, Value] = {"names": {**names}, "closing": closing, "work_at": now + CLOSING_SECONDS}
            if await self._save(mailbox_id, document, fields):
                return
        raise UnavailableError("contention")

    async def _save(self, mailbox_id: str, document: Document | None, fields: Mapping[str, Value]) -> bool:
        """Write unless somebody else did meanwhile."""
        try:
            if document is None:
                await self._store.write(Insert(FOLDERS, mailbox_id, fields))
            else:
                body = {**document.body, **fields}
                await self._store.write(Replace(FOLDERS, mailbox_id, body, document.version))
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _empty(self, mailbox_id: str, folder_id: str) -> int:
        """Move a bounded number of messages to the inbox; return how many."""
        moved = 0
        for _ in range(_PIECES):
            page = await self._store.find(Query(MESSAGES, "in_folder", (mailbox_id, folder_id), limit=_PIECE))
            if not page:
                break
            with self._usage.suspecting([mailbox_id]):
                patches = [Patch(MESSAGES, doc.key, placed(doc.body, INBOX), version=doc.version) for doc in page]
                tally = Tally()
                for document, result in zip(page, await self._store.write_many(patches), strict=True):
                    moved += isinstance(result, Written)
                    if isinstance(result, Written) and document.body.get("counted"):
                        tally.add(mailbox_id, folder_weight(document.body), -1)
                        tally.add(mailbox_id, folder_weight({**document.body, "folder": INBOX}))
                await self._usage.apply(tally)
        return moved

    async def sweep(self) -> int:
        """Go on with a bounded number of deleted folders; return how many mailboxes had some."""
        due = await self._store.find(Query(FOLDERS, "work_at", upper=unix_seconds(self._clock), limit=_SWEEP))
        for document in due:
            with self._usage.gate.inside():
                await self._go_on(document)
        return len(due)

    async def _go_on(self, document: Document) -> None:
        closing: list[Value] = [one for one in _closing(document) if await self._empty(document.key, one)]
        if closing or _names(document):
            work_at = unix_seconds(self._clock) if closing else None
            await self._save(document.key, document, {"closing": closing, "work_at": work_at})
        else:
            await self._forget(document)
        # A recount leaves out the counters of folders that are gone.
        self._usage.suspect([document.key])

    async def _forget(self, document: Document) -> None:
        try:
            await self._store.write(Delete(FOLDERS, document.key, document.version))
        except SealpostError as error:
            if not isinstance(error, ConflictError | NotFoundError):
                raise


def _closing(document: Document) -> list[str]:
    return cast("list[str]", document.body.get("closing") or [])


def _names(document: Document | None) -> Mapping[str, bytes]:
    return cast("Mapping[str, bytes]", mapping(document.body, "names")) if document is not None else {}
