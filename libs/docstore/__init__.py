"""Documents by key and by declared index; see store.py for the contract."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.places import database_name, sqlite_path
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Store

__all__ = ["open_store"]


async def open_store(url: str, name: str, collections: Sequence[Collection]) -> Store:
    """Open the store of service `name`: "sqlite:<directory>" or "mongodb://…" (also "mongodb+srv://…").

    Raises: UnavailableError, InternalError("storage_format_unknown"), ValueError for any other URL (without its text,
    which may hold a password).
    """
    path = sqlite_path(url, name)
    if path is not None:
        return await SqliteStore.open(path, collections)
    from libs.docstore.mongo import MongoStore  # the driver costs memory and time that SQLite does not need

    return await MongoStore.open(url, database_name(name), collections)
