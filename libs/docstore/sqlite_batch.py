"""One batch of operations inside one SQLite transaction: read all it touches, decide in memory, write all at once.

Statements that carry many rows matter twice: SQLite does less work, and Python's interpreter lock is handed over once
for a statement instead of once for a row, which is what decides the rate while the event loop is busy. Conditions are
checked in memory, so no savepoints are needed; only a unique index is checked by SQLite itself. Where it objects, the
batch is rolled back and done again one operation at a time, and only the duplicate fails.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.docstore.changes import Prepared, State, advance
from libs.docstore.sqlite_schema import column_name, table_name
from libs.docstore.store import Collection, Increment, Written
from libs.docstore.values import decode_body, index_fields
from libs.runtime.errors import ConflictError, InternalError, SealpostError

Place = tuple[str, str]
_MAX_VARIABLES = 900
_STEPS = (64, 32, 16, 8, 4, 2, 1)


@dataclass
class _Work:
    """What is known of the documents of one round, and what is to be written."""

    collections: dict[str, Collection] = field(default_factory=dict)
    states: dict[Place, State | None] = field(default_factory=dict)
    changed: dict[Place, None] = field(default_factory=dict)
    events: list[tuple[str, str, str, str, bytes, str]] = field(default_factory=list)
    dropped: list[Place] = field(default_factory=list)


def apply_batch(connection: sqlite3.Connection, batch: Sequence[Prepared]) -> list[Written | Exception]:
    """Apply `batch` and commit; results in order.

    Raises: sqlite3.Error where the engine itself fails; then nothing has been applied.
    """
    try:
        results = begin_batch(connection, batch)
    except (sqlite3.IntegrityError, PoisonedError):
        results = _begun(connection, lambda: [_alone(connection, prepared) for prepared in batch])
    commit(connection)
    return results


def begin_batch(connection: sqlite3.Connection, batch: Sequence[Prepared]) -> list[Written | Exception]:
    """Begin a transaction that applies `batch`; the results in order are true once it is committed (`commit`).

    Raises: sqlite3.IntegrityError, PoisonedError where operations of it must be looked at one by one; sqlite3.Error
    where the engine itself fails. Then nothing has been begun.
    """
    return _begun(connection, lambda: [result for part in _rounds(batch) for result in _round(connection, part)])


def commit(connection: sqlite3.Connection) -> None:
    """Commit what was begun. Raises: sqlite3.Error; then nothing has been applied."""
    try:
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


class PoisonedError(Exception):
    """An operation failed in a way that none of its conditions explains."""


def _begun(connection: sqlite3.Connection, body: Callable[[], list[Written | Exception]]) -> list[Written | Exception]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        return body()
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _rounds(batch: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    """Split where a document with unique fields is touched twice: SQLite must see each of its states."""
    part: list[Prepared] = []
    touched: set[Place] = set()
    for prepared in batch:
        if any(index.unique for index in prepared.collection.indexes):
            place = (prepared.collection.name, prepared.key)
            if place in touched:
                yield part
                part, touched = [], set()
            touched.add(place)
        part.append(prepared)
    if part:
        yield part


def _alone(connection: sqlite3.Connection, prepared: Prepared) -> Written | Exception:
    try:
        return _round(connection, [prepared])[0]
    except sqlite3.IntegrityError:
        return ConflictError("duplicate")
    except PoisonedError as error:
        fault = InternalError("document_unreadable")
        fault.__cause__ = error
        return fault


def _round(connection: sqlite3.Connection, batch: Sequence[Prepared]) -> list[Written | Exception]:
    work = _Work()
    _load(connection, work, batch)
    results = [_decide(work, prepared) for prepared in batch]
    _flush(connection, work)
    return results


def _load(connection: sqlite3.Connection, work: _Work, batch: Sequence[Prepared]) -> None:
    whole: dict[str, set[str]] = defaultdict(set)
    heads: dict[str, set[str]] = defaultdict(set)
    for prepared in batch:
        work.collections[prepared.collection.name] = prepared.collection
        (whole if prepared.needs_body else heads)[prepared.collection.name].add(prepared.key)
    among = "WHERE key IN (SELECT value FROM json_each(?))"
    for name, collection in work.collections.items():
        table = table_name(collection)
        if keys := whole[name]:
            rows = connection.execute(f"SELECT key, version, body FROM {table} {among}", (_listed(keys),))  # noqa: S608
            found = {(name, key): State(version, raw, ()) for key, version, raw in rows.fetchall()}
            work.states.update({(name, key): found.get((name, key)) for key in keys})
        if keys := heads[name] - whole[name]:
            # One row with all of them, for each row hands the interpreter lock over.
            (rows,) = connection.execute(
                f"SELECT json_group_object(key, version) FROM {table} {among}",  # noqa: S608
                (_listed(keys),),
            ).fetchone()
            versions = json.loads(rows)
            work.states.update({(name, key): _head(versions.get(key)) for key in keys})


def _listed(keys: Iterable[str]) -> str:
    return json.dumps(sorted(keys))


def _head(version: int | None) -> State | None:
    return None if version is None else State(version, b"", ())


def _decide(work: _Work, prepared: Prepared) -> Written | Exception:
    place = (prepared.collection.name, prepared.key)
    stored = work.states[place]
    try:
        state = advance(prepared, stored)
    except SealpostError as error:
        return error
    except Exception as error:
        raise PoisonedError from error
    work.states[place] = state
    work.changed[place] = None
    if state is None:
        work.dropped.append(place)
        if work.events:
            work.events = [event for event in work.events if event[:2] != place]
        return Written(stored.version if stored else 0)
    work.events += [(*place, event.event_id, event.subject, event.payload, event.trace) for event in prepared.events]
    wants_body = isinstance(prepared.operation, Increment)
    return Written(state.version, decode_body(state.raw) if wants_body else None)


def _flush(connection: sqlite3.Connection, work: _Work) -> None:
    deleted: dict[str, list[str]] = defaultdict(list)
    written: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for name, key in work.dropped:
        deleted[name].append(key)
    for place in work.changed:
        state = work.states[place]
        if state is not None:
            written[place[0]].append((place[1], state.version, state.raw, *state.columns))
    for name, keys in deleted.items():
        listed = json.dumps(keys)
        among = "IN (SELECT value FROM json_each(?))"
        connection.execute(f"DELETE FROM pending WHERE collection = ? AND key {among}", (name, listed))  # noqa: S608
        connection.execute(f"DELETE FROM {table_name(work.collections[name])} WHERE key {among}", (listed,))  # noqa: S608
    for name, rows in written.items():
        _upsert(connection, work.collections[name], rows)
    insert = "INSERT INTO pending (collection, key, event_id, subject, payload, trace) VALUES"
    for part in _chunks(work.events, 6):
        values = [value for row in part for value in row]
        connection.execute(f"{insert} {_rows(len(part), 6)} ON CONFLICT DO NOTHING", values)


def _upsert(connection: sqlite3.Connection, collection: Collection, rows: list[tuple[Any, ...]]) -> None:
    names = ["key", "version", "body", *map(column_name, index_fields(collection))]
    assigned = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    for part in _chunks(rows, len(names)):
        connection.execute(
            f"INSERT INTO {table_name(collection)} ({', '.join(names)}) VALUES {_rows(len(part), len(names))}"  # noqa: S608
            f" ON CONFLICT (key) DO UPDATE SET {assigned}",
            [value for row in part for value in row],
        )


def _rows(count: int, width: int) -> str:
    return ", ".join(["(" + ", ".join("?" * width) + ")"] * count)


def _chunks(rows: list[tuple[Any, ...]], width: int) -> Iterable[list[tuple[Any, ...]]]:
    """Cut `rows` into few sizes, so that few statements are prepared, and below SQLite's limit of variables."""
    start = 0
    for size in _STEPS:
        if size * width > _MAX_VARIABLES:
            continue
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
