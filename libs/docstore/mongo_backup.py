"""Dumps of a MongoDB database: one file for each collection, its documents as BSON one after the other, as mongodump's.

Where the server keeps history (replica sets and sharded clusters since 5.0), all collections are read as they were at
one moment. Where it does not, or no longer, each document is whole, but what was written meanwhile may be in one
collection and not yet in another; the manifest says which it was. Indexes are not dumped: a store makes them when it
opens.

Putting a dump back begins by leaving a mark in the database and ends by removing it. A database that has the mark was
not put back to the end, and is emptied by the next attempt; one that has documents and no mark is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from libs.docstore.backup_files import NewFile, SavedFile
from libs.docstore.mongo import database_of, make_client
from libs.docstore.values import is_name
from libs.runtime.errors import ConflictError, InvalidError, UnavailableError

_BATCH_BYTES, _BATCH_DOCUMENTS = 4 * 1024 * 1024, 1000
_SNAPSHOTS_SINCE = 13
_SNAPSHOT_GONE = (239, 246)
_MARK = "restoring"
_LENGTH = 4
_MOST_BYTES = 17 * 1024 * 1024
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


async def dump(uri: str, database: str, directory: Path, prefix: str) -> tuple[list[SavedFile], bool]:
    """Write all collections to `<prefix>/<collection>.bson` in `directory`; tell whether they are of one moment.

    Raises: InvalidError("collection_unknown" | "store_unfinished") for a database that is not one of ours, or that was
    not restored to the end; UnavailableError("storage_unavailable").
    """
    async with _opened(uri, database) as (client, handle):
        names = sorted(await handle.list_collection_names())
        if _MARK in names:
            raise InvalidError("store_unfinished")
        if not all(map(is_name, names)):
            raise InvalidError("collection_unknown")
        if await _keeps_history(client):
            try:
                async with await client.start_session(snapshot=True) as session:
                    return await _dump_all(handle, names, directory / prefix, session), True
            except OperationFailure as error:
                if error.code not in _SNAPSHOT_GONE:
                    raise
        return await _dump_all(handle, names, directory / prefix, None), False


async def check_empty(uri: str, database: str) -> None:
    """Raise ConflictError("not_empty") if there are documents; not if they are those of an attempt that was ended."""
    async with _opened(uri, database) as (_, handle):
        names = await handle.list_collection_names()
        if _MARK not in names:
            for name in names:
                if await handle[name].find_one({}) is not None:
                    raise ConflictError("not_empty")


async def load(uri: str, database: str, directory: Path, files: Sequence[SavedFile]) -> None:
    """Put the documents of `files` into a database that is empty, or was left unfinished before.

    Raises: ConflictError("not_empty"), InvalidError("backup_damaged"), UnavailableError("storage_unavailable").
    """
    await check_empty(uri, database)
    async with _opened(uri, database) as (_, handle):
        if _MARK in await handle.list_collection_names():
            for name in await handle.list_collection_names():
                if name != _MARK:
                    await handle.drop_collection(name)
        await handle[_MARK].replace_one({"_id": _MARK}, {"_id": _MARK}, upsert=True)
        for saved in files:
            await _load_file(handle[Path(saved.name).stem], directory / saved.name, saved.documents)
        await handle.drop_collection(_MARK)


@asynccontextmanager
async def _opened(uri: str, database: str) -> AsyncIterator[tuple[Any, Any]]:
    client = make_client(uri)
    try:
        yield client, database_of(client, database)
    except (PyMongoError, OSError) as error:
        raise UnavailableError("storage_unavailable") from error
    finally:
        client.close()


async def _keeps_history(client: Any) -> bool:
    told = await client.admin.command("hello")
    several = "setName" in told or told.get("msg") == "isdbgrid"
    return several and int(told.get("maxWireVersion", 0)) >= _SNAPSHOTS_SINCE


async def _dump_all(handle: Any, names: Sequence[str], directory: Path, session: Any) -> list[SavedFile]:
    saved = []
    for name in names:
        file = await asyncio.to_thread(_new_file, directory / f"{name}.bson")
        try:
            documents = await _dump_collection(handle[name], file, session)
            size, digest = await asyncio.to_thread(file.finish)
        finally:
            file.close()
        saved.append(SavedFile(f"{directory.name}/{name}.bson", size, digest, documents))
    return saved


def _new_file(path: Path) -> NewFile:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # Of an attempt to read all as of one moment, which took too long.
    path.unlink(missing_ok=True)
    return NewFile(path)


async def _dump_collection(collection: Any, file: NewFile, session: Any) -> int:
    # A session of one moment says by itself how it reads.
    concern = {} if session is None else {"read_concern": ReadConcern()}
    raw = collection.with_options(codec_options=_RAW, **concern)
    batch: list[bytes] = []
    documents = size = 0
    async for document in raw.find({}, sort=[("_id", 1)], batch_size=_BATCH_DOCUMENTS, session=session):
        batch.append(document.raw)
        documents, size = documents + 1, size + len(document.raw)
        if size >= _BATCH_BYTES:
            await asyncio.to_thread(file.write, b"".join(batch))
            batch, size = [], 0
    await asyncio.to_thread(file.write, b"".join(batch))
    return documents


async def _load_file(collection: Any, path: Path, documents: int) -> None:
    batches, loaded = _batches(path), 0
    while batch := await asyncio.to_thread(next, batches, None):
        await collection.insert_many(batch, ordered=True)
        loaded += len(batch)
    if loaded != documents:
        raise InvalidError("backup_damaged")


def _batches(path: Path) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    with path.open("rb") as file:
        while head := file.read(_LENGTH):
            length = int.from_bytes(head, "little")
            if len(head) < _LENGTH or not _LENGTH < length <= _MOST_BYTES:
                raise InvalidError("backup_damaged")
            raw = head + file.read(length - _LENGTH)
            try:
                batch.append(RawBSONDocument(raw))
            except bson.errors.InvalidBSON as error:
                raise InvalidError("backup_damaged") from error
            size += length
            if size >= _BATCH_BYTES or len(batch) == _BATCH_DOCUMENTS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
