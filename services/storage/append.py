"""Append: batches of deliveries, each all or none, each message once, on a store that commits single documents.

All deliveries of a batch go through the same few steps together, each step one commit for all of them; a delivery that
fails drops out and leaves the others alone.

    1. reserve    counters of the mailboxes, quota as ceiling (usage.py)
    2. bodies     only those too large for the message document (bodies.py)
    3. insert     one recipient: the message with its event - visible, announced and durable in one commit, done
                  several: every copy *staged*, that is without the field that lists hold and without event
    4. commit     several: one marker document named by the delivery id. Inserting it is the one moment that decides:
                  after it every copy will be seen, before it none can be
    5. reveal     several: each copy gets its place in the lists and its event, then the marker is finished

A success is told once step 3 (one recipient) or 4 (several) is durable; whether step 5 ends is no longer a question of
if but of when, for recovery.py completes it. Staged copies without a marker are swept after 15 minutes, and sweeping
them begins by inserting the same marker as *aborted*: whoever inserts it first, the delivery or the sweep, has decided.

Idempotent by message id: the key of the document is the id, so a second insert, also one at the same moment, fails with
"exists" and counts as success. A retry of a delivery finds its own staged copies (they carry the delivery id) and goes
on from there; a finished marker, kept for a day, tells a retry that all is done, even if copies were deleted since.

A reservation belongs to the document that was inserted with it. Whoever reserved and did not insert gives back; where
it is not certain whether the insert happened, the mailbox is noted for a recount instead: a quota may be held too
strictly for a while, never too loosely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from libs.docstore.store import Body, Store, Written
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import new_message_id
from libs.telemetry.logs import get_logger
from services.storage import deliveries
from services.storage.bodies import INLINE_BYTES, Bodies, NewBody
from services.storage.domain import INBOX, SYSTEM_FOLDERS, Delivery, NewMessage
from services.storage.erased import ErasedMailboxes
from services.storage.folders import Folders
from services.storage.limits import limited
from services.storage.repository import (
    DELIVERIES,
    MESSAGES,
    insert_shown,
    insert_staged,
    new_fields,
    read_all,
    reveal,
)
from services.storage.usage import Claim, Tally, Usage, weight
from services.storage.work import Copy, Held, Work, admit, copies_of, still_open, turn

_log = get_logger("append")


class Appender:
    """Stores deliveries."""

    def __init__(self, store: Store, usage: Usage, bodies: Bodies, folders: Folders, erased: ErasedMailboxes) -> None:
        """Store into `store`; whoever wants to hear of what is stored sets `stored`."""
        self._store = store
        self._usage = usage
        self._bodies = bodies
        self._folders = folders
        self._erased = erased
        self._clock = usage.clock
        self.stored: Callable[[Sequence[NewMessage]], None] | None = None

    async def append(self, batch: Sequence[Delivery]) -> list[SealpostError | None]:
        """Store each delivery of `batch` durably or not at all; return None or its error in its place.

        InvalidError, NotFoundError("mailbox") where one is erased, and ExhaustedError("quota_bytes" | "quota_messages")
        will be the same next time; ConflictError means ids that belong to something else; after UnavailableError the
        same delivery may be sent again.
        """
        with self._usage.gate.inside():
            return await self._append([admit(delivery) for delivery in batch])

    async def _append(self, works: list[Work]) -> list[SealpostError | None]:
        try:
            await self._run(works)
            await self._settle(works)
        except BaseException:
            self._usage.suspect(c.message.mailbox_id for c in copies_of(works) if c.held is not Held.NONE)
            raise
        stored = [copy.message for work in works if work.stored for copy in work.copies]
        if stored and self.stored is not None:
            self.stored(stored)
        return [work.error for work in works]

    async def _run(self, works: list[Work]) -> None:
        steps = (self._place, self._reserve, self._write_bodies, self._insert, self._commit)
        try:
            async with limited():
                for step in steps:
                    if left := still_open(works):
                        await step(left)
        except SealpostError as error:
            for work in still_open(works):
                work.error = error

    async def _place(self, works: list[Work]) -> None:
        """Fill in the documents; mail for a folder that is gone goes to the inbox, for an erased mailbox nowhere."""
        erased = await self._erased.among({copy.message.mailbox_id for copy in copies_of(works)})
        own = {c.message.mailbox_id for c in copies_of(works) if c.message.folder not in SYSTEM_FOLDERS}
        known = await self._folders.existing(own)
        for work in works:
            try:
                for copy in work.copies:
                    if copy.message.mailbox_id in erased:
                        raise NotFoundError("mailbox")
                    copy.fields = await self._document(copy, known.get(copy.message.mailbox_id, ()))
            except SealpostError as error:
                work.error = error

    async def _document(self, copy: Copy, own_folders: Iterable[str]) -> Body:
        message = copy.message
        if message.body_staged:
            body_id, size = await self._bodies.find_staged(copy.key)
        else:
            copy.body_id = body_id = new_message_id(self._clock) if len(message.body) > INLINE_BYTES else ""
            size = len(message.body)
        folder = message.folder if message.folder in SYSTEM_FOLDERS or message.folder in own_folders else INBOX
        return new_fields(message, folder, body_id, size)

    async def _reserve(self, works: list[Work]) -> None:
        wanted = [(work, copy) for work in works for copy in work.copies if copy.message.counted]
        claims = [
            Claim(c.message.mailbox_id, weight(c.fields), c.message.quota_bytes, c.message.quota_messages)
            for _, c in wanted
        ]
        if not claims:
            return
        for (work, copy), error in zip(wanted, await self._usage.reserve(claims), strict=True):
            if error is None:
                copy.held = Held.SPARE
            else:
                work.error = work.error or error
        await self._recognise([work for work in works if isinstance(work.error, ExhaustedError)])

    async def _recognise(self, full: list[Work]) -> None:
        """A mailbox that a mail has filled is too full for its repetition, which needs no room."""
        try:
            messages = await read_all(self._store, MESSAGES, [work.keys[0] for work in full if work.single])
            markers = await read_all(self._store, DELIVERIES, [w.delivery.delivery_id for w in full if not w.single])
        except SealpostError as error:
            for work in full:
                work.error = error
            return
        for work in full:
            if work.single:
                work.stored = deliveries.is_settled(messages.get(work.keys[0]))
            else:
                work.stored = deliveries.is_same(markers.get(work.delivery.delivery_id), work.keys)
            work.error = None if work.stored else work.error

    async def _write_bodies(self, works: list[Work]) -> None:
        large = [(work, copy) for work in works for copy in work.copies if copy.body_id]
        bodies = [NewBody(copy.body_id, copy.key, copy.message.body) for _, copy in large]
        for (work, _), error in zip(large, await self._bodies.write(bodies), strict=True):
            work.error = work.error or error

    async def _insert(self, works: list[Work]) -> None:
        settle_at = unix_seconds(self._clock) + deliveries.STAGED_SECONDS
        wanted = [(work, copy) for work in works for copy in work.copies]
        operations = [
            insert_shown(copy.key, copy.fields)
            if work.single
            else insert_staged(copy.key, copy.fields, work.delivery.delivery_id, settle_at)
            for work, copy in wanted
        ]
        turn(wanted, Held.UNSURE)
        try:
            results = await self._store.write_many(operations)
        except SealpostError:
            await self._check_absent([copy for _, copy in wanted])
            raise
        turn(wanted, Held.SPARE)
        present: list[tuple[Work, Copy]] = []
        for (work, copy), result in zip(wanted, results, strict=True):
            if isinstance(result, Written):
                copy.inserted, copy.held = True, Held.NONE
                work.stored = work.single
            elif isinstance(result, ConflictError) and result.reason == "exists":
                present.append((work, copy))
            else:
                work.error = work.error or deliveries.as_error(result)
        await self._meet(present)
        for work, _ in present:
            work.stored = work.single and work.error is None

    async def _check_absent(self, copies: list[Copy]) -> None:
        """A failed commit changes nothing; but where a network is in between, nothing is believed unseen."""
        found = await read_all(self._store, MESSAGES, [copy.key for copy in copies])
        for copy in copies:
            if copy.held is Held.UNSURE and copy.key not in found:
                copy.held = Held.SPARE

    async def _meet(self, present: list[tuple[Work, Copy]]) -> None:
        """Decide about copies whose ids are taken: by an earlier attempt, or by something else?"""
        found = await read_all(self._store, MESSAGES, [copy.key for _, copy in present])
        for work, copy in present:
            try:
                deliveries.check_copy(found.get(copy.key), "" if work.single else work.delivery.delivery_id)
            except SealpostError as error:
                work.error = work.error or error

    async def _commit(self, works: list[Work]) -> None:
        now = unix_seconds(self._clock)
        markers = [deliveries.commit(work.delivery.delivery_id, work.keys, now) for work in works]
        for work, result in zip(works, await self._store.write_many(markers), strict=True):
            if isinstance(result, Written):
                work.stored = True
            elif not (isinstance(result, ConflictError) and result.reason == "exists"):
                work.error = deliveries.as_error(result)
        finished = await self._follow(still_open(works))
        await self._reveal([work for work in works if work.stored and work not in finished])

    async def _follow(self, works: list[Work]) -> list[Work]:
        """Accept what an earlier attempt has decided; return those that need nothing more."""
        markers = await read_all(self._store, DELIVERIES, [work.delivery.delivery_id for work in works])
        finished = []
        for work in works:
            try:
                if deliveries.is_finished(markers.get(work.delivery.delivery_id), work.keys):
                    finished.append(work)
                work.stored = True
            except SealpostError as error:
                work.error = error
        return finished

    async def _reveal(self, works: list[Work]) -> None:
        """Show what is decided. A failure here fails nobody: recovery goes on when the marker is due."""
        if not works:
            return
        try:
            results = iter(await self._store.write_many([reveal(copy.key, copy.fields) for copy in copies_of(works)]))
            done = [work for work in works if all([deliveries.is_revealed(next(results)) for _ in work.copies])]
            now = unix_seconds(self._clock)
            await self._store.write_many([deliveries.finish(work.delivery.delivery_id, now) for work in done])
        except SealpostError as error:
            _log.warning("reveal_postponed", count=len(works), error=error)

    async def _settle(self, works: list[Work]) -> None:
        """Give back what was reserved and is not used, and let go of bodies that no message names."""
        tally = Tally()
        for copy in copies_of(works):
            if copy.held is Held.SPARE:
                tally.add(copy.message.mailbox_id, weight(copy.fields), -1)
            elif copy.held is Held.UNSURE:
                self._usage.suspect([copy.message.mailbox_id])
            copy.held = Held.NONE
        try:
            async with limited():
                await self._usage.apply(tally)
                await self._bodies.release([c.body_id for c in copies_of(works) if c.body_id and not c.inserted])
                await self._bodies.release_staged(_staged_in_vain(works))
        except SealpostError as error:
            _log.warning("settling_postponed", count=len(tally.changes), error=error)


def _staged_in_vain(works: Iterable[Work]) -> list[str]:
    """Return the messages whose staged bodies nobody will come back for: refused for good, or stored before."""
    return [
        copy.key
        for work in works
        for copy in work.copies
        if copy.message.body_staged
        and not copy.inserted
        and (work.stored if work.error is None else not isinstance(work.error, UnavailableError))
    ]
