"""What comes in from the store: mails that are due, and mails that were put off for a destination that is free now.

Documents name destinations by hashes, so most mails for busy destinations are put off without being opened, a page of
them in one batch: a hundred thousand of them at the head of the index cost some reads, and those behind them come next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.docstore.store import Document
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InternalError, NotFoundError, SealpostError
from libs.telemetry.logs import get_logger
from services.delivery.queue.entry import Entry
from services.delivery.worker import meters
from services.delivery.worker.desk import Desk, destination
from services.delivery.worker.lanes import Lane
from services.delivery.worker.names import Names
from services.delivery.worker.parts import Parts

_PAGE = 200
_FETCH = 500
# A mail that has been claimed so often without anything being written down has perhaps ended processes.
_CLAIMS = 2
_LONGEST = 64
_UNOPENED_SECONDS = 30

_log = get_logger("intake")


class Intake:
    """Takes mails from the store to the desk."""

    def __init__(self, parts: Parts, desk: Desk, names: Names) -> None:
        """Take where they come from and go to."""
        self._parts = parts
        self._desk = desk
        self._names = names

    async def take_due(self) -> bool:
        """Take in what is due; tell whether there is more that could come in. Raises: UnavailableError."""
        if self._desk.free <= 0:
            return False
        now = unix_seconds(self._parts.clock)
        page = [one for one in await self._parts.queue.due(now, _PAGE) if not self._desk.has(one.key)]
        busy: dict[str, list[Document]] = {}
        taken: list[tuple[Document, str]] = []
        for one in page:
            domain = self._names.only(one.body.get("to"))
            # Whose time is over, or who is cancelled, is looked at wherever it goes.
            domain = "" if _number(one, "until") <= now or one.body.get("cancel") else domain
            if domain and not self._parts.lanes.accepts(domain):
                busy.setdefault(domain, []).append(one)
            elif self._desk.admit(domain, _number(one, "size")):
                taken.append((one, domain))
        for domain, documents in busy.items():
            await self._put_off(domain, documents)
        await self._take(taken)
        return len(page) == _PAGE and bool(busy or taken)

    async def fetch(self, lane: Lane) -> None:
        """Take in mails that were put off for a lane's destination. Raises: UnavailableError."""
        lane.fetching = True
        try:
            wanted = min(_FETCH, self._desk.free)
            if wanted <= 0:
                return
            found = await self._parts.queue.put_off_to(self._names.hash(lane.domain), wanted)
            lane.put_off = max(1, lane.put_off - len(found)) if len(found) == wanted else 0
            taken = [
                (one, lane.domain)
                for one in found
                if not self._desk.has(one.key) and self._desk.admit(lane.domain, _number(one, "size"))
            ]
            if len(taken) < len(found):
                lane.put_off = max(lane.put_off, len(found) - len(taken))
            await self._take(taken)
        finally:
            lane.fetching = False

    async def _take(self, wanted: Sequence[tuple[Document, str]]) -> None:
        """Claim and open mails that were admitted."""
        if not wanted:
            return
        domains = {one.key: domain for one, domain in wanted}
        sizes = {one.key: _number(one, "size") for one, _ in wanted}
        waiting = set(domains)
        try:
            claimed = await self._parts.queue.claim([one for one, _ in wanted], self._leases(wanted))
            opened = await asyncio.gather(*map(self._parts.queue.open, claimed), return_exceptions=True)
            strays: dict[str, list[Entry]] = {}
            for document, entry in zip(claimed, opened, strict=True):
                if not isinstance(entry, Entry):
                    await self._leave(document, entry)
                    continue
                waiting.discard(document.key)
                self._seat(entry, domains[document.key], sizes[document.key], strays)
            for domain, entries in strays.items():
                await self._give_back(domain, entries)
        finally:
            for key in waiting:
                self._desk.dismiss(domains[key], sizes[key])

    def _seat(self, entry: Entry, domain: str, size: int, strays: dict[str, list[Entry]]) -> None:
        """Have a mail wait at the desk; now that it is open its destination is known."""
        found = destination(entry)
        if found:
            self._names.hash(found)
        ends = entry.cancelled or self._parts.judge.is_over(entry.mail, unix_seconds(self._parts.clock))
        if found and not domain and not ends:
            self._desk.dismiss("", size)
            if not self._desk.admit(found, size):
                strays.setdefault(found, []).append(entry)
                return
            domain = found
        self._desk.take(entry, domain, size)

    def _leases(self, wanted: Sequence[tuple[Document, str]]) -> dict[str, int]:
        now, lease = unix_seconds(self._parts.clock), self._parts.lease
        return {
            one.key: now + round(lease * min(2 ** max(0, _number(one, "claims") - _CLAIMS), _LONGEST))
            for one, _ in wanted
        }

    async def _put_off(self, domain: str, documents: Sequence[Document]) -> None:
        lanes, now = self._parts.lanes, unix_seconds(self._parts.clock)
        lane = lanes.lane(domain)
        # Whoever is given up at the end need not wait for longer.
        due = [min(now + lanes.put_off_for(lane), max(now + 1, _number(one, "until"))) for one in documents]
        meters.PUT_OFF.inc(len(documents))
        await self._parts.queue.put_off(documents, due, self._names.hash(domain))

    async def _give_back(self, domain: str, entries: Sequence[Entry]) -> None:
        lanes, now = self._parts.lanes, unix_seconds(self._parts.clock)
        lane = lanes.lane(domain)
        meters.PUT_OFF.inc(len(entries))
        due = [now + lanes.put_off_for(lane) for _ in entries]
        await self._parts.queue.release(entries, due, self._names.hash(domain))

    async def _leave(self, document: Document, error: BaseException) -> None:
        """Leave a mail that cannot be opened: now, or ever."""
        if isinstance(error, NotFoundError | InternalError):
            meters.UNREADABLE.inc()
            _log.error("mail_unreadable", error=error)
            kept = self._parts.trail(_number(document, "terms"))
            await self._parts.queue.bury(document, unix_seconds(self._parts.clock) + kept)
        elif isinstance(error, SealpostError):
            _log.warning("mail_not_opened", error=error)
            await self._parts.queue.put_back(document, unix_seconds(self._parts.clock) + _UNOPENED_SECONDS)
        else:
            raise error


def _number(document: Document, name: str) -> int:
    value = document.body.get(name)
    return value if isinstance(value, int) else 0
