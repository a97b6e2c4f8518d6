"""Who read what, and when: one document for each read, written before the reader gets anything.

An account's own entries are found by the reader: to show them to him, and to take his name out when he is erased.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.ids import new_id

AUDIT = Collection(
    "audit",
    (Index("at", ("at",)), Index("reader", ("reader", "at"))),
    fields=("at", "reader", "what", "metric", "cut", "from", "until"),
)

WORDS = frozenset(("releases", "audit", "budget", "health", "holders", "export", "holder_granted", "holder_revoked"))
MOST = 500
# Entries of one second that a page is made longer for, so that none of them falls between two pages.
_MOST_ALIKE = 1000


@dataclass(frozen=True)
class Read:
    """What somebody reads. `since` and `until` in Unix seconds, 0 where there is no range."""

    reader: str
    what: str
    metric: str = ""
    cut: str = ""
    since: int = 0
    until: int = 0


@dataclass(frozen=True)
class Entry:
    """A read and its time in Unix seconds."""

    at: int
    read: Read


class Audit:
    """The book of reads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Use `store`, opened with AUDIT."""
        self._store = store
        self._clock = clock

    async def write(self, read: Read) -> None:
        """Note a read, durably. Raises: UnavailableError: then nothing may be answered."""
        at = unix_seconds(self._clock)
        body: Body = {
            "at": at,
            "reader": read.reader,
            "what": read.what,
            "metric": read.metric,
            "cut": read.cut,
            "from": read.since,
            "until": read.until,
        }
        await self._store.write(Insert(AUDIT, new_id(), body))

    async def list(self, before: int, limit: int) -> list[Entry]:
        """Return entries of before `before` (Unix seconds), newest first: `limit`, and all of the last one's second."""
        found = await self._store.find(Query(AUDIT, "at", upper=before - 1, descending=True, limit=limit))
        if len(found) == limit:
            last = found[-1]
            at = number(last.body, "at")
            alike = Query(AUDIT, "at", (), at, at, (at, last.key), descending=True, limit=_MOST_ALIKE)
            found += await self._store.find(alike)
        return [_entry(document) for document in found]


def _entry(document: Document) -> Entry:
    body = document.body
    reader, what, metric, cut = (text(body, name) for name in ("reader", "what", "metric", "cut"))
    return Entry(number(body, "at"), Read(reader, what, metric, cut, number(body, "from"), number(body, "until")))
