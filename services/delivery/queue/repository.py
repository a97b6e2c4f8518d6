"""The queue in the store.

A mail belongs to the claim whose name stands in its document. To claim it is to write that name and to move `due` to
the end of a lease, by a patch that names the version read; everything later names the version left by that. So of two
that want it one fails, and who comes back after its lease ran out and somebody else took the mail cannot change it any
more. A cancellation may write into a mail that is held: whoever holds it then finds its own name still there, and goes
on from the new version. After a crash nothing has to be put right: the lease runs out, and the mail is due.

Everything written here passes the store's group commit; what settles is gathered once more, so that the keys to be
destroyed of many mails stand in one document. That document is written before the trails: a key is destroyed only once
its mail is seen to be settled, so one that stands there too early does no harm, and none is forgotten. What is told of
mails when they end goes the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from libs.docstore.order import write_in_turn
from libs.docstore.store import Body, Document, Event, Insert, Patch, Query, Replace, Store, Value, Written
from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from libs.runtime.randomness import random_bytes
from services.delivery.queue.codec import MailCodec, open_pieces
from services.delivery.queue.collections import CONTENTS, LOST, MAILS, QUEUED
from services.delivery.queue.entry import Entry
from services.delivery.queue.keys import KeyRing
from services.delivery.queue.shredder import Shredder, UsedKey, new_shred

_PIECES_AT_ONCE = 8
_ORPHAN_SECONDS = 3600
_TRIES = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Settled:
    entry: Entry
    body: Body
    beside: Sequence[Insert]


@dataclass(frozen=True, slots=True)
class _Left:
    """What settling a mail came to."""

    beside: Sequence[Written | Exception]


class QueueRepository:
    """Keeps mails until they are settled, and their trails after."""

    def __init__(self, store: Store, codec: MailCodec, keys: KeyRing, shredder: Shredder, clock: Clock) -> None:
        """Keep in `store`, opened with COLLECTIONS."""
        self._store = store
        self.codec = codec
        self._keys = keys
        self._shredder = shredder
        self._clock = clock
        self._settling: Batcher[_Settled, _Left] = Batcher(
            self._settle_many,
            max_items=250,
            max_weight=250,
            weigh=lambda _: 1,
            max_delay=0.0,
            concurrency=1,
            max_queued=20_000,
        )

    async def close(self) -> None:
        """Finish what is under way."""
        await self._settling.close()

    async def insert(
        self, entry: Entry, pieces: Sequence[bytes], due: int, until: int, event: Event | None = None
    ) -> None:
        """Write a new mail, its pieces first. Raises: ConflictError("exists"), SealpostError."""
        now = unix_seconds(self._clock)
        if pieces:
            for number, piece in enumerate(pieces):
                body: dict[str, Value] = {
                    "mail": entry.mail.mail_id,
                    "data": piece,
                    "check": now + _ORPHAN_SECONDS,
                }
                await self._store.write(Insert(CONTENTS, f"{entry.key_id}/{number}", body))
            entry.pieces = len(pieces)
        body = self.codec.new(entry, due, until)
        events = () if event is None else (event,)
        written = await self._store.write(Insert(MAILS, entry.mail.mail_id, body, events))
        entry.mail.version = written.version
        entry.leased_until = due

    async def get(self, mail_id: str) -> Document | None:
        """Return the document of a mail. Raises: UnavailableError."""
        return await self._store.get(MAILS, mail_id)

    async def open(self, document: Document) -> Entry:
        """Return what a document holds, content only where it is inside. Raises: SealpostError."""
        if document.body.get("state") != QUEUED:
            return self.codec.open_trail(document)
        return self.codec.open(document, await self._keys.get(str(document.body.get("key_id"))))

    async def load(self, entry: Entry) -> bytes:
        """Return the content of a mail. Raises: SealpostError."""
        if entry.content is not None:
            return entry.content
        keys = [f"{entry.key_id}/{number}" for number in range(entry.pieces)]
        pieces: list[bytes] = []
        for start in range(0, len(keys), _PIECES_AT_ONCE):
            found = await self._store.get_many(CONTENTS, keys[start : start + _PIECES_AT_ONCE])
            for key in keys[start : start + _PIECES_AT_ONCE]:
                data = found[key].body.get("data") if key in found else None
                if not isinstance(data, bytes):
                    raise InternalError("document_damaged")
                pieces.append(data)
        return open_pieces(entry.mail.mail_id, entry.key, pieces)

    async def due(self, now: int, limit: int) -> list[Document]:
        """Return mails that are due, longest due first."""
        return await self._store.find(Query(MAILS, "due", (QUEUED,), upper=now, limit=limit))

    async def put_off_to(self, destination: bytes, limit: int) -> list[Document]:
        """Return mails that were put off because of a destination, longest due first."""
        return await self._store.find(Query(MAILS, "waiting", (destination,), limit=limit))

    async def of_campaign(self, campaign: bytes, after: tuple[bytes, str] | None, limit: int) -> list[Document]:
        """Return mails of a campaign that are in the queue, in the order of their keys."""
        return await self._store.find(Query(MAILS, "campaign", (campaign,), after=after, limit=limit))

    async def claim(self, documents: Sequence[Document], until: Mapping[str, int]) -> list[Document]:
        """Take mails until those times; return those that are ours now, as they are now. Raises: UnavailableError."""
        patches = []
        for one in documents:
            claims = one.body.get("claims")
            fields: dict[str, Value] = {
                "due": until[one.key],
                "wait": None,
                "holder": new_holder(),
                "claims": (claims if isinstance(claims, int) else 0) + 1,
            }
            patches.append(Patch(MAILS, one.key, fields, one.version))
        results = await self._store.write_many(patches)
        return [
            Document(one.key, {**one.body, **patch.fields}, result.version)
            for one, patch, result in zip(documents, patches, results, strict=True)
            if isinstance(result, Written)
        ]

    async def put_off(self, documents: Sequence[Document], due: Sequence[int], destination: bytes) -> None:
        """Have mails that nobody holds wait for a destination; who took one meanwhile keeps it."""
        await self._store.write_many(
            [
                Patch(MAILS, one.key, {"due": at, "wait": destination}, one.version)
                for one, at in zip(documents, due, strict=True)
            ]
        )

    async def release(self, entries: Sequence[Entry], due: Sequence[int], destination: bytes | None) -> None:
        """Give back mails that we hold, nothing changed; those that we have lost are left alone."""
        patches = []
        for entry, at in zip(entries, due, strict=True):
            entry.lost = True
            fields: dict[str, Value] = {"due": at, "wait": destination, "holder": "", "claims": 0}
            patches.append(Patch(MAILS, entry.mail.mail_id, fields, entry.mail.version))
        await self._store.write_many(patches)

    async def put_back(self, document: Document, due: int) -> None:
        """Give back a mail that was claimed and could not be opened; the number of claims stays."""
        await self._change(document, {"due": due, "holder": ""})

    async def bury(self, document: Document, expires: int) -> None:
        """Take a mail out of the queue that nobody can open any more."""
        await self._change(document, {"state": LOST, "due": None, "holder": "", "campaign": None, "expires": expires})

    async def _change(self, document: Document, fields: dict[str, Value]) -> None:
        (result,) = await self._store.write_many([Patch(MAILS, document.key, fields, document.version)])
        if isinstance(result, Exception) and not isinstance(result, ConflictError | NotFoundError):
            raise result

    async def cancel(self, document: Document) -> bool:
        """Note that what is not sent of a mail is cancelled; tell whether it is noted. Raises: UnavailableError.

        The mail is not found by its campaign any more, and is due at once where nobody holds it.
        """
        fields: dict[str, Value] = {"cancel": True, "campaign": None}
        if not document.body.get("holder"):
            fields |= {"due": 0, "wait": None}
        try:
            await self._store.write(Patch(MAILS, document.key, fields, document.version))
        except (ConflictError, NotFoundError):
            return False
        return True

    async def renew(self, entries: Sequence[Entry], until: int) -> None:
        """Hold mails for longer; those that somebody else has taken are `lost`. Raises: UnavailableError."""
        held = [entry for entry in entries if not entry.lock.locked() and not entry.lost]
        for entry in held:
            # Free, so this does not wait.
            await entry.lock.acquire()
        try:
            results = await self._store.write_many(
                [Patch(MAILS, one.mail.mail_id, {"due": until}, one.mail.version) for one in held]
            )
            for entry, result in zip(held, results, strict=True):
                if isinstance(result, Written):
                    entry.mail.version, entry.leased_until = result.version, until
                elif isinstance(result, ConflictError | NotFoundError):
                    # Found again, it is renewed next time.
                    await self._find_again(entry)
        finally:
            for entry in held:
                entry.lock.release()

    async def check(self, entry: Entry) -> bool:
        """Tell whether a mail is still ours, and learn whether it was cancelled. Raises: UnavailableError."""
        async with entry.lock:
            return await self._find_again(entry)

    async def keep(self, entry: Entry, due: int, *, hold: bool = False) -> None:
        """Write how it stands with a mail that stays in the queue, and give it back until `due`, or hold it until then.

        Raises: ConflictError where it is not ours any more; SealpostError.
        """
        async with entry.lock:

            async def patch() -> Written:
                # What was cancelled meanwhile is to be looked at again at once.
                at = due if hold or not entry.cancelled else 0
                fields = self.codec.progress(entry, at) | ({} if hold else {"holder": ""})
                return await self._store.write(Patch(MAILS, entry.mail.mail_id, fields, entry.mail.version))

            written = await self._write(entry, patch)
            entry.mail.version, entry.leased_until = written.version, due

    async def settle(self, entry: Entry, expires: int, beside: Sequence[Insert] = ()) -> Sequence[Written | Exception]:
        """Leave the trail of a mail alone; its key is destroyed soon.

        `beside` is written in the same commit, or before; return the results of that. Raises: as `keep`.
        """
        async with entry.lock:
            settled = _Settled(entry, self.codec.trail(entry, expires), beside)
            return (await self._write(entry, lambda: self._settling.submit(settled))).beside

    async def change_trail(self, entry: Entry, document: Document) -> None:
        """Write a trail that was opened and changed. Raises: ConflictError where somebody else changed it."""
        expires = document.body.get("expires")
        body = self.codec.trail(entry, expires if isinstance(expires, int) else 0)
        await self._store.write(Replace(MAILS, document.key, body, document.version))

    async def _write(self, entry: Entry, write: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_TRIES):
            try:
                return await write()
            except ConflictError:
                if not await self._find_again(entry):
                    raise
            except NotFoundError:
                entry.lost = True
                raise
        raise ConflictError("version")

    async def _find_again(self, entry: Entry) -> bool:
        document = await self.get(entry.mail.mail_id)
        if document is None or document.body.get("state") != QUEUED or document.body.get("holder") != entry.holder:
            entry.lost = True
            return False
        entry.mail.version, entry.cancelled = document.version, bool(document.body.get("cancel"))
        return True

    async def _settle_many(self, batch: Sequence[_Settled]) -> Sequence[_Left | Exception]:
        used = [UsedKey(one.entry.mail.mail_id, one.entry.key_id, one.entry.pieces) for one in batch]
        shred = new_shred(used, unix_seconds(self._clock))
        trails = [Replace(MAILS, one.entry.mail.mail_id, one.body, one.entry.mail.version) for one in batch]
        before = [shred, *(insert for one in batch for insert in one.beside)]
        (noted, *told), results = await write_in_turn(self._store, before, trails)
        if isinstance(noted, Written):
            certain = [key for key, result in zip(used, results, strict=True) if isinstance(result, Written)]
            self._shredder.note(shred.key, certain, complete=len(certain) == len(used))
        answers = iter(told)
        beside = [[next(answers) for _ in one.beside] for one in batch]
        return [
            result if isinstance(result, Exception) else _Left(those)
            for result, those in zip(results, beside, strict=True)
        ]


def new_holder() -> str:
    """Return a name for a claim."""
    return random_bytes(8).hex()
