"""The embedded engine: one SQLite file, one writer with group commit, reads beside it.

Every write of every caller goes through one writer, which turns whatever has gathered into one transaction and one
fsync (WAL, `synchronous=FULL`); the fsync, and whatever else may take long, in a thread of its own. Reads run on
connections of their own and see what is committed, hence also everything that was acknowledged before they began.
`secure_delete` overwrites what is deleted; `compact` sees to where it can still lie: the write-ahead log, and gaps in
pages (libs.docstore.sqlite_scrub).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

from libs.docstore.changes import prepare
from libs.docstore.group_commit import Bounds, Engine, GroupCommitter
from libs.docstore.opening import Opening
from libs.docstore.pacing import Pacing
from libs.docstore.sqlite_jobs import Answer, ClearJob, DeleteJob, EmptyLogJob, Job, ScrubJob, ShrinkJob, WriteJob
from libs.docstore.sqlite_query import among_index, delete_statements, find_statement
from libs.docstore.sqlite_reads import Readers
from libs.docstore.sqlite_schema import create_file, migrate, table_name
from libs.docstore.sqlite_writer import Writer, waiting
from libs.docstore.store import (
    Collection,
    Document,
    Event,
    IndexValue,
    Operation,
    PendingEvent,
    Query,
    Written,
)
from libs.docstore.values import MAX_RESULTS, check_collections, decode_body
from libs.runtime.errors import InternalError, SealpostError, UnavailableError

_DELETE_PIECES = (100, 16, MAX_RESULTS)
_SHRINK_PIECES = (100, 8, 2000)
_SCRUB_PIECES = (256, 64, 4000)
"""Documents deleted, pages given back, pages scrubbed at once: at first, at least, at most (libs.docstore.pacing)."""
_PIECE_WEIGHT = 8192
# The pages given back in one go: the others are zeros, and can wait for the next.
_SHRINK_AT_ONCE = 4000
# So many pages are scrubbed while others wait; after so many attempts to get there, all of them.
_LAST_PAGES, _ATTEMPTS = 500, 4

_SWITCH_SECONDS = 0.0005
_QUICK_KEYS = 50


class SqliteStore:
    """Implements libs.docstore.store.Store. Open it with `open`."""

    # What one call of `write_many` brings is one transaction (libs.docstore.order).
    one_commit = True

    def __init__(self, path: Path, collections: Sequence[Collection], writer: Writer, bounds: Bounds | None) -> None:
        """Take an opened writer; `open` is the way in."""
        self._collections = {collection.name: collection for collection in collections}
        self._path = path
        self._writer = writer
        self._readers = Readers(path)
        engine: Engine[Job, Answer] = Engine(writer.run, writer.begin, writer.checkpoint)
        self._committer: GroupCommitter[Job, Answer] = GroupCommitter(f"{path.stem}-write", engine, bounds)
        writer.is_shared = self._committer.waits.are_recent
        self._deleting = Pacing(self._committer.waits, *_DELETE_PIECES)
        self._shrinking = Pacing(self._committer.waits, *_SHRINK_PIECES)
        self._scrubbing = Pacing(self._committer.waits, *_SCRUB_PIECES)

    @classmethod
    def open(cls, path: Path, collections: Sequence[Collection], bounds: Bounds | None = None) -> Opening[SqliteStore]:
        """Open (or make) the file at `path`; in an existing directory, the file is `store.db`.

        Await it, or enter it with `async with`. Raises: UnavailableError("storage_unavailable"),
        InternalError("storage_format_unknown"), ValueError for collections that cannot be.
        """
        return Opening(cls._opened(path, collections, bounds))

    @classmethod
    async def _opened(cls, path: Path, collections: Sequence[Collection], bounds: Bounds | None) -> SqliteStore:
        check_collections(collections)
        # SQLite's threads take the interpreter lock for many short moments. With the default of 5 ms a busy event loop
        # keeps it from them so long that a commit of 2 ms takes a second.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_SECONDS))

        def prepare_file() -> tuple[Path, Writer]:
            file = path / "store.db" if path.is_dir() else path
            create_file(file)
            writer = Writer(file)
            try:
                if writer.connection is not None:
                    with waiting(writer.connection):
                        migrate(writer.connection, collections)
            except BaseException:
                writer.close()
                raise
            return file, writer

        try:
            file, writer = await asyncio.to_thread(prepare_file)
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError("storage_unavailable") from error
        return cls(file, collections, writer, bounds)

    async def __aenter__(self) -> SqliteStore:
        """Return the store itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def write(self, operation: Operation) -> Written:
        """See Store. Raises also ExhaustedError("queue_full")."""
        (result,) = await self.write_many((operation,))
        if isinstance(result, Exception):
            raise result
        return result

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """See Store. Raises also ExhaustedError("queue_full")."""
        results: list[Written | Exception | None] = [None] * len(operations)
        prepared = []
        for position, operation in enumerate(operations):
            try:
                prepared.append(prepare(operation))
            except SealpostError as error:
                results[position] = error
        if prepared:
            weight = sum(item.weight for item in prepared)
            answer = await self._committer.submit(WriteJob(prepared), len(prepared), weight)
            answers = iter(cast("list[Written | Exception]", answer))
            results = [next(answers) if result is None else result for result in results]
        return cast("list[Written | Exception]", results)

    async def get(self, collection: Collection, key: str) -> Document | None:
        """See Store."""
        return (await self.get_many(collection, (key,))).get(key)

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        """See Store."""
        if len(keys) > MAX_RESULTS:
            raise ValueError(f"at most {MAX_RESULTS} keys")
        sql = f"SELECT key, version, body FROM {table_name(collection)} WHERE key"  # noqa: S608

        def read(connection: sqlite3.Connection) -> dict[str, Document]:
            if len(keys) == 1:
                rows = connection.execute(f"{sql} = ?", (keys[0],)).fetchall()
            else:
                listed = json.dumps(list(keys))
                among = "IN (SELECT value FROM json_each(?))"
                rows = connection.execute(f"{sql} {among}", (listed,)).fetchall()
            return {key: Document(key, decode_body(raw), version) for key, version, raw in rows}

        quick = collection.small and len(keys) <= _QUICK_KEYS
        return await (self._readers.run_quickly(read) if quick else self._readers.run(read))

    async def find(self, query: Query) -> list[Document]:
        """See Store."""
        statement = find_statement(query)

        def read(connection: sqlite3.Connection) -> list[Document]:
            rows = connection.execute(statement.sql, statement.values).fetchall()
            return [Document(key, decode_body(raw), version) for key, version, raw in rows]

        return await self._readers.run(read)

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        """See Store."""
        among = among_index(collection, index) if index else ""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {table_name(collection)}{among} LIMIT ?)"  # noqa: S608

        def read(connection: sqlite3.Connection) -> int:
            (number,) = connection.execute(sql, (at_most,)).fetchone()
            return int(number)

        return await self._readers.run(read)

    def files(self) -> tuple[Path, ...]:
        """See Store."""
        return (self._path, self._path.with_name(self._path.name + "-wal"))

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        """See Store. Works in small transactions, between which other writes go on."""
        deleted = 0
        while deleted < limit:
            piece = min(limit - deleted, self._deleting.size)
            query = Query(collection, index, equal, upper=upper, limit=piece)
            job = DeleteJob(*delete_statements(collection, query))
            count = await self._in_background(job, self._deleting, query.limit)
            deleted += count
            if count < query.limit:
                break
        return deleted

    async def _in_background(self, job: DeleteJob | ShrinkJob | ScrubJob, pacing: Pacing, size: int) -> int:
        """Do a piece of long work, and rest if others need it. Only the time that the piece itself takes counts."""
        count = cast("int", await self._committer.submit(job, 1, size * _PIECE_WEIGHT, background=True))
        rest = pacing.took(size, self._committer.last_seconds)
        await asyncio.sleep(rest)
        return count

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        """See Store."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, str, str, str, bytes, str]]:
            return connection.execute(
                "SELECT collection, key, event_id, subject, payload, trace FROM pending ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()

        rows = await self._readers.run(read)
        unknown = {row[0] for row in rows} - self._collections.keys()
        if unknown:
            raise InternalError("collection_unknown")
        return [
            PendingEvent(self._collections[name], key, Event(event_id, subject, payload, trace))
            for name, key, event_id, subject, payload, trace in rows
        ]

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        """See Store."""
        if events:
            await self._committer.submit(ClearJob(tuple(events)), 1, 300 * len(events))

    async def compact(self) -> None:
        """See Store: gives free pages back, a few at a time, cuts the log to nothing, fills gaps in pages."""
        given = 0
        while given < _SHRINK_AT_ONCE:
            given += self._shrinking.size
            if not await self._in_background(ShrinkJob(self._shrinking.size), self._shrinking, self._shrinking.size):
                break
        for attempt in range(_ATTEMPTS):
            most = _LAST_PAGES if attempt + 1 < _ATTEMPTS else sys.maxsize
            await asyncio.to_thread(self._writer.move_log)
            if not await self._committer.submit(EmptyLogJob(most), 1, 0):
                break
            while await self._in_background(ScrubJob(self._scrubbing.size), self._scrubbing, self._scrubbing.size):
                pass

    async def close(self) -> None:
        """See Store."""
        await self._committer.close()
        await self._readers.close()
        await asyncio.to_thread(self._writer.close)

    aclose = close
