"""Recount: mends counters that a crash left wrong, without stopping anybody.

A count is only as good as the moment it is for, and a mailbox changes while it is counted. So a mailbox is recounted in
a time of quiet: every change of messages also changes the version of the counters, before (a reservation) or after (a
deletion), and no operation takes longer than OPERATION_SECONDS. If the version stays the same for longer than that,
before the count and after it, then nothing was under way that the count saw by half; and the result is written on
condition that the version is still the same. A deletion that begins in the last instant was counted, and takes itself
off.

Each mailbox comes up once a day, the suspects (usage.py) first. One whose counters have not changed since its last
recount costs one read, unless that is a month ago: a crash may lose the change itself. Counting reads a bounded number
of messages in each step, so a large mailbox is counted over many steps. Counters that are all zero are deleted: an
empty mailbox leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.docstore.store import Body, Delete, Document, Operation, Patch, Query, Replace, Store, Value
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from libs.telemetry import metrics
from services.storage.domain import OPERATION_SECONDS
from services.storage.repository import MESSAGES, USAGE, number, text
from services.storage.usage import CHECK_SECONDS, Deltas, Tally, Usage, weight

QUIET_SECONDS = 4 * OPERATION_SECONDS
MAX_CANDIDATES = 500
PAGE = 500
PAGES = 4
_RESTLESS = 20
_RESTLESS_SECONDS = 3600
_STAGED = 1000
_TRUST_SECONDS = 30 * 24 * 3600
_NO_COUNTERS = {"check_at", "checked", "counted_at"}

_RECOUNTED = metrics.counter(
    "sealpost_storage_recounts_total", "Recounted mailboxes.", {"outcome": ("right", "mended", "restless")}
)


@dataclass
class _Candidate:
    """What is known of one mailbox that is being recounted."""

    suspect: bool = False
    version: int = 0
    quiet_since: int = 0
    disturbed: int = 0
    counts: Tally = field(default_factory=Tally)
    after: tuple[str, str] | None = None
    counted: bool = False

    def restart(self, version: int, now: int) -> None:
        """Begin again: it has changed."""
        self.version, self.quiet_since, self.disturbed = version, now, self.disturbed + 1
        self.counts, self.after, self.counted = Tally(), None, False


class Recount:
    """Compares counters with what is there."""

    def __init__(self, store: Store, usage: Usage, clock: Clock) -> None:
        """Work on `store`."""
        self._store = store
        self._usage = usage
        self._clock = clock
        self._candidates: dict[str, _Candidate] = {}

    async def step(self) -> int:
        """Take every candidate one step further; return 0, for what is left needs time."""
        now = unix_seconds(self._clock)
        await self._enlist(now)
        for mailbox_id, candidate in list(self._candidates.items()):
            if await self._advance(mailbox_id, candidate, now):
                del self._candidates[mailbox_id]
        return 0

    async def _enlist(self, now: int) -> None:
        while self._usage.suspects and len(self._candidates) < MAX_CANDIDATES:
            mailbox_id = next(iter(self._usage.suspects))
            del self._usage.suspects[mailbox_id]
            self._candidates.setdefault(mailbox_id, _Candidate()).suspect = True
        for found in await self._store.find(Query(USAGE, "check_at", upper=now, limit=MAX_CANDIDATES)):
            if len(self._candidates) < MAX_CANDIDATES:
                self._candidates.setdefault(found.key, _Candidate())

    async def _advance(self, mailbox_id: str, candidate: _Candidate, now: int) -> bool:
        """Take one step; return whether the mailbox is done with."""
        counters = await self._store.get(USAGE, mailbox_id)
        if counters is None:
            return True
        if not candidate.suspect and _is_unchanged(counters, now):
            return await self._finish(counters, _verified(counters, now), "right")
        if counters.version != candidate.version:
            candidate.restart(counters.version, now)
        if candidate.disturbed > _RESTLESS:
            return await self._finish(counters, _later(counters, now), "restless")
        if now - candidate.quiet_since < QUIET_SECONDS:
            return False
        if not candidate.counted:
            await self._count(mailbox_id, candidate, now)
            return False
        counts = candidate.counts.changes.get(mailbox_id, {})
        outcome = "right" if _used(counts) == _used(counters.body) else "mended"
        return await self._finish(counters, _corrected(counters, counts, now), outcome)

    async def _finish(self, counters: Document, operation: Operation, outcome: str) -> bool:
        try:
            await self._store.write(operation)
        except (ConflictError, NotFoundError):
            return False
        _RECOUNTED.inc(outcome=outcome)
        return True

    async def _count(self, mailbox_id: str, candidate: _Candidate, now: int) -> None:
        """Count some pages; when through, wait for quiet again."""
        if candidate.after is None and await self._has_staged(mailbox_id):
            candidate.quiet_since = now
            return
        for _ in range(PAGES):
            page = await self._store.find(Query(MESSAGES, "listed", (mailbox_id,), after=candidate.after, limit=PAGE))
            for document in page:
                if document.body.get("counted"):
                    candidate.counts.add(mailbox_id, weight(document.body))
            if len(page) < PAGE:
                candidate.counted, candidate.quiet_since = True, now
                return
            candidate.after = (text(page[-1].body, "message"), page[-1].key)

    async def _has_staged(self, mailbox_id: str) -> bool:
        """Tell whether copies are waiting that hold reservations and are in no list."""
        staged = await self._store.find(Query(MESSAGES, "settling", limit=_STAGED))
        return len(staged) == _STAGED or any(text(document.body, "mailbox") == mailbox_id for document in staged)


def _used(fields: Body) -> dict[str, Value]:
    """Return the counters that are not zero."""
    return {name: value for name, value in fields.items() if value and name not in _NO_COUNTERS}


def _is_unchanged(counters: Document, now: int) -> bool:
    recent = number(counters.body, "counted_at") + _TRUST_SECONDS > now
    return recent and counters.body.get("checked") == counters.version


def _verified(counters: Document, now: int) -> Patch:
    fields = {"check_at": now + CHECK_SECONDS, "checked": counters.version + 1}
    return Patch(USAGE, counters.key, fields, version=counters.version)


def _later(counters: Document, now: int) -> Patch:
    return Patch(USAGE, counters.key, {"check_at": now + _RESTLESS_SECONDS}, version=counters.version)


def _corrected(counters: Document, counts: Deltas, now: int) -> Replace | Delete:
    if not counts:
        return Delete(USAGE, counters.key, counters.version)
    marks = {"check_at": now + CHECK_SECONDS, "checked": counters.version + 1, "counted_at": now}
    body = {**_used(counts), **marks}
    return Replace(USAGE, counters.key, body, counters.version)
