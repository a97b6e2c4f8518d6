"""The counts that grants are taken from: one document for each account and month, and so one atomic unit.

It has a field for each meter with what was granted in the month, one for each meter and day, and, of what was owed,
one for each meter and day once more:

    sends = 120,  sends_07 = 90,  sends_08 = 30,  owed_sends_08 = 5

A grant adds to the first two, with the bounds of the plan as ceilings of both. What is owed was used already and adds
to all three without a ceiling: it lessens what is left, and is charged by itself, so day less owed is what is charged
by this document. To add an owed amount twice changes nothing of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.docstore.fields import number
from libs.docstore.store import Body, Collection, Increment, Index, Value
from services.billing.allowance.model import GRANTED, Ask, Bounds
from services.billing.domain.model import DAY, Meter

GRANTS = Collection(
    "grants",
    (
        Index("account", ("account", "month")),
        # When the next of its days is charged.
        Index("settle", ("settle",)),
        Index("ends", ("ends",)),
    ),
    fields=("account", "month", "settle", "ends", *GRANTED, *(f"{one}_" for one in GRANTED), "owed_"),
)

# A day is charged this long after its end, and takes back what was not used until well before that.
SETTLED_AFTER = 6 * 3600
RETURNED_WITHIN = 3600
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Month:
    """A month as days since 1970-01-01: `first`, and the first of the next; `number` is since 1970-01."""

    number: int
    first: int
    next_first: int


def month_of(day: int) -> Month:
    """Return the month that a day is in."""
    found = date.fromordinal(_EPOCH + day)
    first = found.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    months = (first.year - 1970) * 12 + first.month - 1
    return Month(months, first.toordinal() - _EPOCH, following.toordinal() - _EPOCH)


def key_of(account_id: str, month: int) -> str:
    """Return the key of an account's document of a month."""
    return f"{account_id}/{month:05d}"


def settles(day: int) -> int:
    """Return when (Unix seconds) a day is charged."""
    return (day + 1) * DAY + SETTLED_AFTER


def granting(ask: Ask, meter: Meter, day: int, units: int, bounds: Bounds) -> Increment:
    """Return the operation that takes `units`, if the bounds allow that many."""
    ceilings = {}
    if bounds.month is not None:
        ceilings[meter.value] = bounds.month
    if bounds.day is not None:
        ceilings[_of_day(meter, day)] = bounds.day
    return _adding(ask.account_id, day, {meter.value: units, _of_day(meter, day): units}, ceilings)


def returning(ask: Ask, meter: Meter) -> Increment:
    """Return the operation that gives back what was granted on `ask.day` and not used."""
    return _adding(ask.account_id, ask.day, {meter.value: -ask.returned, _of_day(meter, ask.day): -ask.returned})


def owing(ask: Ask, meter: Meter) -> Increment:
    """Return the operation that counts what was used on `ask.day` without a grant."""
    names = (meter.value, _of_day(meter, ask.day), _owed(meter, ask.day))
    return _adding(ask.account_id, ask.day, dict.fromkeys(names, ask.owed))


def charged(body: Body, day: int) -> dict[Meter, int]:
    """Return what a document says was used on a day by grants, meters without any left out."""
    found = {}
    for meter in GRANTED:
        units = number(body, _of_day(meter, day), 0) - number(body, _owed(meter, day), 0)
        if units > 0:
            found[meter] = units
    return found


def first_open(body: Body) -> int | None:
    """Return the first day of a document that is not charged yet, None where all are."""
    settle = number(body, "settle", 0)
    return (settle - SETTLED_AFTER) // DAY - 1 if settle else None


def _adding(account_id: str, day: int, deltas: dict[str, int], ceilings: dict[str, int] | None = None) -> Increment:
    month = month_of(day)
    defaults: dict[str, Value] = {
        "account": account_id,
        "month": month.number,
        "settle": settles(day),
        "ends": month.next_first * DAY,
    }
    return Increment(GRANTS, key_of(account_id, month.number), deltas, ceilings or {}, defaults)


def _of_day(meter: Meter, day: int) -> str:
    return f"{meter}_{day - month_of(day).first + 1:02d}"


def _owed(meter: Meter, day: int) -> str:
    return f"owed_{_of_day(meter, day)}"
