"""Bodies that are too large for the message document: chunks of 256 KiB, and one record that outlives any crash.

Small bodies lie in the message document: one write for a mail, at the price that a list reads them too. Larger ones are
written first, under a fresh body id, and the message then names that id; two attempts to store the same message never
mix their chunks. Order is everything:

    1. the record (body id, message, `due` in an hour)    so that nothing below can become an orphan
    2. the chunks
    3. the message that names the body id                 the commit

`due` is when the sweep looks at the body next. It keeps the body if its message exists and names it (then `due` becomes
the expiry, or nothing), else it deletes chunks and record. That one rule covers streams that broke off, deliveries
that failed, deletions that were cut off in the middle, and expiry. Deleting a message moves `due` near before the
message goes and to now afterwards, so that a crash in between is swept all the same.

The record of a body that may still be coming cannot be deleted, or its chunks would be orphans. An erasure takes the
message out of it: then no message names the body, whatever comes, and the sweep deletes it when the stream has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from libs.docstore.store import Body, Delete, Document, Insert, Operation, Patch, Query, Store, Written
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import new_message_id
from services.storage.domain import OPERATION_SECONDS, STAGE_SECONDS
from services.storage.repository import BODIES, CHUNKS, MESSAGES, mailbox_of, number, text

CHUNK_BYTES = 256 * 1024
INLINE_BYTES = 32 * 1024
ORPHAN_SECONDS = 3600
_MARGIN_SECONDS = 300
_SWEEP_BODIES = 64
_DELETE_CHUNKS = 16
_LAST_CHUNK = 2**31
_ERASE_BODIES = 32


@dataclass(frozen=True, slots=True)
class NewBody:
    """A body to be written for the message at `message_key`."""

    body_id: str
    message_key: str
    data: bytes


class Bodies:
    """Records and chunks of all larger bodies."""

    def __init__(self, store: Store, clock: Clock, max_bytes: int) -> None:
        """Keep bodies of at most `max_bytes` in `store`."""
        self._store = store
        self._clock = clock
        self._max_bytes = max_bytes
        self._ending: set[asyncio.Future[None]] = set()

    async def write(self, bodies: Sequence[NewBody]) -> list[SealpostError | None]:
        """Write each body durably; return its error in its place."""
        due = unix_seconds(self._clock) + ORPHAN_SECONDS
        outcomes = await self._write_each([[_record(body.body_id, body.message_key, due)] for body in bodies])
        sound = [position for position, error in enumerate(outcomes) if error is None]
        chunked = await self._write_each([_chunks(bodies[position]) for position in sound])
        for position, error in zip(sound, chunked, strict=True):
            outcomes[position] = error
        return outcomes

    async def _write_each(self, groups: Sequence[Sequence[Operation]]) -> list[SealpostError | None]:
        operations = [operation for group in groups for operation in group]
        if not operations:
            return []
        try:
            results = iter(await self._store.write_many(operations))
        except SealpostError as error:
            return [error] * len(groups)
        return [_first_error([next(results) for _ in group]) for group in groups]

    async def stage(self, message_key: str, blocks: AsyncIterator[bytes]) -> int:
        """Write a body as it comes and return its size in bytes; never holds more than a chunk and a block.

        What was written of a body that fails is deleted: at once, or, where the caller is gone in the middle of a
        write, when that write has surely ended.

        Raises: InvalidError("body_too_large" | "body"), whatever `blocks` raises, UnavailableError.
        """
        body_id, size, position = new_message_id(self._clock), 0, 0
        record = _record(body_id, message_key, unix_seconds(self._clock) + ORPHAN_SECONDS)
        await self._store.write(record)
        try:
            async with aclosing(self._rechunked(blocks)) as chunks:
                async for data in chunks:
                    await self._store.write(_chunk(body_id, position, data))
                    size += len(data)
                    position += 1
            if not size:
                raise InvalidError("body")
            due = unix_seconds(self._clock) + ORPHAN_SECONDS
            await self._store.write(Patch(BODIES, body_id, {"ready": True, "size": size, "due": due}))
        except Exception as error:
            await self.release([body_id])
            if isinstance(error, InvalidError) or not isinstance(error, SealpostError):
                # Nothing is under way: it was no write that failed.
                await self._discard(body_id)
            raise
        except asyncio.CancelledError:
            task = asyncio.ensure_future(self._expect_end(body_id))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            raise
        return size

    async def _discard(self, body_id: str) -> None:
        try:
            await self._delete(body_id)
        except SealpostError:
            return  # the sweep looks at it next

    async def _expect_end(self, body_id: str) -> None:
        try:
            await self.expect_release([body_id])
        except SealpostError:
            return  # then it stays until it is due

    async def _rechunked(self, blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        buffer, size = bytearray(), 0
        async for block in blocks:
            size += len(block)
            if len(block) > CHUNK_BYTES or size > self._max_bytes:
                raise InvalidError("body_too_large")
            buffer += block
            while len(buffer) >= CHUNK_BYTES:
                yield bytes(buffer[:CHUNK_BYTES])
                del buffer[:CHUNK_BYTES]
        if buffer:
            yield bytes(buffer)

    async def find_staged(self, message_key: str) -> tuple[str, int]:
        """Return body id and size of what was staged for a message. Raises: InvalidError("body_not_staged").

        A body that the sweep is about to look at is not handed out any more: its message might come too late.
        """
        soonest = unix_seconds(self._clock) + _MARGIN_SECONDS
        for found in await self._store.find(Query(BODIES, "message", (message_key,), limit=100)):
            due = cast("int | None", found.body.get("due"))
            if found.body.get("ready") and (due is None or due > soonest):
                return found.key, number(found.body, "size")
        raise InvalidError("body_not_staged")

    async def release_staged(self, message_keys: Sequence[str]) -> None:
        """Have the sweep look soon at all that was staged for messages and is whole; what a message names stays.

        Another attempt may be about to name one: it has ended by then.
        """
        for key in message_keys:
            found = await self._store.find(Query(BODIES, "message", (key,), limit=100))
            await self.expect_release([one.key for one in found if one.body.get("ready")])

    async def read(self, fields: Body) -> AsyncIterator[bytes]:
        """Yield the body of the message document `fields` in blocks of at most 256 KiB.

        Raises: NotFoundError("message") if it is deleted meanwhile.
        """
        body_id = text(fields, "body_id")
        if not body_id:
            yield cast(bytes, fields["body"])
            return
        for position in range(-(-number(fields, "body_size") // CHUNK_BYTES)):
            chunk = await self._store.get(CHUNKS, f"{body_id}/{position}")
            if chunk is None:
                raise NotFoundError("message")
            yield cast(bytes, chunk.body["data"])

    async def expect_release(self, body_ids: Sequence[str]) -> None:
        """Have the sweep look at bodies whose messages are about to be deleted, even if nothing else happens."""
        if body_ids:
            await self._set_due(body_ids, unix_seconds(self._clock) + 2 * OPERATION_SECONDS)

    async def release(self, body_ids: Sequence[str]) -> None:
        """Have the sweep look at bodies now. Where that fails it looks when they are due anyway."""
        if not body_ids:
            return
        try:
            await self._set_due(body_ids, unix_seconds(self._clock))
        except SealpostError:
            return

    async def _set_due(self, body_ids: Iterable[str], due: int) -> None:
        await self._store.write_many([Patch(BODIES, body_id, {"due": due}) for body_id in body_ids])

    async def sweep(self) -> int:
        """Look at the bodies that are due, a bounded number of them; return how many that were."""
        now = unix_seconds(self._clock)
        due = await self._store.find(Query(BODIES, "due", upper=now, limit=_SWEEP_BODIES))
        messages = await self._store.get_many(MESSAGES, [text(record.body, "message") for record in due])
        for record in due:
            message = messages.get(text(record.body, "message"))
            if message is not None and message.body.get("body_id") == record.key:
                await self._keep(record, message, now)
            else:
                await self._delete(record.key)
        return len(due)

    async def _keep(self, record: Document, message: Document, now: int) -> None:
        due: int | None = None
        if message.body.get("listed") is None:
            due = now + ORPHAN_SECONDS
        elif expires_at := number(message.body, "expires_at"):
            due = max(expires_at, now + 2 * OPERATION_SECONDS)
        try:
            await self._store.write(Patch(BODIES, record.key, {"due": due}, version=record.version))
        except (ConflictError, NotFoundError):
            return  # somebody moved it meanwhile, and its new time holds

    async def erase(self, mailbox_id: str, limit: int) -> int:
        """Delete at most `limit` bodies of a mailbox, whose messages are gone; return how many, 0 when none is left."""
        found = await self._store.find(Query(BODIES, "mailbox", (mailbox_id,), limit=min(limit, _ERASE_BODIES)))
        await asyncio.gather(*[self._erase(record) for record in found])
        return len(found)

    async def _erase(self, record: Document) -> None:
        now = unix_seconds(self._clock)
        if record.body.get("ready") or number(record.body, "due") <= now:
            await self._delete(record.key)
        else:
            await self._delete_chunks(record.key)
            fields: Body = {"message": None, "mailbox": None, "due": now + STAGE_SECONDS + 2 * OPERATION_SECONDS}
            await self._store.write_many([Patch(BODIES, record.key, fields)])

    async def _delete_chunks(self, body_id: str) -> None:
        while await self._store.delete_range(CHUNKS, "body", (body_id,), _LAST_CHUNK, _DELETE_CHUNKS) == _DELETE_CHUNKS:
            pass

    async def _delete(self, body_id: str) -> None:
        await self._delete_chunks(body_id)
        try:
            await self._store.write(Delete(BODIES, body_id))
        except NotFoundError:
            return  # another sweep was faster


def _record(body_id: str, message_key: str, due: int) -> Insert:
    return Insert(BODIES, body_id, {"message": message_key, "mailbox": mailbox_of(message_key), "due": due})


def _chunks(body: NewBody) -> list[Operation]:
    starts = range(0, len(body.data), CHUNK_BYTES)
    return [_chunk(body.body_id, n, body.data[start : start + CHUNK_BYTES]) for n, start in enumerate(starts)]


def _chunk(body_id: str, position: int, data: bytes) -> Insert:
    return Insert(CHUNKS, f"{body_id}/{position}", {"body": body_id, "number": position, "data": data})


def _first_error(results: Sequence[Written | Exception]) -> SealpostError | None:
    for result in results:
        if not isinstance(result, Written):
            return result if isinstance(result, SealpostError) else InternalError("storage_fault")
    return None
