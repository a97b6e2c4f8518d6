"""Sweeps of one owner: class by class, batch by batch, until nothing is left whose time is over.

Classes take turns, so that one with millions of items does not keep the others waiting. An owner that answers slowly is
at work for somebody else: it is asked for less, and is left alone for longer the longer it took (domain.pace). Around
the sweep the owner is asked what it holds, which is what the public page shows; that goes on where the clock is not
trusted and nothing is swept.

How many items were deleted lands in the ledger once for each class and hour, so that the ledger grows by the hour and
not by the sweep; until the hour is over the sum stands in the owner's book, which is written after every turn in which
something was deleted. A process that is killed between an owner's answer and that writing leaves a sum too low.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.policy import load_policy
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from libs.telemetry import metrics
from services.retention.domain.pace import Pace
from services.retention.domain.ports import DataOwner, Evidence, TrustedTime
from services.retention.leading.lease import Lead
from services.retention.ledger.entries import Data
from services.retention.repository.books import Book, Books

SERVICES = ("accounts", "crypto", "storage", "delivery", "analytics", "billing", "retention")
# A round with much to do is asked in between what is held, and writes down how far it is.
_LOOK_SECONDS = 60.0

_SWEPT = metrics.counter("sealpost_retention_swept_total", "Items that sweeps have deleted.", {"service": SERVICES})
_FAILED = metrics.counter(
    "sealpost_retention_sweep_failures_total", "Batches that an owner did not answer.", {"service": SERVICES}
)
_ROUND_SECONDS = metrics.gauge(
    "sealpost_retention_round_seconds", "How long the last round of an owner took.", {"service": SERVICES}
)
_OVERDUE = metrics.gauge(
    "sealpost_retention_overdue_seconds",
    "By how much the first item of a class is past its time.",
    {"class": tuple(load_policy().classes)},
)


@dataclass(frozen=True)
class Tools:
    """What all sweepers share."""

    books: Books
    time: TrustedTime
    evidence: Evidence
    clock: Clock
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Sweeper:
    """Sweeps the classes of one owner."""

    def __init__(self, owner: DataOwner, tools: Tools, batch: int) -> None:
        """Ask for at most `batch` items in one call."""
        self._owner = owner
        self._tools = tools
        self._pace = Pace(batch)

    async def run(self, lead: Lead) -> None:
        """Do one round. Raises: UnavailableError and what else the owner says, LeaseLostError."""
        began = self._tools.clock.monotonic()
        book = await self._tools.books.open(lead, self._owner.service)
        if not book.lines or self._tools.time.held:
            await self._look(book)
        fault = None if self._tools.time.held else await self._round(lead, book)
        await self._look(book)
        book.round = unix_seconds(self._tools.clock)
        await self._tools.books.write(lead, book)
        _ROUND_SECONDS.set(self._tools.clock.monotonic() - began, service=self._owner.service)
        if fault is not None:
            raise fault

    async def _round(self, lead: Lead, book: Book) -> SealpostError | None:
        """Sweep until nothing is left; return what went wrong last, which has kept no other class from its turn."""
        await self._account(book)
        book.begin()
        written = self._tools.clock.monotonic()
        pending, fault = list(book.lines), None
        while pending:
            deleted = book.sum
            left = []
            for name in pending:
                try:
                    if await self._batch(book, name):
                        left.append(name)
                except SealpostError as error:
                    _FAILED.inc(service=self._owner.service)
                    book.failed(name, error.reason)
                    fault = error
            pending = left
            if self._tools.clock.monotonic() - written >= _LOOK_SECONDS:
                await self._look(book)
                written = self._tools.clock.monotonic()
            elif book.sum == deleted:
                continue
            await self._tools.books.write(lead, book)
        return fault

    async def _batch(self, book: Book, name: str) -> bool:
        until = self._tools.time.now()
        began = self._tools.clock.monotonic()
        answer = await self._owner.sweep(name, until, self._pace.limit)
        pause = self._pace.took(self._tools.clock.monotonic() - began)
        book.swept(name, until, answer.deleted)
        if answer.deleted:
            _SWEPT.inc(answer.deleted, service=self._owner.service)
        if pause:
            await self._tools.sleep(pause)
        return answer.more

    async def _look(self, book: Book) -> None:
        book.hold(await self._owner.inventory(), unix_seconds(self._tools.clock))
        _OVERDUE.allow("class", book.lines)
        for line in book.lines.values():
            _OVERDUE.set(line.overdue, **{"class": line.name})

    async def _account(self, book: Book) -> None:
        """Write the sums of hours that are over into the ledger; the same sum twice is one entry."""
        now = self._tools.time.now() // 3600
        for line in [line for line in book.lines.values() if line.sum and line.hour < now]:
            data: Data = {
                "service": book.service,
                "data_class": line.name,
                "hour": line.hour,
                "deleted": line.sum,
            }
            once = f"sweep:{book.service}:{line.name}:{line.hour}"
            await self._tools.evidence.append("sweep", data, once=once)
            book.accounted(line.name)
