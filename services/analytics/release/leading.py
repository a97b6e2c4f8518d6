"""Who coordinates releases, and how far they are: one document that is both lease and progress.

Whatever the coordinator writes of its progress is conditional on the version that it read or wrote last, so that one
who has lost the lease finds out before it moves anything on. What must not happen twice does not hang on the lease: a
debit is idempotent, and an outcome is created only once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Insert, Replace, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from libs.runtime.ids import new_id

KINDS = ("hour", "day")
COORDINATORS = Collection("coordinator", fields=("owner", "until", *KINDS))
_KEY = "releases"


@dataclass(frozen=True)
class Progress:
    """`next`: for each kind of window the start of the first that has not been dealt with; absent before the first."""

    next: Mapping[str, int]
    version: int = 0


class Leading:
    """One replica's claim to coordinate."""

    def __init__(self, store: Store, clock: Clock, seconds: int) -> None:
        """Hold the lease for `seconds` after each renewal."""
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._owner = new_id()

    async def take(self) -> Progress | None:
        """Take the lease, or keep it, renewed when a third of it is over; None while somebody else holds it.

        Raises: UnavailableError.
        """
        document = await self._store.get(COORDINATORS, _KEY)
        if document is None:
            return await self._write(Progress({}))
        left = number(document.body, "until") - unix_seconds(self._clock)
        if text(document.body, "owner") != self._owner:
            if left > 0:
                return None
        elif left > self._seconds * 2 // 3:
            return _progress(document)
        return await self._write(_progress(document))

    async def renew(self, progress: Progress) -> Progress | None:
        """Renew the lease and write down the progress; None where it is lost. Raises: UnavailableError."""
        return await self._write(progress)

    async def read(self) -> Progress:
        """Return how far the releases are."""
        document = await self._store.get(COORDINATORS, _KEY)
        return Progress({}) if document is None else _progress(document)

    async def _write(self, progress: Progress) -> Progress | None:
        until = unix_seconds(self._clock) + self._seconds
        body: Body = {"owner": self._owner, "until": until, **progress.next}
        try:
            if progress.version == 0:
                written = await self._store.write(Insert(COORDINATORS, _KEY, body))
            else:
                written = await self._store.write(Replace(COORDINATORS, _KEY, body, progress.version))
        except ConflictError:
            return None
        return replace(progress, version=written.version)


def _progress(document: Document) -> Progress:
    known = {kind: number(document.body, kind) for kind in KINDS if kind in document.body}
    return Progress(known, document.version)
