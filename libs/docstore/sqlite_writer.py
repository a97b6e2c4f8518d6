"""The writing side of a SQLite file: jobs become transactions, and a connection that failed is not trusted again.

After a failed fsync nobody knows which pages reached the disk, nor what SQLite believes about them. So every error of
the engine fails the whole group, closes the connection and opens another, which must empty the write-ahead log into
the file before anything else is accepted: a commit that was reported as failed must not come back from the log after a
crash. Until that succeeds every write is refused, and each new attempt waits a little longer. Meanwhile a second
connection, which does nothing, keeps the log's index alive: without it the next one would rebuild the index from the
log, failed commit included.

A full disk and a lock held elsewhere leave no such doubt: the transaction is rolled back, the connection goes on.

Small batches are begun on the event loop (`begin`) and only committed in the thread. What they touch is nearly always
in memory; where it is not, or where another process holds the lock, they go through the thread as a whole for a while.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from libs.docstore.changes import Prepared
from libs.docstore.sqlite_batch import PoisonedError, apply_batch, begin_batch, commit
from libs.docstore.sqlite_checkpoints import Checkpointer
from libs.docstore.sqlite_query import Statement
from libs.docstore.sqlite_schema import BUSY_MILLISECONDS, LOG_BYTES, connect_reader, connect_writer
from libs.docstore.store import PendingEvent, Written
from libs.runtime.errors import UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

_log = get_logger("store")
_failures = metrics.counter("sealpost_store_failures_total", "Transactions that the engine failed.")

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_LONG_LOG = 32
# Where nobody waits for a commit, moving more at a time moves each page less often.
_ALONE_LOG = 16
# Free pages are overwritten, so keeping some for what comes next gives nothing away; moving others into them costs more
# than deleting did.
_SMALL_PAGES, _SPARE_PART = 4096, 4
# What may be done on the event loop: a few milliseconds at most.
_QUICK_OPERATIONS, _QUICK_WEIGHT = 256, 512 * 1024
_SLOW_SECONDS, _SLOW_PAUSE = 0.02, 10.0
_HARMLESS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
_REASONS = {sqlite3.SQLITE_FULL: "disk_full", sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_CORRUPT: "corrupt"}


@dataclass(frozen=True)
class WriteJob:
    """Operations of one caller."""

    operations: Sequence[Prepared]


@dataclass(frozen=True)
class DeleteJob:
    """One bounded piece of a delete_range: forget events, then delete; answers how many documents went."""

    events: Statement
    documents: Statement


@dataclass(frozen=True)
class ClearJob:
    """Events that are published."""

    events: Sequence[PendingEvent]


@dataclass(frozen=True)
class ShrinkJob:
    """Give some free pages back, if there are more than new documents will soon use; answers how many more are left."""

    pages: int


@dataclass(frozen=True)
class EmptyLogJob:
    """Move the write-ahead log into the file and cut it to nothing."""


Job: TypeAlias = WriteJob | DeleteJob | ClearJob | ShrinkJob | EmptyLogJob
Answer: TypeAlias = "list[Written | Exception] | int | None"


class Writer:
    """Owns the writing connection; used by a group committer only, one thing after the other."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open the connection."""
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._monotonic = monotonic
        self._keeper: sqlite3.Connection | None = None
        self.connection: sqlite3.Connection | None = connect_writer(path)
        try:
            self._keeper = connect_reader(path)
        except BaseException:
            self.close()
            raise
        self._pause = _FIRST_PAUSE
        self._not_before = 0.0
        self._slow_until = 0.0
        self._checkpoints = Checkpointer(path)
        # Whether commits of others must not wait for the disk: told by whoever knows them.
        self.is_shared: Callable[[], bool] = lambda: True

    def begin(self, jobs: Sequence[Job]) -> Callable[[], list[Answer | Exception]] | None:
        """Apply small jobs as far as the commit, which is returned; None where `run` is to do them."""
        connection, began = self.connection, self._monotonic()
        if connection is None or self._checkpoints.failed or began < self._slow_until or not _are_quick(jobs):
            return None
        groups = [job.operations for job in jobs if isinstance(job, WriteJob)]
        try:
            results = iter(begin_batch(connection, [prepared for group in groups for prepared in group]))
        except (sqlite3.IntegrityError, PoisonedError):
            return None
        except (sqlite3.Error, OSError) as error:
            busy = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
            return None if busy else partial(self._failed, error, jobs)
        finally:
            now = self._monotonic()
            if now > began + _SLOW_SECONDS:
                self._slow_until = now + _SLOW_PAUSE
        answers: list[Answer | Exception] = [[next(results) for _ in group] for group in groups]
        return partial(self._committed, connection, jobs, answers)

    def run(self, jobs: Sequence[Job]) -> list[Answer | Exception]:
        """Apply `jobs`: all operations as one transaction, everything else in its own."""
        answers: list[Answer | Exception] = []
        position = 0
        while position < len(jobs):
            end = position + 1
            if isinstance(jobs[position], WriteJob):
                while end < len(jobs) and isinstance(jobs[end], WriteJob):
                    end += 1
            answers += self._guarded(jobs[position:end])
            position = end
        return answers

    def checkpoint(self) -> None:
        """Have the write-ahead log moved into the file once it is long; called when nobody waits for an answer.

        The one in its own thread moves nearly all of it while commits go on, but the log begins anew only where nothing
        has come since; so when it is very long, the rest is moved here.
        """
        try:
            length = self._wal.stat().st_size if self.connection is not None else 0
            if length > LOG_BYTES * (1 if self.is_shared() else _ALONE_LOG):
                self._checkpoints.wake()
            if self.connection is not None and length > _LONG_LOG * LOG_BYTES:
                # While the other one is at work it has most of it to do still, and is waited for only if need be.
                if self._checkpoints.lock.acquire(blocking=length > 2 * _LONG_LOG * LOG_BYTES):
                    try:
                        with waiting(self.connection):
                            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    finally:
                        self._checkpoints.lock.release()
        except (sqlite3.Error, OSError) as error:
            self._after(error)

    def close(self) -> None:
        """Close the connections; the last one to close empties the log."""
        self._checkpoints.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _guarded(self, jobs: Sequence[Job]) -> list[Answer | Exception]:
        try:
            with waiting(connection := self._recovered()):
                return self._apply(connection, jobs)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error, jobs)

    def _committed(
        self, connection: sqlite3.Connection, jobs: Sequence[Job], answers: list[Answer | Exception]
    ) -> list[Answer | Exception]:
        try:
            commit(connection)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error, jobs)
        return answers

    def _failed(self, error: Exception, jobs: Sequence[Job]) -> list[Answer | Exception]:
        self._after(error)
        return [_unavailable(error) for _ in jobs]

    def _apply(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Answer | Exception]:
        first = jobs[0]
        if isinstance(first, WriteJob):
            groups = [job.operations for job in jobs if isinstance(job, WriteJob)]
            results = iter(apply_batch(connection, [prepared for group in groups for prepared in group]))
            return [[next(results) for _ in group] for group in groups]
        if isinstance(first, DeleteJob):
            return [_delete(connection, first)]
        if isinstance(first, ShrinkJob):
            return [_shrink(connection, first)]
        if isinstance(first, ClearJob):
            _clear(connection, first.events)
        else:
            with self._checkpoints.lock:
                _empty_log(connection)
        return [None]

    def _recovered(self) -> sqlite3.Connection:
        if error := self._checkpoints.take_error():
            self._after(error)
        if self.connection is not None:
            return self.connection
        if self._monotonic() < self._not_before:
            raise sqlite3.OperationalError("waiting before the next attempt")
        connection = connect_writer(self._path)
        try:
            with waiting(connection), self._checkpoints.lock:
                _empty_log(connection)
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        self._pause = _FIRST_PAUSE
        _log.warning("store_recovered", engine="sqlite")
        return connection

    def _after(self, error: Exception) -> None:
        _failures.inc()
        code: int = getattr(error, "sqlite_errorcode", 0)
        if self.connection is not None:
            _log.error("store_failed", engine="sqlite", reason=_REASONS.get(code, "io"), error=error)
        if code in _HARMLESS and self.connection is not None and not self.connection.in_transaction:
            return
        self._give_up()

    def _give_up(self) -> None:
        if self.connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is being thrown away: whatever it says changes nothing
                self.connection.close()
            self.connection = None
        elif self._monotonic() < self._not_before:
            return
        self._not_before = self._monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def _are_quick(jobs: Sequence[Job]) -> bool:
    writes = [job for job in jobs if isinstance(job, WriteJob)]
    weights = [one.weight for job in writes for one in job.operations]
    return len(writes) == len(jobs) and len(weights) <= _QUICK_OPERATIONS and sum(weights) <= _QUICK_WEIGHT


@contextlib.contextmanager
def waiting(connection: sqlite3.Connection) -> Iterator[None]:
    """Have a lock held elsewhere waited for, which else is an error at once (connect_writer)."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}").fetchone()
    try:
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):  # broken or closed: another one begins anew
            connection.execute("PRAGMA busy_timeout = 0").fetchone()


def _unavailable(cause: Exception) -> UnavailableError:
    error = UnavailableError("storage_unavailable", retry_after=1.0)
    error.__cause__ = cause
    return error


def _empty_log(connection: sqlite3.Connection) -> None:
    (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        error = sqlite3.OperationalError("a reader holds the log")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error


def _shrink(connection: sqlite3.Connection, job: ShrinkJob) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    spare = pages // _SPARE_PART if pages > _SMALL_PAGES else 0
    if free > spare:
        # A script, for the statement works one page for each step, and `execute` makes only the first.
        connection.executescript(f"PRAGMA incremental_vacuum({min(job.pages, free - spare)})")
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return max(0, int(free) - int(spare))


def _delete(connection: sqlite3.Connection, job: DeleteJob) -> int:
    def body() -> int:
        if connection.execute("SELECT 1 FROM pending LIMIT 1").fetchone():
            connection.execute(job.events.sql, job.events.values)
        return connection.execute(job.documents.sql, job.documents.values).rowcount

    return _in_transaction(connection, body)


def _clear(connection: sqlite3.Connection, events: Sequence[PendingEvent]) -> None:
    def body() -> None:
        for start in range(0, len(events), 256):
            part = events[start : start + 256]
            values = [value for item in part for value in (item.collection.name, item.key, item.event.event_id)]
            connection.execute(
                "DELETE FROM pending WHERE seq IN (SELECT seq FROM pending JOIN"  # noqa: S608 - only question marks
                f" (VALUES {', '.join(['(?, ?, ?)'] * len(part))}) AS done"
                " ON collection = done.column1 AND key = done.column2 AND event_id = done.column3)",
                values,
            )

    _in_transaction(connection, body)


def _in_transaction(connection: sqlite3.Connection, body: Callable[[], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = body()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
