"""The SQLite file: one table for each collection, one column for each indexed field, one outbox of pending events.

A document is a row (key, version, BSON body); the fields of its indexes are repeated as columns, and each declared
index becomes one partial SQL index over them and the key, so that paging order is index order. Pending events lie in a
table of the same file, not in the row: they are part of the same commit all the same, and clearing one does not rewrite
a body. The file carries a format version; an index that was added since is filled at open, one that went is dropped
together with its values.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from libs.docstore.store import Collection, Index, IndexValue
from libs.docstore.values import columns, decode_body, index_fields
from libs.runtime.errors import InternalError

FORMAT = 1
APPLICATION_ID = 0x5EA1_0057
BUSY_MILLISECONDS = 5000

LOG_BYTES = 4 * 1024 * 1024
"""What is in the write-ahead log is moved into the file when it is more."""
LONG_LOG_BYTES = 32 * LOG_BYTES
"""A log of so many bytes is to begin anew. Its file may be as long: cutting it stops commits for a moment."""


def create_file(path: Path) -> None:
    """Make the file (0600) and its directory (0700) where absent, and make their names durable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        # Not opened: closing any descriptor of the file would drop the locks that this process holds on it.
        path.chmod(0o600)
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes; it never checkpoints by itself (the store does, between commits).

    It does not wait for a lock held elsewhere: whoever uses it in a thread says for how long that is to be.
    """
    return _connect(
        path,
        "PRAGMA auto_vacuum = INCREMENTAL",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA secure_delete = ON",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA wal_autocheckpoint = 0",
        f"PRAGMA journal_size_limit = {LONG_LOG_BYTES}",
        "PRAGMA cache_size = -16384",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA busy_timeout = 0",
    )


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that sees what is committed and cannot write."""
    return _connect(
        path,
        "SELECT count(*) FROM sqlite_schema",  # attaches to the index of the log
        "PRAGMA query_only = ON",
        "PRAGMA wal_autocheckpoint = 0",
        "PRAGMA cache_size = -4096",
        "PRAGMA temp_store = MEMORY",
    )


def _connect(path: Path, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, collections: Sequence[Collection]) -> None:
    """Bring tables and indexes to what `collections` declare, in one transaction.

    Raises: InternalError("storage_format_unknown") for a file that a newer version, or something else, has written.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if (found, application) not in {(0, 0), (FORMAT, APPLICATION_ID)}:
        raise InternalError("storage_format_unknown")
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pending (seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, key TEXT NOT NULL,"
            " event_id TEXT NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL, trace TEXT NOT NULL)"
        )
        connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS pending_event ON pending (collection, key, event_id)")
        for collection in collections:
            _migrate_collection(connection, collection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate_collection(connection: sqlite3.Connection, collection: Collection) -> None:
    table = table_name(collection)
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body BLOB NOT NULL)"
    )
    wanted = {index_name(collection, index): index_sql(collection, index) for index in collection.indexes}
    present: dict[str, str] = dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
            (table.strip('"'),),
        ).fetchall()
    )
    for name in present:
        if wanted.get(name) != present[name]:
            connection.execute(f'DROP INDEX "{name}"')
    missing = [name for name in wanted if present.get(name) != wanted[name]]
    _migrate_columns(connection, collection, fill=bool(missing))
    for name in missing:
        connection.execute(wanted[name])


def _migrate_columns(connection: sqlite3.Connection, collection: Collection, *, fill: bool) -> None:
    table, fields = table_name(collection), index_fields(collection)
    rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    present = {row[1] for row in rows if row[1].startswith("f_")}
    wanted = {f"f_{field}" for field in fields}
    for gone in sorted(present - wanted):
        connection.execute(f'UPDATE {table} SET "{gone}" = NULL WHERE "{gone}" IS NOT NULL')  # noqa: S608
    for added in sorted(wanted - present):
        connection.execute(f'ALTER TABLE {table} ADD COLUMN "{added}"')
    if not fill:
        return
    assignments = ", ".join(f"{column_name(field)} = ?" for field in fields)
    last = -1
    while page := connection.execute(
        f"SELECT rowid, body FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 500",  # noqa: S608
        (last,),
    ).fetchall():
        values: list[tuple[IndexValue | None, ...]] = [
            (*columns(fields, decode_body(body)), rowid) for rowid, body in page
        ]
        connection.executemany(f"UPDATE {table} SET {assignments} WHERE rowid = ?", values)  # noqa: S608
        last = page[-1][0]


def table_name(collection: Collection) -> str:
    """Return the quoted name of the table; collection names are checked at open."""
    return f'"c_{collection.name}"'


def column_name(field: str) -> str:
    """Return the quoted name of the column of an indexed field."""
    return f'"f_{field}"'


def index_name(collection: Collection, index: Index) -> str:
    """Return the unquoted name of the SQL index."""
    return f"i_{collection.name}_{index.name}"


def index_sql(collection: Collection, index: Index) -> str:
    """Return the statement that makes the index: its fields, then the key unless the fields alone must be unique."""
    names = [column_name(field) for field in index.fields]
    keyed = names if index.unique else [*names, "key"]
    present = " AND ".join(f"{name} IS NOT NULL" for name in names)
    return (
        f'CREATE {"UNIQUE " if index.unique else ""}INDEX "{index_name(collection, index)}"'
        f" ON {table_name(collection)} ({', '.join(keyed)}) WHERE {present}"
    )
