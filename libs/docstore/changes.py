"""What each operation does to one document, without knowing where documents are kept.

Engines hand in the stored state and get the next one, or the error that the operation's own condition raises. Bodies
stay encoded until somebody needs to look inside, so that an insert or a replacement costs one encoding in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.docstore.store import (
    Body,
    Collection,
    Delete,
    Event,
    Increment,
    IndexValue,
    Insert,
    Operation,
    Patch,
    Replace,
    Value,
)
from libs.docstore.values import check_key, columns, decode_body, encode_body, index_fields
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from libs.telemetry import mode, traces

_INT_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class State:
    """A document as it is stored: version, BSON, and the SQL values of its index fields."""

    version: int
    raw: bytes
    columns: tuple[IndexValue | None, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that is checked and encoded as far as that goes without the stored state."""

    operation: Operation
    content: State | None
    events: tuple[Event, ...]
    weight: int

    @property
    def collection(self) -> Collection:
        """The collection that it works on."""
        return self.operation.collection

    @property
    def key(self) -> str:
        """The document that it works on."""
        return self.operation.key

    @property
    def needs_body(self) -> bool:
        """Whether `advance` looks into the stored body."""
        return isinstance(self.operation, Patch | Increment)


def prepare(operation: Operation) -> Prepared:
    """Check and encode `operation`. Raises: InvalidError."""
    check_key(operation.key)
    if mode.is_strict():
        _check_fields(operation)
    events = () if isinstance(operation, Increment | Delete) else _traced(operation.events)
    content = None
    weight = 200 + sum(len(event.payload) + 200 for event in events)
    if isinstance(operation, Insert | Replace):
        content = make_state(operation.collection, operation.body, 1)
        weight += len(content.raw)
    elif isinstance(operation, Patch):
        weight += len(make_state(operation.collection, operation.fields, 1).raw)
    elif isinstance(operation, Increment):
        weight += len(make_state(operation.collection, operation.defaults, 1).raw)
    return Prepared(operation, content, events, weight)


def _check_fields(operation: Operation) -> None:
    """Raise ValueError for a field that the collection does not declare: a fault of the programmer."""
    declared = operation.collection.fields
    if not declared or isinstance(operation, Delete):
        return
    if isinstance(operation, Increment):
        given = {**operation.defaults, **operation.deltas}
    else:
        given = dict(operation.fields if isinstance(operation, Patch) else operation.body)
    prefixes = tuple(name for name in declared if name.endswith("_"))
    if unknown := {name for name in given.keys() - set(declared) if not name.startswith(prefixes)}:
        raise ValueError(f"collection {operation.collection.name!r} declares no field {sorted(unknown)}")


def _traced(events: tuple[Event, ...]) -> tuple[Event, ...]:
    trace = traces.inject().get("traceparent", "") if events else ""
    return tuple(replace(event, trace=event.trace or trace) for event in events) if trace else events


def make_state(collection: Collection, body: Body, version: int) -> State:
    """Return `body` as it is stored."""
    return State(version, encode_body(body), columns(index_fields(collection), body))


def advance(prepared: Prepared, stored: State | None) -> State | None:
    """Return the state after the operation, None where it deletes.

    Raises: ConflictError("exists" | "version"), NotFoundError("document_not_found"), ExhaustedError(<field>),
    InvalidError.
    """
    operation = prepared.operation
    if isinstance(operation, Increment):
        return _incremented(operation, stored)
    if isinstance(operation, Insert):
        if stored is not None:
            raise ConflictError("exists")
        return prepared.content
    if stored is None:
        raise NotFoundError("document_not_found")
    if operation.version is not None and operation.version != stored.version:
        raise ConflictError("version")
    if isinstance(operation, Delete):
        return None
    if isinstance(operation, Patch):
        body = {**decode_body(stored.raw), **operation.fields}
        return make_state(operation.collection, body, stored.version + 1)
    if prepared.content is None:
        raise InvalidError("value_invalid")
    return State(stored.version + 1, prepared.content.raw, prepared.content.columns)


def _incremented(operation: Increment, stored: State | None) -> State:
    body: dict[str, Value] = dict(operation.defaults) if stored is None else decode_body(stored.raw)
    for name, delta in operation.deltas.items():
        body[name] = _added(operation, name, body.get(name), delta)
    return make_state(operation.collection, body, 1 if stored is None else stored.version + 1)


def _added(operation: Increment, name: str, before: Value, delta: int) -> int:
    if before is None:
        before = 0
    if isinstance(before, bool) or not isinstance(before, int):
        raise InvalidError("not_an_integer")
    after = max(0, before + delta)
    ceiling = operation.ceilings.get(name)
    if ceiling is not None and delta > 0 and after > ceiling:
        raise ExhaustedError(name)
    if after > _INT_MAX:
        raise InvalidError("value_invalid")
    return after
