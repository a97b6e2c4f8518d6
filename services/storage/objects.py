"""Objects: the few things that an owner keeps beside mail, sealed by his client, each one document with a version.

Two of his clients may change the same one, and none of us can merge what is sealed: so a write names the version that
it replaces, and whoever comes second is told, reads again and merges. They are bounded by their number and size, 512
KiB for a mailbox in all, and not counted: a full mailbox must not keep its owner from changing a setting.
"""

from __future__ import annotations

from libs.docstore.store import Body, Insert, Replace, Store
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from services.storage.domain import MAX_OBJECT_BYTES, Object, check_object
from services.storage.limits import limited
from services.storage.repository import OBJECTS


class Objects:
    """The objects of all mailboxes."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    async def get(self, mailbox_id: str, name: str) -> Object:
        """Return an object, an empty one of version 0 where there is none. Raises: InvalidError("object")."""
        check_object(mailbox_id, name)
        found = await self._store.get(OBJECTS, _key(mailbox_id, name))
        if found is None:
            return Object(b"", 0)
        sealed = found.body["sealed"]
        return Object(sealed if isinstance(sealed, bytes) else b"", found.version)

    async def put(self, mailbox_id: str, name: str, sealed: bytes, version: int) -> Object:
        """Replace the object of this version (0: there is none yet); return the new one.

        Raises: InvalidError("object" | "object_size"), ConflictError("version"), UnavailableError.
        """
        check_object(mailbox_id, name)
        if not 1 <= len(sealed) <= MAX_OBJECT_BYTES:
            raise InvalidError("object_size")
        key = _key(mailbox_id, name)
        body: Body = {"sealed": sealed}
        operation = Replace(OBJECTS, key, body, version) if version else Insert(OBJECTS, key, body)
        try:
            async with limited():
                written = await self._store.write(operation)
        except (ConflictError, NotFoundError) as error:
            raise ConflictError("version") from error
        return Object(sealed, written.version)


def _key(mailbox_id: str, name: str) -> str:
    return f"{mailbox_id}/{name}"
