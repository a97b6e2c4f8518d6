"""Checkpoints beside the commits: a thread with a connection of its own moves the write-ahead log into the file.

Commits append to the log meanwhile and wait for nothing, which is what the log is for; done between commits, a long
checkpoint is a pause in which everybody waits. What fails is told to the writer, which then trusts nothing until the
log has been emptied: an fsync that failed once may succeed the next time without having written anything.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

from libs.docstore.sqlite_schema import connect_writer


class Checkpointer:
    """Checkpoints when woken. The thread and the connection are made when first needed."""

    def __init__(self, path: Path) -> None:
        """Checkpoint the file at `path`."""
        self._path = path
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._wake = threading.Event()
        self._ends = False
        self._error: sqlite3.Error | OSError | None = None
        # How many pages of the log were in the file already, when last looked at.
        self.moved = 0
        # Held while one is made: SQLite itself refuses a second one at once instead of waiting.
        self.lock = threading.Lock()

    @property
    def failed(self) -> bool:
        """Whether an error waits to be taken."""
        return self._error is not None

    def take_error(self) -> sqlite3.Error | OSError | None:
        """Return what has failed since the last call."""
        error, self._error = self._error, None
        return error

    def wake(self) -> None:
        """Have a checkpoint made soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"{self._path.stem}-checkpoint", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Finish what is under way. Idempotent."""
        self._ends = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self.lock:
            self._drop()

    def move(self) -> None:
        """Move what is in the log into the file, in the calling thread; commits go on meanwhile."""
        with self.lock:
            try:
                self._connection = self._connection or connect_writer(self._path)
                _, _, self.moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except (sqlite3.Error, OSError) as error:
                if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
                    self._error = error
                self._drop()

    def _work(self) -> None:
        while self._wake.wait() and not self._ends:
            self._wake.clear()
            self.move()

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is not needed any more
                self._connection.close()
            self._connection = None
