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
from functools import partial
from pathlib import Path

from libs.docstore.sqlite_batch import PoisonedError, apply_batch, begin_batch, commit
from libs.docstore.sqlite_checkpoints import Checkpointer
from libs.docstore.sqlite_jobs import (
    Answer,
    DeleteJob,
    EmptyLogJob,
    Job,
    ScrubJob,
    ShrinkJob,
    WriteJob,
    clear,
    delete,
    empty_log,
    shrink,
)
from libs.docstore.sqlite_log import Log
from libs.docstore.sqlite_schema import BUSY_MILLISECONDS, LOG_BYTES, LONG_LOG_BYTES, connect_reader, connect_writer
from libs.docstore.sqlite_scrub import Scrubber
from libs.runtime.errors import UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

_log = get_logger("store")
_failures = metrics.counter("sealpost_store_failures_total", "Transactions that the engine failed.")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# Where nobody waits for a commit, moving more at a time moves each page less often.
_ALONE_LOG = 16
# What may be done on the event loop: a few milliseconds at most.
_QUICK_OPERATIONS, _QUICK_WEIGHT = 256, 512 * 1024
_SLOW_SECONDS, _SLOW_PAUSE = 0.02, 10.0
_HARMLESS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
_REASONS = {sqlite3.SQLITE_FULL: "disk_full", sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_CORRUPT: "corrupt"}


class Writer:
    """Owns the writing connection; used by a group committer only, one thing after the other."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open the connection."""
        self._path = path
        self._monotonic = monotonic
        self._keeper: sqlite3.Connection | None = None
        self._log = Log(path)
        # None until something deleted is to leave the file for the first time: until then every page counts as written.
        self._scrubber: Scrubber | None = None
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
            length, moved = self._log.bytes, self._checkpoints.moved * self._log.frame_bytes
            # More than there is was moved before the log began anew.
            if length - (moved if moved <= length else 0) > LOG_BYTES * (1 if self.is_shared() else _ALONE_LOG):
                self._checkpoints.wake()
            if self.connection is not None and length > LONG_LOG_BYTES:
                # While the other one is at work it has most of it to do still, and is waited for only if need be.
                if self._checkpoints.lock.acquire(blocking=length > 2 * LONG_LOG_BYTES):
                    try:
                        with waiting(self.connection):
                            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    finally:
                        self._checkpoints.lock.release()
        except (sqlite3.Error, OSError) as error:
            self._after(error)

    def move_log(self) -> None:
        """Move what is in the log into the file, in the calling thread, so that little is left for EmptyLogJob."""
        self._checkpoints.move()

    def close(self) -> None:
        """Close the connections; the last one to close empties the log."""
        self._checkpoints.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self._log.close()
        if self._scrubber is not None:
            self._scrubber.close()
            self._scrubber = None

    def _guarded(self, jobs: Sequence[Job]) -> list[Answer | Exception]:
        try:
            with waiting(connection := self._recovered()):
                answers = self._apply(connection, jobs)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error, jobs)
        self._note()
        return answers

    def _committed(
        self, connection: sqlite3.Connection, jobs: Sequence[Job], answers: list[Answer | Exception]
    ) -> list[Answer | Exception]:
        try:
            commit(connection)
        except (sqlite3.Error, OSError) as error:
            return self._failed(error, jobs)
        self._note()
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
            return [delete(connection, first)]
        if isinstance(first, ShrinkJob):
            return [shrink(connection, first)]
        if isinstance(first, EmptyLogJob):
            return [self._empty_log(connection, first)]
        if isinstance(first, ScrubJob):
            return [self._scrubber.scrub(first.pages) if self._scrubber is not None else 0]
        clear(connection, first)
        return [None]

    def _empty_log(self, connection: sqlite3.Connection, job: EmptyLogJob) -> int:
        with self._checkpoints.lock:
            empty_log(connection)
        self._scrubber = scrubber = self._scrubber or Scrubber(self._path)
        scrubber.emptied()
        if scrubber.left > job.most:
            return scrubber.left
        scrubber.scrub(scrubber.left)
        # What is in the cache as it was would be written again.
        connection.execute("PRAGMA shrink_memory").fetchall()
        scrubber.sync()
        return 0

    def _note(self) -> None:
        try:
            pages = self._log.look()
        except OSError:
            # What is committed is committed; which pages it was may stay unknown.
            if self._scrubber is not None:
                self._scrubber.know_nothing()
            return
        if self._scrubber is not None:
            self._scrubber.note(pages)

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
                empty_log(connection)
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
        if self._scrubber is not None:
            self._scrubber.know_nothing()
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
