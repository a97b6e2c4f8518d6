"""Indexes of a MongoDB collection: made at open from what is declared, filled where they are new, dropped where gone.

A new index means that a field moves from `b` to `x` in every document that has it (see mongo_codec). Replicas of the
former version do not know that yet: stop them before, or open once more after.
"""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure

from libs.docstore.mongo_codec import Fields, index_keys, split, to_document
from libs.docstore.store import Collection, Index

_PAGE = 500
_DIFFERS = (85, 86)


async def migrate(handle: Any, collection: Collection) -> None:
    """Bring the indexes behind `handle` to what `collection` declares. Raises: PyMongoError, InvalidError."""
    present = await handle.index_information()
    kept = []
    for name, entry in present.items():
        keys = [tuple(key) for key in entry["key"]]
        if keys[0][0].startswith("x.") and keys not in map(index_keys, collection.indexes):
            await handle.drop_index(name)
        else:
            kept.append(keys)
    if any(index_keys(index) not in kept for index in collection.indexes):
        await _fill(handle, collection)
    for index in collection.indexes:
        await _ensure(handle, f"i_{index.name}", index_keys(index), _options(index))
    await _ensure(handle, "s_pending", [("q", 1)], {"partialFilterExpression": {"q": {"$gt": 0}}})


def _options(index: Index) -> Fields:
    options: Fields = {"partialFilterExpression": {f"x.{field}": {"$exists": True} for field in index.fields}}
    if index.unique:
        options["unique"] = True
    return options


async def _ensure(handle: Any, name: str, keys: list[tuple[str, int]], options: Fields) -> None:
    try:
        await handle.create_index(keys, name=name, **options)
    except OperationFailure as error:
        if error.code not in _DIFFERS:
            raise
        await handle.drop_index(name)
        await handle.create_index(keys, name=name, **options)


async def _fill(handle: Any, collection: Collection) -> None:
    last = ""
    while page := await handle.find({"_id": {"$gt": last}}, sort=[("_id", 1)], limit=_PAGE).to_list(_PAGE):
        for raw in page:
            rest, indexed = split(collection, to_document(raw).body)
            if (rest, indexed) != (raw.get("b"), raw.get("x")):
                await handle.update_one({"_id": raw["_id"], "v": raw["v"]}, {"$set": {"b": rest, "x": indexed}})
        last = page[-1]["_id"]
