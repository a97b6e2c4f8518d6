"""Who leads: one document that is lease and fence.

Whoever takes the lease over raises its `term`. What only the leader may write (Fenced) carries the term of whoever
wrote it, and is written on condition of the version that was read: one who was stopped while it led, and goes on after
another has taken over, finds a higher term or another version, and is refused by the store itself - however late, and
whatever its own clock says. What is deleted at the owners needs no fence: a sweep or a step of an erasure done twice
does the same as done once.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Insert, Replace, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from libs.runtime.ids import new_id

LEASES = Collection("lease", fields=("owner", "term", "at", "left"))
_KEY = "retention"


class LeaseLostError(Exception):
    """Somebody else leads."""


@dataclass(frozen=True)
class Lead:
    """The right to lead, from one taking of the lease to its loss. `until`: seconds of the monotonic clock."""

    term: int
    until: float
    version: int


class Lease:
    """One replica's claim to lead."""

    def __init__(self, store: Store, clock: Clock, seconds: int) -> None:
        """Hold it for `seconds` after each renewal."""
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._owner = new_id()
        # The lease of another, and since when on our own clock it has looked like that: how wall clocks differ between
        # replicas, or jump, makes nobody lead early.
        self._seen: tuple[int, float] = (0, 0.0)

    async def take(self, lead: Lead | None) -> Lead | None:
        """Take the lease, or renew `lead`; None while somebody else holds it. Raises: UnavailableError."""
        document = await self._store.get(LEASES, _KEY)
        if document is None:
            return await self._write(None, 1)
        if lead is not None and text(document.body, "owner") == self._owner:
            return await self._write(document, lead.term)
        now = self._clock.monotonic()
        if self._seen[0] != document.version:
            self._seen = (document.version, now)
        if now - self._seen[1] <= self._seconds and not document.body.get("left"):
            return None
        return await self._write(document, number(document.body, "term") + 1)

    async def led(self) -> bool:
        """Tell whether somebody has led of late. Raises: UnavailableError."""
        document = await self._store.get(LEASES, _KEY)
        if document is None or document.body.get("left"):
            return False
        return abs(unix_seconds(self._clock) - number(document.body, "at")) <= 2 * self._seconds

    async def leave(self, lead: Lead) -> None:
        """Give the lease back, so that nobody need wait for its end. Raises: UnavailableError."""
        document = await self._store.get(LEASES, _KEY)
        if document is not None and document.version == lead.version:
            await self._write(document, lead.term, left=True)

    async def _write(self, document: Document | None, term: int, left: bool = False) -> Lead | None:
        until = self._clock.monotonic() + self._seconds
        body: Body = {"owner": self._owner, "term": term, "at": unix_seconds(self._clock), "left": left}
        try:
            if document is None:
                written = await self._store.write(Insert(LEASES, _KEY, body))
            else:
                written = await self._store.write(Replace(LEASES, _KEY, body, document.version))
        except ConflictError:
            return None
        return Lead(term, until, written.version)


class Fenced:
    """Documents that only the leader writes, each with the term of who wrote it last in its field `term`."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with the collections that are written."""
        self._store = store

    async def get(self, lead: Lead, collection: Collection, key: str) -> Document | None:
        """Return a document that `lead` may write. Raises: LeaseLostError, UnavailableError."""
        document = await self._store.get(collection, key)
        if document is not None and number(document.body, "term") > lead.term:
            raise LeaseLostError
        return document

    async def put(self, lead: Lead, collection: Collection, key: str, body: Body, before: Document | None) -> Document:
        """Put `body` in place of `before`, as `get` gave it. Raises: LeaseLostError, UnavailableError."""
        fenced: Body = {**body, "term": lead.term}
        try:
            if before is None:
                written = await self._store.write(Insert(collection, key, fenced))
            else:
                written = await self._store.write(Replace(collection, key, fenced, before.version))
        except ConflictError as error:
            raise LeaseLostError from error
        return Document(key, fenced, written.version)
