"""What the writing connection of a SQLite file is asked for, and the statements that do it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from libs.docstore.changes import Prepared
from libs.docstore.sqlite_query import Statement
from libs.docstore.store import PendingEvent, Written

T = TypeVar("T")

# Free pages are overwritten, so keeping some for what comes next gives nothing away; moving others into them costs more
# than deleting did.
_SMALL_PAGES, _SPARE_PART = 4096, 4


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
class ScrubJob:
    """Fill the gaps of some pages (libs.docstore.sqlite_scrub); answers how many more there are."""

    pages: int


@dataclass(frozen=True)
class EmptyLogJob:
    """Move the log into the file and cut it to nothing; then fill all gaps, or answer how many pages are left to fill.

    `most`: of how many pages they are filled here and now.
    """

    most: int


Job: TypeAlias = WriteJob | DeleteJob | ClearJob | ShrinkJob | ScrubJob | EmptyLogJob
Answer: TypeAlias = "list[Written | Exception] | int | None"


def empty_log(connection: sqlite3.Connection) -> None:
    """Do as EmptyLogJob says, without the gaps. Raises: sqlite3.Error; SQLITE_BUSY while somebody reads the log."""
    (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        error = sqlite3.OperationalError("a reader holds the log")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error


def shrink(connection: sqlite3.Connection, job: ShrinkJob) -> int:
    """Do as ShrinkJob says. Raises: sqlite3.Error."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    spare = pages // _SPARE_PART if pages > _SMALL_PAGES else 0
    if free > spare:
        # A script, for the statement works one page for each step, and `execute` makes only the first.
        connection.executescript(f"PRAGMA incremental_vacuum({min(job.pages, free - spare)})")
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return max(0, int(free) - int(spare))


def delete(connection: sqlite3.Connection, job: DeleteJob) -> int:
    """Do as DeleteJob says. Raises: sqlite3.Error."""

    def body() -> int:
        if connection.execute("SELECT 1 FROM pending LIMIT 1").fetchone():
            connection.execute(job.events.sql, job.events.values)
        return connection.execute(job.documents.sql, job.documents.values).rowcount

    return _in_transaction(connection, body)


def clear(connection: sqlite3.Connection, job: ClearJob) -> None:
    """Do as ClearJob says. Raises: sqlite3.Error."""
    events = job.events

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
