"""Compares, day by day, what was counted with what the owners of the data hold of that day.

    each customer ─▶ counted of the day, held of the day ─▶ sums, and what is held and not counted

A mail that is held was stored, a delivery that stands in the trail of a sender was made, and so both have to be
counted: what is held above what is counted, customer by customer, is a fault, and shows as `owned` above `counted`.
What is counted above what is held was deleted since; that is no fault, so of such a customer `owned` is taken to be
what is counted. A day is looked at once it can hardly change any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Index, Insert, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Meter
from services.billing.metering.counting import Counting
from services.billing.metering.log import METER_LOG, counted_of

RECONCILIATIONS = Collection(
    "reconciliations", (Index("days", ("day",)),), fields=("day", "meter", "counted", "owned", "late")
)

_PAGE = 100
_log = get_logger("reconciling")
_MISSING = metrics.gauge(
    "sealpost_billing_uncounted_mails",
    "Mails stored or delivered on the last day looked at that nobody counted.",
)
_LATE = metrics.gauge("sealpost_billing_late_events", "Events told on the last day looked at, too late to be counted.")


class Inventory(Protocol):
    """What the owner of the data that a meter counts says of it."""

    @property
    def meter(self) -> Meter:
        """The meter."""

    def counted_for(self, customer: Customer) -> str:
        """Return what a customer's use stands under, here and there; "" where he can have none."""

    async def held(self, subjects: Sequence[str], day: int) -> Mapping[str, int]:
        """Return how much of a day there is, by subject; at most 100 of them. Raises: UnavailableError."""


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
        self, store: Store, clock: Clock, counting: Counting, customers: Customers, inventories: Sequence[Inventory]
    ) -> None:
        """Compare what `counting` says with each of the `inventories`."""
        self._store = store
        self._clock = clock
        self._counting = counting
        self._customers = customers
        self._inventories = inventories

    async def step(self) -> int:
        """Look at yesterday, once it has been over for an hour, if nobody has; return 0. Raises: UnavailableError."""
        day = (unix_seconds(self._clock) - 3600) // DAY - 1
        if await self._store.get(RECONCILIATIONS, _key(day, self._inventories[-1].meter)) is not None:
            return 0
        missing = 0
        late = await self._late(day)
        for inventory in self._inventories:
            counted, owned = await self._compare_all(inventory, day)
            body: Body = {"day": day, "meter": inventory.meter.value, "counted": counted, "owned": owned}
            body = {**body, "late": late[inventory.meter]}
            try:
                await self._store.write(Insert(RECONCILIATIONS, _key(day, inventory.meter), body))
            except ConflictError:
                continue  # somebody else has looked
            missing += owned - counted
        _MISSING.set(missing)
        _LATE.set(sum(late.values()))
        if missing:
            _log.error("mails_not_counted", count=missing)
        return 0

    async def newest(self, days: int) -> list[Reconciliation]:
        """Return what came of the last days that were looked at, newest first. Raises: UnavailableError."""
        found = await self._store.find(
            Query(RECONCILIATIONS, "days", descending=True, limit=days * len(self._inventories))
        )
        return [
            Reconciliation(
                number(one.body, "day"),
                Meter(text(one.body, "meter")),
                number(one.body, "counted"),
                number(one.body, "owned"),
                number(one.body, "late"),
            )
            for one in found
        ]

    async def _compare_all(self, inventory: Inventory, day: int) -> tuple[int, int]:
        """Return what was counted of all customers, and what of it there is and what nobody counted."""
        counted, owned = 0, 0
        after = ""
        while page := await self._customers.in_order(after, _PAGE):
            subjects = [subject for subject in map(inventory.counted_for, page) if subject]
            one, other = await self._compare(inventory, subjects, day)
            counted, owned, after = counted + one, owned + other, page[-1].account_id
        return counted, owned

    async def _compare(self, inventory: Inventory, subjects: Sequence[str], day: int) -> tuple[int, int]:
        held = await inventory.held(subjects, day) if subjects else {}
        counted, owned = 0, 0
        for subject in subjects:
            days = await self._counting.of([subject], day, day)
            units = days.get(day, {}).get(inventory.meter, 0)
            counted += units
            owned += max(units, held.get(subject, 0))
        return counted, owned

    async def _late(self, day: int) -> Counter[Meter]:
        late: Counter[Meter] = Counter()
        lower = 0
        while True:
            page = await self._store.find(Query(METER_LOG, "day", (day,), lower=lower, limit=_PAGE))
            for document in page:
                late.update(counted_of(document).late)
            if len(page) < _PAGE:
                return late
            lower = counted_of(page[-1]).number + 1


def _key(day: int, meter: Meter) -> str:
    return f"{day}/{meter}"
