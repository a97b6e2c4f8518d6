"""Reading fields of documents. What does not have its type was not written by us: our fault, never the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from libs.docstore.store import Body, Collection, Delete, Store, Value
from libs.runtime.errors import InternalError, NotFoundError

E = TypeVar("E", bound=StrEnum)


def text(body: Body, name: str) -> str:
    """Return a string field. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InternalError("document_damaged")
    return value


def texts(body: Body, name: str) -> tuple[str, ...]:
    """Return a field that is a list of strings. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, list):
        raise InternalError("document_damaged")
    return tuple(text({"item": item}, "item") for item in value)


def choice(kind: type[E], value: str) -> E:
    """Return a word of a vocabulary. Raises: InternalError("document_damaged")."""
    try:
        return kind(value)
    except ValueError as error:
        raise InternalError("document_damaged") from error


def number(body: Body, name: str, absent: int | None = None) -> int:
    """Return an integer field, `absent` where there is none. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if value is None and absent is not None:
        return absent
    if not isinstance(value, int) or isinstance(value, bool):
        raise InternalError("document_damaged")
    return value


def blob(body: Body, name: str) -> bytes:
    """Return a field of bytes. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, bytes):
        raise InternalError("document_damaged")
    return value


def nested(body: Body, name: str) -> Mapping[str, Value]:
    """Return a field that is a document. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise InternalError("document_damaged")
    return value


async def delete_quietly(store: Store, collection: Collection, keys: Sequence[str]) -> None:
    """Delete documents; one that is gone already is as it should be. Raises what else goes wrong."""
    for result in await store.write_many([Delete(collection, key) for key in keys]):
        if isinstance(result, Exception) and not isinstance(result, NotFoundError):
            raise result
