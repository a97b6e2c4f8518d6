"""Fields of documents, lists in pages, and writes whose second time is as good as the first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from libs.docstore.store import Body, Collection, Delete, Document, Insert, Query, Store
from libs.runtime.errors import ConflictError, InternalError, InvalidError, NotFoundError

MOST_PER_PAGE = 200
_USUAL_PER_PAGE = 50


def text(body: Body, name: str) -> str:
    """Return a string field. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InternalError("document_damaged")
    return value


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


def texts(body: Body, name: str) -> tuple[str, ...]:
    """Return a field that is a list of strings. Raises: InternalError("document_damaged")."""
    value = body.get(name)
    if not isinstance(value, list):
        raise InternalError("document_damaged")
    return tuple(text({"item": item}, "item") for item in value)


def page_size(limit: int) -> int:
    """Return how many a page has; 0 asks for 50. Raises: InvalidError("limit") outside of 1 to 200."""
    if not 0 <= limit <= MOST_PER_PAGE:
        raise InvalidError("limit")
    return limit or _USUAL_PER_PAGE


def cursor_after(field: str, documents: Sequence[Document], limit: int) -> str:
    """Return the cursor behind a page that was read by an index ending in `field`, "" where it was the last."""
    if len(documents) < limit:
        return ""
    last = documents[-1]
    return base64.urlsafe_b64encode(f"{number(last.body, field)}/{last.key}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, str] | None:
    """Return where a page begins. Raises: InvalidError("cursor")."""
    if not cursor:
        return None
    try:
        value, _, key = base64.urlsafe_b64decode(cursor[:400] + "=" * (-len(cursor) % 4)).decode("ascii").partition("/")
        place = int(value), key
    except (binascii.Error, ValueError) as error:
        raise InvalidError("cursor") from error
    if not key or not 0 <= place[0] < 2**62:
        raise InvalidError("cursor")
    return place


async def insert_new(store: Store, operations: Sequence[Insert]) -> list[bool]:
    """Insert documents; return which of them are new. Raises what else goes wrong."""
    news = []
    for result in await store.write_many(operations):
        if isinstance(result, Exception) and not isinstance(result, ConflictError):
            raise result
        news.append(not isinstance(result, Exception))
    return news


async def delete_quietly(store: Store, collection: Collection, keys: Sequence[str]) -> None:
    """Delete documents; one that is gone already is as it should be. Raises what else goes wrong."""
    for result in await store.write_many([Delete(collection, key) for key in keys]):
        if isinstance(result, Exception) and not isinstance(result, NotFoundError):
            raise result


async def find_all(store: Store, query: Query, most: int) -> list[Document]:
    """Return the documents of a query, page by page, at most `most`."""
    found: list[Document] = []
    step = query
    while len(found) < most:
        page = await store.find(step)
        found += page
        if len(page) < query.limit:
            break
        field = next(index.fields[-1] for index in query.collection.indexes if index.name == query.index)
        last = page[-1]
        value = last.body[field]
        if not isinstance(value, (int, str, bytes)):
            raise InternalError("document_damaged")
        step = Query(
            query.collection,
            query.index,
            query.equal,
            query.lower,
            query.upper,
            (value, last.key),
            query.descending,
            query.limit,
        )
    return found[:most]
