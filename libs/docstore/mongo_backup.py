"""Copies of MongoDB databases, collection by collection, through the driver: what it takes is an address.

Documents are written one after the other as BSON, which says its own length. A document is the unit that changes as a
whole (store.py), so a copy that was taken while others wrote holds each document as it was at some moment.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from libs.docstore.backup import BackupError

_BATCH = 500
_MOST = 17 * 1024 * 1024
SUFFIX = ".bson"


async def save_database(uri: str, database: str, folder: Path) -> list[str]:
    """Copy each collection of `database` into a file of `folder`; return their names. Raises: BackupError, OSError."""
    client: Any = AsyncIOMotorClient(uri, document_class=RawBSONDocument)
    try:
        names = sorted(name for name in await client[database].list_collection_names() if "." not in name)
        for name in names:
            path = folder / f"{database}.{name}{SUFFIX}"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                async for document in client[database][name].find({}, batch_size=_BATCH):
                    file.write(document.raw)
                file.flush()
                os.fsync(file.fileno())
    except PyMongoError as error:
        raise BackupError(f"{database} cannot be copied") from error
    finally:
        client.close()
    return names


async def restore_database(uri: str, database: str, folder: Path) -> list[str]:
    """Put the files of `folder` back into `database`, which must be empty; return the names of the collections.

    Indexes are made by the services when they start. Raises: BackupError, OSError.
    """
    client: Any = AsyncIOMotorClient(uri, document_class=RawBSONDocument)
    try:
        if await client[database].list_collection_names():
            raise BackupError(f"{database} is not empty")
        restored = []
        for path in _files(folder, database):
            name = path.name.removeprefix(f"{database}.").removesuffix(SUFFIX)
            with path.open("rb") as file:
                for batch in _batches(file, path.name):
                    await client[database][name].insert_many(batch, ordered=False)
            restored.append(name)
    except PyMongoError as error:
        raise BackupError(f"{database} cannot be restored") from error
    finally:
        client.close()
    return restored


def _files(folder: Path, database: str) -> list[Path]:
    return sorted(folder.glob(f"{database}.*{SUFFIX}"))


def _batches(file: IO[bytes], name: str) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    while head := file.read(4):
        if len(head) < 4:
            raise BackupError(f"{name} is cut short")
        (length,) = struct.unpack("<i", head)
        if not 5 <= length <= _MOST:
            raise BackupError(f"{name} is damaged")
        rest = file.read(length - 4)
        if len(rest) < length - 4:
            raise BackupError(f"{name} is cut short")
        batch.append(RawBSONDocument(head + rest))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
