"""Objects: the few things that an owner keeps beside mail, sealed by his client, each one document with a revision.

Two of his clients may change the same one, and none of us can merge what is sealed: so a write names the revision that
it replaces, and whoever comes second is told, reads again and merges. They are bounded by their number and size, 512
KiB for a mailbox in all, and not counted: a full mailbox must not keep its owner from changing a setting.

Settings go when their owner does not come any more. The day of the last access is kept, not the time, and is written
at most once a day; the time that they stay begins when that day is over. A document has the terms of its owner in it,
so that each set of terms is one range of the index. What is over is not given out any more, swept or not.
"""

from __future__ import annotations

from libs.docstore.store import Body, Collection, Delete, Document, Insert, Patch, Replace, Store
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from services.storage.domain import MAX_OBJECT_BYTES, Object, check_object
from services.storage.erased import ErasedMailboxes
from services.storage.limits import Gate, limited
from services.storage.repository import CONTACTS, SETTINGS, number

DAY = 86_400
RULE = "preferences_seconds"
_COLLECTIONS = {"contacts": CONTACTS, "settings": SETTINGS}
_ATTEMPTS = 4


class Objects:
    """The objects of all mailboxes."""

    def __init__(self, store: Store, gate: Gate, erased: ErasedMailboxes, terms: Terms, clock: Clock) -> None:
        """Keep them in `store`."""
        self._store = store
        self._gate = gate
        self._erased = erased
        self._terms = terms
        self._clock = clock

    async def get(self, mailbox_id: str, name: str, terms: int = 0) -> Object:
        """Return an object, an empty one of version 0 where there is none. `terms`: the version its owner has.

        Raises: InvalidError("object"), NotFoundError("mailbox") if it is erased.
        """
        collection, key = self._place(mailbox_id, name)
        with self._gate.inside():
            await self._erased.check(mailbox_id)
            found = await self._live(collection, key)
            if found is None:
                return Object(b"", 0)
            if collection is SETTINGS:
                await self._touch(found, terms)
        return _object(found)

    async def look(self, mailbox_id: str, name: str) -> Object | None:
        """Return an object, None where there is none; no access. Raises: InvalidError("object")."""
        found = await self._live(*self._place(mailbox_id, name))
        return None if found is None else _object(found)

    async def put(self, mailbox_id: str, name: str, given: Object, terms: int = 0) -> Object:
        """Replace the object of the version in `given` (0: there is none yet); return the new one.

        Raises: InvalidError("object" | "object_size"), ConflictError("version"), NotFoundError("mailbox"),
        UnavailableError.
        """
        collection, key = self._place(mailbox_id, name)
        if not 1 <= len(given.sealed) <= MAX_OBJECT_BYTES:
            raise InvalidError("object_size")
        body: Body = {"sealed": given.sealed, "revision": given.version + 1}
        if collection is SETTINGS:
            body = {**body, **self._touched(terms)}
        with self._gate.inside():
            async with limited():
                await self._erased.check(mailbox_id)
                for _ in range(_ATTEMPTS):
                    if await self._replace(collection, key, body, given.version):
                        return Object(given.sealed, given.version + 1)
        raise ConflictError("version")

    async def delete(self, mailbox_id: str, name: str) -> None:
        """Delete an object, if there is one. Raises: InvalidError("object")."""
        collection, key = self._place(mailbox_id, name)
        try:
            await self._store.write(Delete(collection, key))
        except NotFoundError:
            return

    async def _replace(self, collection: Collection, key: str, body: Body, version: int) -> bool:
        """Write over the object of this version; False if the document moved meanwhile, by a mere look perhaps."""
        stored = await self._store.get(collection, key)
        live = stored if stored is not None and not self._is_over(collection, stored) else None
        if version != (0 if live is None else _object(live).version):
            raise ConflictError("version")
        try:
            if stored is None:
                await self._store.write(Insert(collection, key, body))
            else:
                await self._store.write(Replace(collection, key, body, stored.version))
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _live(self, collection: Collection, key: str) -> Document | None:
        found = await self._store.get(collection, key)
        return None if found is None or self._is_over(collection, found) else found

    def _is_over(self, collection: Collection, found: Document) -> bool:
        return collection is SETTINGS and unix_seconds(self._clock) >= self.due(found)

    def due(self, found: Document) -> int:
        """Return when the settings in a document are over, Unix seconds."""
        rule = self._terms.rule(RULE, number(found.body, "terms"))
        return (number(found.body, "touched") + 1) * DAY + rule

    def over(self, until: int, terms: int) -> int:
        """Return the last day whose settings, under these terms, are over at `until`."""
        return (until - self._terms.rule(RULE, terms)) // DAY - 1

    def _touched(self, terms: int) -> Body:
        return {"terms": terms, "touched": unix_seconds(self._clock) // DAY}

    async def _touch(self, found: Document, terms: int) -> None:
        """Note the day, unless it is noted. A clock that went back notes nothing: nothing may go early for that."""
        fields = self._touched(terms)
        if number(found.body, "touched") >= number(fields, "touched") and number(found.body, "terms") == terms:
            return
        fields = {**fields, "touched": max(number(found.body, "touched"), number(fields, "touched"))}
        try:
            await self._store.write(Patch(SETTINGS, found.key, fields, version=found.version))
        except (ConflictError, NotFoundError, UnavailableError):
            return  # somebody else was here today; or nothing can be written now, and reading goes on

    @staticmethod
    def _place(mailbox_id: str, name: str) -> tuple[Collection, str]:
        check_object(mailbox_id, name)
        return _COLLECTIONS[name], object_key(mailbox_id, name)


def object_key(mailbox_id: str, name: str) -> str:
    """Return the key of an object."""
    return f"{mailbox_id}/{name}"


def _object(found: Document) -> Object:
    sealed = found.body["sealed"]
    # Of before there were revisions: the version of the document.
    return Object(sealed if isinstance(sealed, bytes) else b"", number(found.body, "revision") or found.version)
