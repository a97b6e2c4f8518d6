"""Copies of SQLite files: made while others write, and put back where nothing is.

SQLite's own backup reads one state of the file, whatever is committed meanwhile; the write-ahead log cannot be cut
while it reads, so an erasure that asks for that meanwhile is told to come back. Copying the files themselves would be
wrong: file and log belong together only for as long as nobody writes. The copy is one file without a log, and is
looked through by SQLite before it counts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from libs.docstore.backup_files import SavedFile, measured, put_copy, sync_directory
from libs.docstore.sqlite_schema import APPLICATION_ID, BUSY_MILLISECONDS, FORMAT
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError

# A log beside a restored file would be taken for its own and written into it.
_BESIDE = ("-wal", "-shm", "-journal")


def copy_database(source: Path, directory: Path, name: str) -> SavedFile:
    """Copy the store at `source` to `name` in `directory`, durably. Blocks the calling thread.

    Raises: NotFoundError("store_absent"), InvalidError("store_damaged"), UnavailableError("storage_unavailable").
    """
    if not source.exists():
        raise NotFoundError("store_absent")
    target = directory / name
    try:
        target.touch(mode=0o600, exist_ok=False)
        with contextlib.closing(_connect(source, "rw")) as original, contextlib.closing(_connect(target, "rw")) as copy:
            copy.execute("PRAGMA synchronous = FULL").fetchall()
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        check_database(target)
        sync_directory(directory)
        return SavedFile(name, *measured(target))
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise UnavailableError("storage_unavailable") from error
        raise InvalidError("store_damaged") from error
    except OSError as error:
        raise UnavailableError("storage_unavailable") from error


def check_database(path: Path) -> None:
    """Raise InvalidError("store_damaged") unless the file at `path`, which nobody uses, is a whole store of ours."""
    try:
        with contextlib.closing(_connect(path, "ro&immutable=1")) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            faults = connection.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.DatabaseError as error:
        raise InvalidError("store_damaged") from error
    if (application, version) != (APPLICATION_ID, FORMAT) or faults != [("ok",)]:
        raise InvalidError("store_damaged")


def check_place(target: Path, saved: SavedFile) -> None:
    """Raise ConflictError("not_empty") unless nothing, or this very copy, is at `target`. Raises also OSError."""
    if any(target.with_name(target.name + suffix).exists() for suffix in _BESIDE):
        raise ConflictError("not_empty")
    if target.exists() and measured(target) != (saved.size, saved.sha256):
        raise ConflictError("not_empty")


def place_database(directory: Path, saved: SavedFile, target: Path) -> None:
    """Put a copy of the saved store at `target`. Blocks the calling thread.

    Raises: ConflictError("not_empty"), InvalidError("backup_damaged"), UnavailableError("storage_unavailable").
    """
    try:
        check_place(target, saved)
        put_copy(directory / saved.name, target, saved)
    except OSError as error:
        raise UnavailableError("storage_unavailable") from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # As a URI, so that a file that went meanwhile is not made anew.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None
    )
