"""The MongoDB engine, through motor: one document is one atomic unit, and every write is majority and journalled.

Reads ask the primary for what a majority has, so they see everything that was acknowledged before them and nothing that
a change of primary can take back. Pages are cut by range on an index that ends in the key; where a page begins among
equal values, a second query follows the first, for one filter with `$or` would walk all of them.

motor lives in this file alone. Collections shard by `_id`: keys begin with what belongs together.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import UpdateOne
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from libs.docstore.changes import prepare
from libs.docstore.mongo_codec import event_name, filters_of, index_keys, sort_of, to_document, to_pending
from libs.docstore.mongo_schema import migrate
from libs.docstore.mongo_writes import Writes
from libs.docstore.opening import Opening
from libs.docstore.store import Collection, Document, IndexValue, Operation, PendingEvent, Query, Written
from libs.docstore.values import MAX_RESULTS, check_collections, index_named
from libs.runtime.clock import Clock, SystemClock
from libs.runtime.errors import SealpostError, UnavailableError

_OPTIONS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 3000,
    "socketTimeoutMS": 15000,
    "waitQueueTimeoutMS": 10000,
    "maxPoolSize": 32,
    "appname": "sealpost",
}
_WRITE = WriteConcern(w="majority", j=True, wtimeout=10_000)
_PIECE = 500


class MongoStore:
    """Implements libs.docstore.store.Store. Open it with `open`."""

    def __init__(self, client: Any, database: str, collections: Sequence[Collection], clock: Clock) -> None:
        """Take a client; `open` is the way in."""
        self._client = client
        self._database = database_of(client, database)
        self._collections = list(collections)
        self._clock = clock
        self._last_order = 0
        self._closed = False
        self._writes = Writes(self._handle, self._order)

    @classmethod
    def open(
        cls, uri: str, database: str, collections: Sequence[Collection], clock: Clock | None = None
    ) -> Opening[MongoStore]:
        """Connect, and bring the indexes of `collections` to what they declare. Options in `uri` go before ours.

        Await it, or enter it with `async with`. Raises: UnavailableError("storage_unavailable"), ValueError for
        collections that cannot be.
        """
        return Opening(cls._opened(uri, database, collections, clock or SystemClock()))

    @classmethod
    async def _opened(cls, uri: str, database: str, collections: Sequence[Collection], clock: Clock) -> MongoStore:
        check_collections(collections)
        store = cls(make_client(uri), database, collections, clock)
        try:
            async with store._guarded():
                for collection in collections:
                    await migrate(store._handle(collection), collection)
        except BaseException:
            await store.close()
            raise
        return store

    async def __aenter__(self) -> MongoStore:
        """Return the store itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def write(self, operation: Operation) -> Written:
        """See Store. Raises also ExhaustedError("queue_full")."""
        (result,) = await self.write_many((operation,))
        if isinstance(result, Exception):
            raise result
        return result

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """See Store. Raises also ExhaustedError("queue_full")."""
        results: list[Written | Exception] = []
        prepared = {}
        for position, operation in enumerate(operations):
            try:
                prepared[position] = prepare(operation)
                results.append(Written(0))
            except SealpostError as error:
                results.append(error)
        async with self._guarded():
            answers = await self._writes.apply(list(prepared.values()))
        for position, answer in zip(prepared, answers, strict=True):
            results[position] = answer
        return results

    async def get(self, collection: Collection, key: str) -> Document | None:
        """See Store."""
        return (await self.get_many(collection, (key,))).get(key)

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        """See Store."""
        if len(keys) > MAX_RESULTS:
            raise ValueError(f"at most {MAX_RESULTS} keys")
        async with self._guarded():
            cursor = self._handle(collection).find({"_id": {"$in": list(keys)}}, projection={"ev": 0})
            found = [to_document(raw) for raw in await cursor.to_list(len(keys) or 1)]
        return {document.key: document for document in found}

    async def find(self, query: Query) -> list[Document]:
        """See Store."""
        filters, order = filters_of(query), sort_of(query)
        found: list[Any] = []
        async with self._guarded():
            for chosen in filters:
                left = query.limit - len(found)
                if left > 0:
                    cursor = self._handle(query.collection).find(chosen, projection={"ev": 0}, sort=order, limit=left)
                    found += await cursor.to_list(left)
        return [to_document(raw) for raw in found]

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        """See Store. All are the collection's own number, which costs nothing and is exact but for a crash."""
        async with self._guarded():
            if index:
                keys = index_keys(index_named(collection, index))
                present = {name: {"$exists": True} for name, _ in keys}
                number: int = await self._handle(collection).count_documents(present, hint=keys, limit=at_most)
            else:
                number = await self._handle(collection).estimated_document_count()
        return min(number, at_most)

    def files(self) -> tuple[Path, ...]:
        """See Store: they are the server's."""
        return ()

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        """See Store. Chooses the lowest, then deletes those of them that are still in the range."""
        deleted = 0
        while deleted < limit:
            query = Query(collection, index, equal, upper=upper, limit=min(limit - deleted, _PIECE))
            (chosen,), order = filters_of(query), sort_of(query)
            async with self._guarded():
                handle = self._handle(collection)
                raw = await handle.find(chosen, projection={"_id": 1}, sort=order, limit=query.limit).to_list(
                    query.limit
                )
                if not raw:
                    break
                result = await handle.delete_many({"_id": {"$in": [item["_id"] for item in raw]}, **chosen})
            deleted += result.deleted_count
            if len(raw) < query.limit:
                break
        return deleted

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        """See Store."""
        async with self._guarded():
            pages = await asyncio.gather(*(self._pending_in(collection, limit) for collection in self._collections))
        oldest_first = sorted((found for page in pages for found in page), key=lambda found: found[0])
        return [event for _, events in oldest_first for event in events][:limit]

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        """See Store."""
        documents: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        handles = {}
        for item in events:
            handles[item.collection.name] = self._handle(item.collection)
            documents[item.collection.name][item.key].append(event_name(item.event))
        async with self._guarded():
            for name, keys in documents.items():
                forget = [
                    UpdateOne(
                        {"_id": key, f"ev.{event}": {"$exists": True}},
                        {"$unset": {f"ev.{event}": ""}, "$inc": {"en": -1}},
                    )
                    for key, names in keys.items()
                    for event in names
                ]
                await handles[name].bulk_write(forget, ordered=False)
                rest = [UpdateOne({"_id": key, "en": 0}, _NOTHING_PENDING) for key in keys]
                await handles[name].bulk_write(rest, ordered=False)

    async def compact(self) -> None:
        """See Store: WiredTiger overwrites freed blocks in its own time, and no command makes it sooner."""

    async def close(self) -> None:
        """See Store."""
        self._closed = True
        await self._writes.close()
        self._client.close()

    aclose = close

    async def _pending_in(self, collection: Collection, limit: int) -> list[tuple[int, list[PendingEvent]]]:
        handle = self._handle(collection)
        cursor = handle.find(
            {"q": {"$gt": 0}}, projection={"ev": 1, "en": 1, "q": 1, "v": 1}, sort=[("q", 1)], limit=limit
        )
        found = []
        for raw in await cursor.to_list(limit):
            events = to_pending(collection, raw)
            if not events:
                # An event that was already pending was announced again, so the count never reaches zero by itself.
                await handle.update_one({"_id": raw["_id"], "v": raw["v"], "en": raw["en"]}, _NOTHING_PENDING)
            found.append((int(raw["q"]), events))
        return found

    def _handle(self, collection: Collection) -> Any:
        return self._database[collection.name]

    def _order(self) -> int:
        """Return a number that grows with time and with every call: microseconds."""
        now = int(self._clock.now().timestamp() * 1_000_000)
        self._last_order = max(self._last_order + 1, now)
        return self._last_order

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        if self._closed:
            raise UnavailableError("storage_closed")
        try:
            yield
        except PyMongoError as error:
            raise UnavailableError("storage_unavailable", retry_after=1.0) from error


_NOTHING_PENDING = {"$unset": {"ev": "", "en": "", "q": ""}}


def make_client(uri: str) -> Any:
    """Return a client; options in `uri` go before ours. The caller closes it."""
    said = {name.lower() for name in parse_qs(urlsplit(uri).query)}
    return AsyncIOMotorClient(uri, **{name: value for name, value in _OPTIONS.items() if name.lower() not in said})


def database_of(client: Any, name: str) -> Any:
    """Return a database from which only durable documents are read, and to which only durably is written."""
    return client.get_database(
        name,
        write_concern=_WRITE,
        read_concern=ReadConcern("majority"),
        read_preference=ReadPreference.PRIMARY,
    )
