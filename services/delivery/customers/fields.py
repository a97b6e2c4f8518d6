"""Lists in pages, and inserts whose second time is as good as the first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from libs.docstore.fields import number
from libs.docstore.store import Body, Collection, Document, Insert, Patch, Query, Store, Written
from libs.runtime.errors import ConflictError, InternalError, InvalidError, NotFoundError

MOST_PER_PAGE = 200
_USUAL_PER_PAGE = 50


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
    return are_new(await store.write_many(operations))


async def patch_quietly(store: Store, collection: Collection, key: str, fields: Body) -> None:
    """Set fields of a document; one that is gone needs none."""
    try:
        await store.write(Patch(collection, key, fields))
    except NotFoundError:
        return


def are_new(results: Sequence[Written | Exception]) -> list[bool]:
    """Return which of these inserts made a document. Raises what else than an older one stood in the way."""
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConflictError):
            raise result
    return [not isinstance(result, Exception) for result in results]


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
