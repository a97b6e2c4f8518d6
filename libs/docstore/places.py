"""Where the store of a service lies, said by one URL: "sqlite:<directory>" or "mongodb://…" (also "mongodb+srv://…")."""

from __future__ import annotations

from pathlib import Path

_SQLITE = "sqlite:"
_MONGODB = ("mongodb://", "mongodb+srv://")


def sqlite_path(url: str, name: str) -> Path | None:
    """Return the file of service `name`; None if `url` is one of MongoDB.

    Raises ValueError for any other URL (without its text, which may hold a password).
    """
    if url.startswith(_SQLITE):
        return Path(url.removeprefix(_SQLITE)) / f"{name}.db"
    if url.startswith(_MONGODB):
        return None
    raise ValueError("the store is sqlite:<directory> or mongodb://…")


def database_name(name: str) -> str:
    """Return the MongoDB database of service `name`."""
    return f"sealpost_{name}"
