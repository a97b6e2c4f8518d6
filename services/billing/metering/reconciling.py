"""Compares, day by day, what was counted with what the owners of the data hold of that day.

    each customer's mailbox ─▶ counted of the day, held of the day ─▶ sums, and the mails that are held and not counted

A mail that is held was stored, and so has to be counted: what is held above what is counted, mailbox by mailbox, is a
fault, and shows as `owned` above `counted`. What is counted above what is held was deleted since; that is no fault, so
of such a mailbox `owned` is taken to be what is counted. A day is looked at once it can hardly change any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.docstore.fields import number
from libs.docstore.store import Collection, Index, Insert, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Meter
from services.billing.metering.counting import Counting
from services.billing.metering.log import METER_LOG, counted_of

RECONCILIATIONS = Collection("reconciliations", (Index("days", ("day",)),), fields=("day", "counted", "owned", "late"))

_PAGE = 100
_log = get_logger("reconciling")
_MISSING = metrics.gauge("sealpost_billing_uncounted_mails", "Mails of the last day looked at that nobody counted.")
_LATE = metrics.gauge("sealpost_billing_late_events", "Events told on the last day looked at, too late to be counted.")


class Inventories(Protocol):
    """Storage: what it holds."""

    async def held(self, mailbox_ids: Sequence[str], day: int) -> Mapping[str, int]:
        """Return how many mails that came on a day mailboxes hold. Raises: UnavailableError."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What came of a day."""

    day: int
    meter: Meter
    counted: int
    owned: int
    late: int


class Reconciler:
    """The comparisons in `store`, opened with RECONCILIATIONS, METER_LOG and what `counting` reads."""

    def __init__(
        self, store: Store, clock: Clock, counting: Counting, customers: Customers, inventories: Inventories
    ) -> None:
        """Compare what `counting` says with what `inventories` hold."""
        self._store = store
        self._clock = clock
        self._counting = counting
        self._customers = customers
        self._inventories = inventories

    async def step(self) -> int:
        """Look at yesterday, once it has been over for an hour, if nobody has; return 0. Raises: UnavailableError."""
        day = (unix_seconds(self._clock) - 3600) // DAY - 1
        if await self._store.get(RECONCILIATIONS, str(day)) is not None:
            return 0
        counted, owned = 0, 0
        after = ""
        while page := await self._customers.in_order(after, _PAGE):
            one, other = await self._compare([one for one in page if one.mailbox_id], day)
            counted, owned, after = counted + one, owned + other, page[-1].account_id
        late = await self._late(day)
        body = {"day": day, "counted": counted, "owned": owned, "late": late}
        try:
            await self._store.write(Insert(RECONCILIATIONS, str(day), {**body}))
        except ConflictError:
            return 0  # somebody else has looked
        _MISSING.set(owned - counted)
        _LATE.set(late)
        if owned > counted:
            _log.error("mails_not_counted", count=owned - counted)
        return 0

    async def newest(self, days: int) -> list[Reconciliation]:
        """Return what came of the last days that were looked at, newest first. Raises: UnavailableError."""
        found = await self._store.find(Query(RECONCILIATIONS, "days", descending=True, limit=days))
        return [
            Reconciliation(
                number(one.body, "day"),
                Meter.MAILS_STORED,
                number(one.body, "counted"),
                number(one.body, "owned"),
                number(one.body, "late"),
            )
            for one in found
        ]

    async def _compare(self, customers: Sequence[Customer], day: int) -> tuple[int, int]:
        held = await self._inventories.held([one.mailbox_id for one in customers], day) if customers else {}
        counted, owned = 0, 0
        for customer in customers:
            days = await self._counting.of([customer.mailbox_id], day, day)
            units = days.get(day, {}).get(Meter.MAILS_STORED, 0)
            counted += units
            owned += max(units, held.get(customer.mailbox_id, 0))
        return counted, owned

    async def _late(self, day: int) -> int:
        late, lower = 0, 0
        while True:
            page = await self._store.find(Query(METER_LOG, "day", (day,), lower=lower, limit=_PAGE))
            late += sum(counted_of(document).late for document in page)
            if len(page) < _PAGE:
                return late
            lower = counted_of(page[-1]).number + 1
