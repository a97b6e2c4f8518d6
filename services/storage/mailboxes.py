"""What a reader does with a mailbox: list, get, read, flag, move, delete.

A list is one walk along an index, newest first, and reads exactly the documents it returns (and one more, to know
whether there is another page), however many messages there are. The cursor is a place in the order, not a number, so
mails that come or go between two pages neither repeat nor hide others.

Changes are made at the version that was read and tried again on conflict, for the counters need to know exactly what a
change has changed: seen twice counts once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from libs.docstore.store import Body, Document, Patch, Query, Value, Written
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import is_id
from services.storage.domain import (
    MAX_IDS,
    SYSTEM_FOLDERS,
    Change,
    Folder,
    Mailbox,
    Message,
    Page,
    check_mailbox,
    check_page_size,
    decode_cursor,
    encode_cursor,
    is_folder_id,
)
from services.storage.erased import ErasedMailboxes
from services.storage.folders import Folders
from services.storage.limits import limited
from services.storage.removal import Remover
from services.storage.repository import MESSAGES, is_shown, message_key, number, placed, text, to_message
from services.storage.usage import Tally, folder_weight, weight

_ATTEMPTS = 8
_DAY = 86400
_LAST_DAY = 10**7
_COUNTED = 200
_DERIVED = 1000
"""Messages of a disposable inbox that are looked through where an ordinary one has an index or counters."""


class Mailboxes:
    """Reads and changes stored messages, each time of one mailbox."""

    def __init__(self, remover: Remover, folders: Folders, erased: ErasedMailboxes, clock: Clock) -> None:
        """Work on the store of `remover`, with its counters and bodies."""
        self._store = remover.store
        self._remover = remover
        self._usage = remover.usage
        self._bodies = remover.bodies
        self._folders = folders
        self._erased = erased
        self._clock = clock

    async def held(self, mailbox_id: str, day: int) -> int:
        """Return how many counted messages of a day (since 1970-01-01, UTC) a mailbox holds, by the times in their ids.

        Raises: InvalidError("mailbox_id" | "day").
        """
        check_mailbox(mailbox_id)
        if not 0 <= day < _LAST_DAY:
            raise InvalidError("day")
        lower, upper = f"{day * _DAY:010x}", f"{(day + 1) * _DAY - 1:010x}" + "f" * 22
        held, after = 0, None
        while True:
            query = Query(MESSAGES, "listed", (mailbox_id,), lower=lower, upper=upper, after=after, limit=_COUNTED)
            page = await self._store.find(query)
            held += sum(document.body.get("counted") is True for document in page)
            if len(page) < _COUNTED:
                return held
            after = (text(page[-1].body, "listed"), page[-1].key)

    async def list_messages(self, mailbox_id: str, folder: str, limit: int, cursor: str) -> Page:
        """Return a page of `folder` ("": all), newest first; 1 to 200 messages, 0 asks for 50.

        Raises: InvalidError("mailbox_id" | "folder" | "limit" | "cursor"), NotFoundError("mailbox") if it is erased.
        """
        check_mailbox(mailbox_id)
        if folder and not is_folder_id(folder):
            raise InvalidError("folder")
        size = check_page_size(limit)
        last = decode_cursor(cursor) if cursor else ""
        await self._erased.check(mailbox_id)
        after = (last, message_key(mailbox_id, last)) if last else None
        index, equal = ("in_folder", (mailbox_id, folder)) if folder else ("listed", (mailbox_id,))
        documents = await self._store.find(Query(MESSAGES, index, equal, after=after, descending=True, limit=size + 1))
        if folder and not documents and await self._usage.get(mailbox_id) is None:
            few = Query(MESSAGES, "listed", (mailbox_id,), after=after, descending=True, limit=_DERIVED)
            documents = [one for one in await self._store.find(few) if one.body["folder"] == folder][: size + 1]
        now = unix_seconds(self._clock)
        page = documents[:size]
        more = encode_cursor(text(page[-1].body, "message")) if len(documents) > size else ""
        return Page([to_message(document.body) for document in page if is_shown(document, now)], more)

    async def get(self, mailbox_id: str, message_id: str) -> Message:
        """Return one message. Raises: NotFoundError("message"), also for another mailbox's."""
        return to_message((await self._document(mailbox_id, message_id)).body)

    async def read(self, mailbox_id: str, message_id: str) -> tuple[Message, AsyncIterator[bytes]]:
        """Return one message and its body in blocks of at most 256 KiB. Raises: NotFoundError("message")."""
        document = await self._document(mailbox_id, message_id)
        return to_message(document.body), self._bodies.read(document.body)

    async def _document(self, mailbox_id: str, message_id: str) -> Document:
        check_mailbox(mailbox_id)
        await self._erased.check(mailbox_id)
        key = message_key(mailbox_id, message_id)
        document = await self._store.get(MESSAGES, key) if is_id(message_id) else None
        if document is None or not is_shown(document, unix_seconds(self._clock)):
            raise NotFoundError("message")
        return document

    async def update(self, mailbox_id: str, message_ids: Sequence[str], change: Change) -> list[str]:
        """Set flags and move, at most 200 messages; return the ids that are not in this mailbox.

        Raises: InvalidError("message_ids" | "folder"), NotFoundError("folder"), UnavailableError.
        """
        if change.move_to:
            await self._folders.check(mailbox_id, change.move_to)

        async def attempt(documents: Sequence[Document]) -> set[str]:
            changed = [(document, fields) for document in documents if (fields := _changed(document, change))]
            patches = [Patch(MESSAGES, doc.key, fields, version=doc.version) for doc, fields in changed]
            results = await self._store.write_many(patches) if patches else []
            tally = Tally()
            for (document, fields), result in zip(changed, results, strict=True):
                if isinstance(result, Written) and document.body.get("counted"):
                    tally.add(mailbox_id, folder_weight(document.body), -1)
                    tally.add(mailbox_id, folder_weight({**document.body, **fields}))
                elif not isinstance(result, Written | ConflictError | NotFoundError):
                    raise result
            await self._usage.apply(tally)
            return {
                doc.key for (doc, _), result in zip(changed, results, strict=True) if not isinstance(result, Written)
            }

        return await self._attempts(mailbox_id, message_ids, attempt)

    async def delete(self, mailbox_id: str, message_ids: Sequence[str]) -> list[str]:
        """Delete at most 200 messages for good; return the ids that are not in this mailbox.

        Raises: InvalidError("message_ids"), UnavailableError.
        """

        async def attempt(documents: Sequence[Document]) -> set[str]:
            removed = await self._remover.remove(documents, tombstones=True)
            return {document.key for document in documents} - {document.key for document in removed}

        return await self._attempts(mailbox_id, message_ids, attempt)

    async def _attempts(
        self, mailbox_id: str, message_ids: Sequence[str], attempt: Callable[[Sequence[Document]], Awaitable[set[str]]]
    ) -> list[str]:
        """Read the messages and run `attempt` on them, again for the keys that it returns: they changed meanwhile."""
        check_mailbox(mailbox_id)
        if len(message_ids) > MAX_IDS:
            raise InvalidError("message_ids")
        wanted = {message_key(mailbox_id, one): one for one in message_ids if is_id(one)}
        missing = [one for one in dict.fromkeys(message_ids) if not is_id(one)]
        async with limited():
            with self._usage.gate.inside(), self._usage.suspecting([mailbox_id]):
                await self._erased.check(mailbox_id)
                for _ in range(_ATTEMPTS):
                    found = await self._store.get_many(MESSAGES, list(wanted))
                    now = unix_seconds(self._clock)
                    missing += [one for key, one in wanted.items() if not is_shown(found.get(key), now)]
                    again = await attempt([document for document in found.values() if is_shown(document, now)])
                    if not again:
                        return missing
                    wanted = {key: one for key, one in wanted.items() if key in again}
        raise UnavailableError("contention")

    async def describe(self, mailbox_id: str) -> Mailbox:
        """Return what the mailbox holds and its folders; an unknown mailbox is empty, an erased one NotFoundError."""
        check_mailbox(mailbox_id)
        await self._erased.check(mailbox_id)
        counters = await self._usage.get(mailbox_id)
        counters = await (self._derive(mailbox_id) if counters is None else self._less_expired(mailbox_id, counters))
        names = await self._folders.names(mailbox_id)
        folders = [(folder, b"") for folder in SYSTEM_FOLDERS] + list(names.items())
        return Mailbox(
            number(counters, "bytes"),
            number(counters, "messages"),
            [Folder(f, name, number(counters, f"m_{f}"), number(counters, f"u_{f}")) for f, name in folders],
        )

    async def _derive(self, mailbox_id: str) -> Body:
        """Count what is not counted: inboxes that keep a few messages only (NewMessage.counted)."""
        tally, now = Tally(), unix_seconds(self._clock)
        for document in await self._store.find(Query(MESSAGES, "listed", (mailbox_id,), limit=_DERIVED)):
            if is_shown(document, now):
                tally.add(mailbox_id, weight(document.body))
        return tally.changes.get(mailbox_id, {})

    async def _less_expired(self, mailbox_id: str, counters: Body) -> Body:
        """Take off what has expired and waits for the sweep; of more than a sweep takes at once, the first of it."""
        query = Query(MESSAGES, "expiring", (mailbox_id,), upper=unix_seconds(self._clock), limit=_DERIVED)
        left = dict(counters)
        for document in await self._store.find(query):
            for name, value in weight(document.body).items():
                left[name] = max(0, number(left, name) - value)
        return left


def _changed(document: Document, change: Change) -> dict[str, Value]:
    """Return the fields that `change` changes."""
    flags = (number(document.body, "flags") | change.add) & ~change.remove
    wanted = {"flags": flags, **placed(document.body, change.move_to or text(document.body, "folder"))}
    return {name: value for name, value in wanted.items() if document.body[name] != value}
