"""Bodies as BSON and index values as columns, the same for every engine.

BSON (pymongo's C extension) is what MongoDB keeps anyway; using it for SQLite too gives both engines the same notion of
which values exist, how large they may be and what comes back. Index values order as MongoDB orders them: integers,
then strings by code point, then bytes by length first and content second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import bson
from bson.errors import BSONError

from libs.docstore.store import Body, Collection, Index, IndexValue, Query, Value
from libs.runtime.errors import InvalidError

MAX_BODY_BYTES = 15 * 1024 * 1024
"""MongoDB's limit is 16 MiB for everything, pending events included."""

MAX_RESULTS = 1000

_KEY = re.compile(r"[A-Za-z0-9._:/-]{1,200}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}\Z")
_SCALARS = (str, int, bytes, type(None))
_MAX_DEPTH = 50  # MongoDB allows 100, its own levels included
LAST_TEXT = "\U0010ffff"
"""No text in an index begins with this code point, which belongs to no character: it bounds all texts from above."""

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def check_key(key: str) -> None:
    """Raise InvalidError("key_invalid") unless `key` may name a document."""
    if not _KEY.match(key):
        raise InvalidError("key_invalid")


def is_name(name: str) -> bool:
    """Tell whether a collection, an index or a field of one may have this name."""
    return _NAME.match(name) is not None


def check_collections(collections: Iterable[Collection]) -> None:
    """Raise ValueError unless every name is one that every engine can use; a fault of the programmer, found at open."""
    seen: set[str] = set()
    for collection in collections:
        names = [collection.name, *(index.name for index in collection.indexes)]
        names += [field for index in collection.indexes for field in index.fields]
        wrong = [name for name in names if not is_name(name)]
        if wrong or any(not index.fields for index in collection.indexes):
            raise ValueError(f"collection {collection.name!r}: bad names {wrong} or an index without fields")
        if collection.fields and not set(collection.index_fields) <= set(collection.fields):
            raise ValueError(f"collection {collection.name!r}: an index has a field that is not declared")
        if collection.name in seen or len({index.name for index in collection.indexes}) != len(collection.indexes):
            raise ValueError(f"collection {collection.name!r}: declared twice, or two indexes of one name")
        seen.add(collection.name)


def encode_body(body: Body) -> bytes:
    """Return `body` as BSON.

    Raises: InvalidError("field_name_invalid" | "value_invalid" | "document_too_large").
    """
    for name, value in body.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise InvalidError("field_name_invalid")
        if not isinstance(value, _SCALARS):
            _check_nested(value, _MAX_DEPTH)
    try:
        raw = bson.encode(body)
    except (BSONError, OverflowError, UnicodeError, RecursionError, TypeError) as error:
        raise InvalidError("value_invalid") from error
    if len(raw) > MAX_BODY_BYTES:
        raise InvalidError("document_too_large")
    return raw


def _check_nested(value: object, depth: int) -> None:
    if isinstance(value, _SCALARS):
        return
    if depth == 0 or not isinstance(value, list | dict):
        raise InvalidError("value_invalid")
    for item in value.values() if isinstance(value, dict) else value:
        _check_nested(item, depth - 1)


def decode_body(raw: bytes) -> dict[str, Value]:
    """Return what `encode_body` was given."""
    return bson.decode(raw)


def index_fields(collection: Collection) -> tuple[str, ...]:
    """Return the fields that take part in any index, each once, in order of declaration."""
    return collection.index_fields


def index_value(value: Value) -> IndexValue | None:
    """Return `value` if it may stand in an index, None if it is absent there.

    Raises: InvalidError("index_value_invalid") for what has no order (bool, list, dict) or no place in it.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | bytes):
        raise InvalidError("index_value_invalid")
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        raise InvalidError("index_value_invalid")
    if isinstance(value, str) and value.startswith(LAST_TEXT):
        raise InvalidError("index_value_invalid")
    return value


def column(value: Value) -> IndexValue | None:
    """Return the SQL value that compares as `value` does in MongoDB: bytes carry their length in front."""
    checked = index_value(value)
    if isinstance(checked, bytes):
        return len(checked).to_bytes(4, "big") + checked
    return checked


def columns(fields: tuple[str, ...], body: Mapping[str, Value]) -> tuple[IndexValue | None, ...]:
    """Return the SQL values of the index fields of `body`."""
    return tuple([column(body.get(field)) for field in fields])


def index_named(collection: Collection, name: str) -> Index:
    """Return the declared index; ValueError if there is none, for that is a fault of the programmer."""
    for index in collection.indexes:
        if index.name == name:
            return index
    raise ValueError(f"collection {collection.name!r} declares no index {name!r}")


def check_query(query: Query) -> Index:
    """Return the index of `query`; ValueError if the query fixes too few fields, too many, or asks for too much."""
    index = index_named(query.collection, query.index)
    if not len(index.fields) - 1 <= len(query.equal) <= len(index.fields):
        raise ValueError(f"index {index.name!r} wants all of its fields but the last, or all")
    if len(query.equal) == len(index.fields) and (query.lower is not None or query.upper is not None):
        raise ValueError("all fields are fixed: nothing is left to bound")
    if not 1 <= query.limit <= MAX_RESULTS:
        raise ValueError(f"limit is 1 to {MAX_RESULTS}")
    return index
