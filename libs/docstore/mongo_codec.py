"""How a document lies in MongoDB, and how queries on it are put.

    {_id: key, k: key, v: version, x: {indexed fields}, b: {all other fields},
     ev: {"e<hex of event id>": {s: subject, p: payload, n: order, t: trace}}, en: how many, q: since when}

The indexed fields that are present and not None lie in `x`, everything else in `b`: so "has this field" is what a
partial index can test, and no value is stored twice. Bytes in `x` are written as text that sorts after every other text
and by length first, as MongoDB orders binary values. `k` repeats the key for indexes that end in it. `ev`, `en` and `q`
exist only while events are pending; `q` alone is indexed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.docstore.store import Body, Collection, Document, Event, Index, IndexValue, PendingEvent, Query, Value
from libs.docstore.values import LAST_TEXT, check_query, index_fields, index_value

Fields = dict[str, Any]

_BYTES = LAST_TEXT  # begins the text that stands for bytes
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def stored_index_value(value: Value) -> str | int | None:
    """Return how `value` lies in `x`; None if it is absent there. Raises: InvalidError("index_value_invalid")."""
    checked = index_value(value)
    if isinstance(checked, bytes):
        return f"{_BYTES}{len(checked):08x}{checked.hex()}"
    return checked


def split(collection: Collection, body: Body) -> tuple[Fields, Fields]:
    """Return what lies in `b` and what lies in `x`."""
    rest: Fields = dict(body)
    indexed: Fields = {}
    for field in index_fields(collection):
        value = stored_index_value(rest.get(field))
        if value is not None:
            indexed[field] = value
            del rest[field]
    return rest, indexed


def to_document(raw: Mapping[str, Any]) -> Document:
    """Return the document that `raw` holds."""
    body: Fields = dict(raw.get("b", {}))
    for field, value in raw.get("x", {}).items():
        is_bytes = isinstance(value, str) and value.startswith(_BYTES)
        body[field] = bytes.fromhex(value[len(_BYTES) + 8 :]) if is_bytes else value
    return Document(raw["_id"], body, int(raw["v"]))


def event_fields(events: Sequence[Event], order: int) -> dict[str, Fields]:
    """Return `events` as entries of `ev`."""
    return {
        event_name(event): {"s": event.subject, "p": event.payload, "n": order + place, "t": event.trace}
        for place, event in enumerate(events)
    }


def event_name(event: Event) -> str:
    """Return the name under which `event` lies in `ev`: free of dots and dollars."""
    return "e" + event.event_id.encode().hex()


def to_pending(collection: Collection, raw: Mapping[str, Any]) -> list[PendingEvent]:
    """Return the pending events of `raw`, oldest first."""
    found = sorted(raw.get("ev", {}).items(), key=lambda item: int(item[1]["n"]))
    return [
        PendingEvent(
            collection, raw["_id"], Event(bytes.fromhex(name[1:]).decode(), entry["s"], entry["p"], entry["t"])
        )
        for name, entry in found
    ]


def new_document(collection: Collection, key: str, body: Body, events: Mapping[str, Fields]) -> Fields:
    """Return a document of version 1."""
    rest, indexed = split(collection, body)
    document: Fields = {"_id": key, "k": key, "v": 1, "x": indexed, "b": rest}
    if events:
        document |= {"ev": dict(events), "en": len(events), "q": _order_of(events)}
    return document


def add_events(update: Fields, events: Mapping[str, Fields]) -> Fields:
    """Extend an update, which has `$set` and `$inc`, with pending events."""
    if events:
        update["$set"] |= {f"ev.{name}": entry for name, entry in events.items()}
        update["$inc"] |= {"en": len(events)}
        update["$min"] = {"q": _order_of(events)}
    return update


def patch_update(collection: Collection, fields: Body) -> Fields:
    """Return the update that sets `fields` and counts the version."""
    rest, indexed = split(collection, fields)
    moved = [f"x.{name}" for name in rest] + [f"b.{name}" for name in indexed]
    update: Fields = {
        "$set": {f"b.{name}": value for name, value in rest.items()}
        | {f"x.{name}": value for name, value in indexed.items()},
        "$inc": {"v": 1},
    }
    if moved:
        update["$unset"] = dict.fromkeys(moved, "")
    return update


def field_path(collection: Collection, field: str) -> str:
    """Return where `field` lies if it is present."""
    return f"x.{field}" if field in index_fields(collection) else f"b.{field}"


def index_keys(index: Index) -> list[tuple[str, int]]:
    """Return the keys of the MongoDB index: its fields, then the key unless the fields alone must be unique."""
    keys = [(f"x.{field}", 1) for field in index.fields]
    return keys if index.unique else [*keys, ("k", 1)]


def filters_of(query: Query) -> list[Fields]:
    """Return one filter, or two where a page begins in the middle of equal values; results follow each other."""
    index = check_query(query)
    base: Fields = {
        f"x.{name}": stored_index_value(value) for name, value in zip(index.fields, query.equal, strict=False)
    }
    beyond = "$lt" if query.descending else "$gt"
    if len(query.equal) == len(index.fields):
        return [base | ({"k": {beyond: query.after[1]}} if query.after else {})]
    last = f"x.{index.fields[-1]}"
    bounds = _bounds(query.lower, query.upper)
    if query.after is None:
        return [base | {last: bounds}]
    value, key = stored_index_value(query.after[0]), query.after[1]
    tied = base | {"$and": [{last: value}, {last: bounds}], "k": {beyond: key}}
    return [tied, base | {"$and": [{last: {beyond: value}}, {last: bounds}]}]


def sort_of(query: Query) -> list[tuple[str, int]]:
    """Return the order of `query`."""
    index = check_query(query)
    direction = -1 if query.descending else 1
    names = [] if len(query.equal) == len(index.fields) else [f"x.{index.fields[-1]}"]
    if not (names and index.unique):  # in a unique index no two documents share the last field
        names.append("k")
    return [(name, direction) for name in names]


def _bounds(lower: IndexValue | None, upper: IndexValue | None) -> Fields:
    """Return the range within the type of its bounds, said in full: not every server keeps types apart by itself."""
    bounds: Fields = {"$exists": True}
    if lower is not None:
        bounds["$gte"] = stored_index_value(lower)
    if upper is not None:
        bounds["$lte"] = stored_index_value(upper)
    kind = type(lower if lower is not None else upper)
    if lower is None and upper is not None:
        bounds["$gte"] = {int: _INT_MIN, str: "", bytes: _BYTES}[kind]
    if upper is None and lower is not None and kind is not bytes:
        bounds |= {"$lte": _INT_MAX} if kind is int else {"$lt": _BYTES}
    return bounds


def _order_of(events: Mapping[str, Fields]) -> int:
    return min(int(entry["n"]) for entry in events.values())
