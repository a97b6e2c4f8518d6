"""Reads on threads of their own: each has a connection that sees what is committed and waits for no writer.

Looks at a few small documents are made on the event loop: handing them over costs several times what they take. Where
one has to wait for the disk all the same, they go to the threads for a while.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from libs.docstore.sqlite_schema import connect_reader
from libs.runtime.errors import ExhaustedError, UnavailableError

T = TypeVar("T")
_THREADS = 2
_MAX_WAITING = 2000
_SLOW_SECONDS, _SLOW_PAUSE = 0.02, 10.0


class Readers:
    """A small pool of reading connections, with a bounded queue."""

    def __init__(self, path: Path) -> None:
        """Prepare the pool; connections open as they are needed."""
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: set[sqlite3.Connection] = set()
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"{path.stem}-read")
        # The event loop's own, which waits for nothing.
        self._quick: sqlite3.Connection | None = None
        self._slow_until = 0.0

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `read` returns.

        Raises: UnavailableError("storage_unavailable" | "storage_closed"), ExhaustedError("queue_full").
        """
        if self._pool is None:
            raise UnavailableError("storage_closed")
        if self._waiting >= _MAX_WAITING:
            raise ExhaustedError("queue_full", retry_after=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, read)
        finally:
            self._waiting -= 1

    async def run_quickly(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for what takes some microseconds."""
        began = time.monotonic()
        if self._pool is None or began < self._slow_until:
            return await self.run(read)
        try:
            if self._quick is None:
                self._quick = connect_reader(self._path)
                self._quick.execute("PRAGMA busy_timeout = 0").fetchone()
            return read(self._quick)
        except sqlite3.Error:
            # Whatever it is, a thread finds it as well, and waits for it if that helps.
            self._end_quick()
            return await self.run(read)
        finally:
            now = time.monotonic()
            if now > began + _SLOW_SECONDS:
                self._slow_until = now + _SLOW_PAUSE

    async def close(self) -> None:
        """Finish the reads under way, then close every connection. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)
        self._end_quick()
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _end_quick(self) -> None:
        if self._quick is not None:
            self._quick.close()
            self._quick = None

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return read(self._connection())
        except sqlite3.Error as error:
            self._discard()
            raise UnavailableError("storage_unavailable", retry_after=1.0) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect_reader(self._path)
            self._local.connection = connection
            with self._lock:
                self._open.add(connection)
        return connection

    def _discard(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            with self._lock:
                self._open.discard(connection)
            connection.close()
