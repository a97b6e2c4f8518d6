"""The log of what was counted: one document for each batch and day, whole or not at all.

A document holds the sums of its batch and, as eight bytes each, the keyed hashes of the ids that went into them. Both
stand in one document, so an id is known exactly if it is counted. Numbers have no gaps and a number is inserted once:
of two processes that count at the same time, one finds the number taken and looks at what the other has written.

Of an event nothing else is kept: no id of a mail, no address, no time but the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.docstore.fields import blob, number, text
from libs.docstore.store import Collection, Document, Index, Insert, Patch, Value
from libs.runtime.errors import InternalError
from services.billing.domain.model import Meter

METER_LOG = Collection(
    "meter_log",
    (Index("number", ("part", "number")), Index("day", ("day", "number")), Index("days", ("day",))),
    fields=("part", "number", "day", "sums", "ids", "late"),
)
_PART = "all"
ID_BYTES = 8

Sums = Mapping[tuple[str, Meter], int]


@dataclass(frozen=True, slots=True)
class Counted:
    """One document: units by subject and meter of one day; `late`: events that could not be counted any more."""

    number: int
    day: int
    sums: Sums
    ids: bytes
    late: Mapping[Meter, int] = field(default_factory=dict)


def insert(counted: Counted) -> Insert:
    """Return the operation that writes it, if its number is free."""
    sums: list[Value] = [[subject, meter.value, units] for (subject, meter), units in counted.sums.items()]
    body: dict[str, Value] = {
        "part": _PART,
        "number": counted.number,
        "day": counted.day,
        "sums": sums,
        "ids": counted.ids,
        "late": {meter.value: count for meter, count in counted.late.items()},
    }
    return Insert(METER_LOG, f"{counted.number:012d}", body)


def forgetting(counted: Counted) -> Patch:
    """Return the operation that takes out of a document whose uses it counted."""
    return Patch(METER_LOG, f"{counted.number:012d}", {"sums": []})


def counted_of(document: Document) -> Counted:
    """Return what a document says. Raises: InternalError("document_damaged")."""
    body = document.body
    sums, late = body.get("sums"), body.get("late")
    if not isinstance(sums, list) or not isinstance(late, dict):
        raise InternalError("document_damaged")
    return Counted(
        number(body, "number"),
        number(body, "day"),
        dict(_sum(entry) for entry in sums),
        blob(body, "ids"),
        {Meter(meter): number(late, meter) for meter in late},
    )


def in_order() -> tuple[str, ...]:
    """Return the leading field of the index by number."""
    return (_PART,)


def _sum(entry: Value) -> tuple[tuple[str, Meter], int]:
    if not isinstance(entry, list) or len(entry) != 3:
        raise InternalError("document_damaged")
    subject, meter, units = entry
    fields: dict[str, Value] = {"subject": subject, "meter": meter, "units": units}
    return (text(fields, "subject"), Meter(text(fields, "meter"))), number(fields, "units")
