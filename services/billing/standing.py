"""How an account stands: its plan, what it has used of it, its credits, what it owes, what the month costs so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from libs.runtime.clock import Clock, unix_seconds
from services.billing.domain.customers import Customer
from services.billing.domain.journal import Balances
from services.billing.domain.model import DAY, Allowance, Catalogue, Meter, Per, Plan
from services.billing.domain.pricing import accrued

_EPOCH = date(1970, 1, 1)

Days = Mapping[int, Mapping[Meter, int]]


class Counters(Protocol):
    """What was counted."""

    async def of_account(self, account_id: str, mailbox_id: str, first_day: int, last_day: int) -> Days:
        """Return units by day and meter, both days included; what is granted and not charged yet is in it."""


class Levels(Protocol):
    """What is held."""

    async def of(self, mailbox_id: str) -> Mapping[Meter, int]:
        """Return how much a mailbox holds; what nobody can tell now is left out."""


class Owing(Protocol):
    """Invoices that are not paid."""

    async def due_day(self, account_id: str) -> int:
        """Return the first day on which one of an account's is due; 0: none."""


class Standings(Protocol):
    """The books."""

    async def balances(self, account_id: str) -> Balances:
        """Return how a book stands."""


@dataclass(frozen=True)
class Standing:
    """See the module. `used` has the allowances of the plan whose use is known."""

    customer: Customer
    plan: Plan
    used: tuple[tuple[Allowance, int], ...]
    balances: Balances
    due_day: int
    accruing: int


@dataclass(frozen=True)
class Sources:
    """Where it is read."""

    counters: Counters
    levels: Levels
    owing: Owing
    books: Standings


class Reading:
    """Reads standings."""

    def __init__(self, sources: Sources, clock: Clock) -> None:
        """Read from `sources`."""
        self._sources = sources
        self._clock = clock

    async def standing(self, customer: Customer, catalogue: Catalogue) -> Standing:
        """Return how a customer stands. Raises: UnavailableError."""
        plan = catalogue.plans[customer.plan]
        today = unix_seconds(self._clock) // DAY
        first, of_days = _month(today)
        mailbox, account = customer.mailbox_id, customer.account_id
        days = await self._sources.counters.of_account(account, mailbox, first, today)
        held = await self._sources.levels.of(mailbox)
        used = []
        for allowance in plan.allowances.values():
            units = _used(allowance, days, held, today)
            if units is not None:
                used.append((allowance, units))
        return Standing(
            customer=customer,
            plan=plan,
            used=tuple(used),
            balances=await self._sources.books.balances(account),
            due_day=await self._sources.owing.due_day(account),
            accruing=_accruing(customer, catalogue, days, (first, today, of_days)),
        )


def _used(allowance: Allowance, days: Days, held: Mapping[Meter, int], today: int) -> int | None:
    if allowance.per is Per.LEVEL:
        return held.get(allowance.meter)
    if allowance.per is Per.DAY:
        return days.get(today, {}).get(allowance.meter, 0)
    return sum(of.get(allowance.meter, 0) for of in days.values())


def _accruing(customer: Customer, catalogue: Catalogue, days: Days, month: tuple[int, int, int]) -> int:
    """Return what the days of the month up to today cost, by the plan of each."""
    first, today, of_days = month
    total = 0
    for name, begins, ends in customer.spans_in(first, today):
        units: dict[Meter, int] = {}
        for day, of in days.items():
            if begins <= day <= ends:
                for meter, more in of.items():
                    units[meter] = units.get(meter, 0) + more
        total += sum(line.net for line in accrued(catalogue.plans[name], units, ends - begins + 1, of_days))
    return total


def _month(today: int) -> tuple[int, int]:
    """Return the first day of today's month, and how many it has."""
    now = date.fromordinal(_EPOCH.toordinal() + today)
    first = now.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return (first - _EPOCH).days, (following - first).days
