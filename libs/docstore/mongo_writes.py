"""Operations as conditional updates of single documents: the condition stands in the filter, so it is checked and kept
by the server in one step. If nothing matched, a second look tells why; if by then nothing stands in the way any more,
somebody else was in between, and the operation begins again.

Inserts of concurrent callers are one unordered bulk write for each collection, whose errors name the documents they
belong to. Updates are not: a bulk write only counts how many matched.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymongo import InsertOne, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from libs.docstore.changes import Prepared, advance, make_state
from libs.docstore.mongo_codec import (
    Fields,
    add_events,
    event_fields,
    field_path,
    new_document,
    patch_update,
    split,
    to_document,
)
from libs.docstore.store import Collection, Delete, Increment, Insert, Patch, Replace, Written
from libs.docstore.values import decode_body
from libs.runtime.backoff import Backoff
from libs.runtime.batch import Batcher
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InternalError,
    NotFoundError,
    SealpostError,
    UnavailableError,
)

_DUPLICATE = 11000
_INT_MAX = 2**63 - 1
_MAX_UNDER_WAY = 20_000
_RACES = Backoff(first=0.002, ceiling=0.2, attempts=30)
_ON_KEY = re.compile(r"index: _id_|\._id\b")


class Writes:
    """Applies prepared operations to one database."""

    def __init__(self, handle: Callable[[Collection], Any], order: Callable[[], int]) -> None:
        """`handle` gives the driver's collection; `order` grows with every call and orders pending events."""
        self._handle = handle
        self._order = order
        self._under_way = 0
        self._inserts: Batcher[Prepared, Written] = Batcher(
            self._insert_many,
            max_items=500,
            max_weight=8 * 1024 * 1024,
            weigh=lambda prepared: prepared.weight,
            max_delay=0,
            concurrency=4,
            max_queued=64 * 1024 * 1024,
        )

    async def apply(self, batch: Sequence[Prepared]) -> list[Written | Exception]:
        """Apply `batch`, in order where operations touch the same document; results in order."""
        if self._under_way and self._under_way + len(batch) > _MAX_UNDER_WAY:
            raise ExhaustedError("queue_full", retry_after=1.0)
        self._under_way += len(batch)
        try:
            places: dict[tuple[str, str], list[int]] = defaultdict(list)
            for position, prepared in enumerate(batch):
                places[prepared.collection.name, prepared.key].append(position)
            results: list[Written | Exception] = [InternalError("unanswered")] * len(batch)
            await asyncio.gather(*(self._in_order(batch, places[place], results) for place in places))
            return results
        finally:
            self._under_way -= len(batch)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._inserts.close()

    async def _in_order(
        self, batch: Sequence[Prepared], positions: Sequence[int], results: list[Written | Exception]
    ) -> None:
        for position in positions:
            try:
                results[position] = await self._apply_one(batch[position])
            except SealpostError as error:
                results[position] = error
            except DuplicateKeyError as error:
                results[position] = _caused(ConflictError("duplicate"), error)
            except PyMongoError as error:
                results[position] = _caused(UnavailableError("storage_unavailable", retry_after=1.0), error)

    async def _apply_one(self, prepared: Prepared) -> Written:
        operation = prepared.operation
        if isinstance(operation, Insert):
            return await self._inserts.submit(prepared)
        attempt = {Replace: self._replace, Patch: self._patch, Delete: self._delete, Increment: self._increment}
        async for _ in _RACES:
            written: Written | None = await attempt[type(operation)](operation)  # type: ignore[operator]
            if written is not None:
                return written
        raise UnavailableError("storage_contended", retry_after=1.0)

    async def _insert_many(self, batch: Sequence[Prepared]) -> list[Written | Exception]:
        results: list[Written | Exception] = [Written(1)] * len(batch)
        places: dict[str, list[int]] = defaultdict(list)
        for position, prepared in enumerate(batch):
            places[prepared.collection.name].append(position)
        await asyncio.gather(*(self._insert_into(batch, positions, results) for positions in places.values()))
        return results

    async def _insert_into(
        self, batch: Sequence[Prepared], positions: Sequence[int], results: list[Written | Exception]
    ) -> None:
        requests = [InsertOne(self._new(batch[position])) for position in positions]
        try:
            await self._handle(batch[positions[0]].collection).bulk_write(requests, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                _fail(positions, results, error)
            for refused in details.get("writeErrors", ()):
                results[positions[refused["index"]]] = _insert_error(refused, error)
        except PyMongoError as error:
            _fail(positions, results, error)

    def _new(self, prepared: Prepared) -> Fields:
        operation = prepared.operation
        body = operation.body if isinstance(operation, Insert) else {}
        return new_document(prepared.collection, prepared.key, body, event_fields(prepared.events, self._order()))

    async def _replace(self, operation: Replace) -> Written | None:
        rest, indexed = split(operation.collection, operation.body)
        update = {"$set": {"b": rest, "x": indexed}, "$inc": {"v": 1}}
        return await self._update(operation, add_events(update, event_fields(operation.events, self._order())))

    async def _patch(self, operation: Patch) -> Written | None:
        update = patch_update(operation.collection, operation.fields)
        update["$set"]["k"] = operation.key  # never empty, which older servers refuse
        return await self._update(operation, add_events(update, event_fields(operation.events, self._order())))

    async def _update(self, operation: Replace | Patch, update: Fields) -> Written | None:
        handle = self._handle(operation.collection)
        if operation.version is not None:
            result = await handle.update_one(_filter(operation), update)
            if result.matched_count:
                return Written(operation.version + 1)
        else:
            after = await handle.find_one_and_update(
                _filter(operation), update, projection={"v": 1}, return_document=ReturnDocument.AFTER
            )
            if after is not None:
                return Written(int(after["v"]))
        await self._why(operation)
        return None

    async def _delete(self, operation: Delete) -> Written | None:
        before = await self._handle(operation.collection).find_one_and_delete(_filter(operation), projection={"v": 1})
        if before is not None:
            return Written(int(before["v"]))
        await self._why(operation)
        return None

    async def _why(self, operation: Replace | Patch | Delete) -> None:
        """Raise what stands in the way of `operation`; return if nothing does any more."""
        found = await self._handle(operation.collection).find_one({"_id": operation.key}, projection={"v": 1})
        if found is None:
            raise NotFoundError("document_not_found")
        if operation.version is not None and found["v"] != operation.version:
            raise ConflictError("version")

    async def _increment(self, operation: Increment) -> Written | None:
        handle = self._handle(operation.collection)
        after = await handle.find_one_and_update(
            *_addition(operation), projection={"ev": 0}, return_document=ReturnDocument.AFTER
        )
        if after is not None:
            document = to_document(after)
            return Written(document.version, document.body)
        return await self._increment_by_version(handle, operation)

    async def _increment_by_version(self, handle: Any, operation: Increment) -> Written | None:
        raw = await handle.find_one({"_id": operation.key}, projection={"ev": 0})
        prepared = Prepared(operation, None, (), 0)
        stored = None
        if raw is not None:
            document = to_document(raw)
            stored = make_state(operation.collection, document.body, document.version)
        state = advance(prepared, stored)
        body = decode_body(state.raw) if state is not None else {}
        if raw is None:
            try:
                await handle.insert_one(new_document(operation.collection, operation.key, body, {}))
            except DuplicateKeyError as error:
                if _is_on_key(error.details or {}):
                    return None
                raise
            return Written(1, body)
        rest, indexed = split(operation.collection, body)
        update = {"$set": {"b": rest, "x": indexed}, "$inc": {"v": 1}}
        result = await handle.update_one({"_id": operation.key, "v": raw["v"]}, update)
        return Written(int(raw["v"]) + 1, body) if result.matched_count else None


def _addition(operation: Increment) -> tuple[Fields, Fields]:
    """Return filter and update that add in place if every field exists and stays within its bounds."""
    chosen: Fields = {"_id": operation.key}
    added: Fields = {"v": 1}
    for name, delta in operation.deltas.items():
        path = field_path(operation.collection, name)
        ceiling = operation.ceilings.get(name)
        highest = _INT_MAX - max(delta, 0) if ceiling is None or delta <= 0 else ceiling - delta
        chosen[path] = {"$gte": max(0, -delta), "$lte": highest}
        added[path] = delta
    return chosen, {"$inc": added}


def _filter(operation: Replace | Patch | Delete) -> Fields:
    chosen: Fields = {"_id": operation.key}
    if operation.version is not None:
        chosen["v"] = operation.version
    return chosen


def _insert_error(refused: Mapping[str, Any], cause: Exception) -> SealpostError:
    if refused.get("code") != _DUPLICATE:
        return _caused(UnavailableError("storage_unavailable", retry_after=1.0), cause)
    return _caused(ConflictError("exists" if _is_on_key(refused) else "duplicate"), cause)


def _is_on_key(details: Mapping[str, Any]) -> bool:
    pattern = details.get("keyPattern")
    if pattern:
        return "_id" in pattern
    return _ON_KEY.search(str(details.get("errmsg", ""))) is not None


def _fail(positions: Sequence[int], results: list[Written | Exception], cause: Exception) -> None:
    for position in positions:
        results[position] = _caused(UnavailableError("storage_unavailable", retry_after=1.0), cause)


def _caused(error: SealpostError, cause: Exception) -> SealpostError:
    error.__cause__ = cause
    return error
