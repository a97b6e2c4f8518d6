"""Adds the log up: a counter for each subject and day, which says up to which document of the log it is added up.

A counter and that number are one document. So the same documents may be added any number of times, by any number of
processes, in portions of any size: what a counter has already it leaves out. What is added up the log forgets, but for
the hashes by which it knows what it had: from then on nothing in it says whose a use was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from libs.docstore.fields import nested, number
from libs.docstore.store import (
    Body,
    Collection,
    Delete,
    Document,
    Index,
    Insert,
    Operation,
    Query,
    Replace,
    Store,
    Value,
)
from libs.runtime.backoff import Backoff
from libs.runtime.errors import ConflictError, NotFoundError, UnavailableError
from services.billing.domain.model import Meter
from services.billing.gone import Gone
from services.billing.metering.log import METER_LOG, Counted, counted_of, forgetting, in_order
from services.billing.metering.state import folded_upto, put_folded

COUNTERS = Collection(
    "counters",
    (Index("subject", ("subject", "day")), Index("days", ("day",))),
    fields=("subject", "day", "units", "upto"),
)
_BATCH = 200
_WRITES = 1000

_Sums = Mapping[tuple[str, int], Sequence[tuple[int, Meter, int]]]


class Folder:
    """Adds up the log in `store`, opened with METER_LOG, STATE and COUNTERS."""

    def __init__(self, store: Store, gone: Gone) -> None:
        """Work in `store`; of who is `gone` nothing stays."""
        self._store = store
        self._gone = gone
        self._backoff = Backoff(first=0.005, ceiling=0.2, attempts=10)

    async def step(self) -> int:
        """Add up at most 200 documents of the log; return how many there were. Raises: UnavailableError."""
        upto = await folded_upto(self._store)
        query = Query(METER_LOG, "number", in_order(), lower=upto + 1, limit=_BATCH)
        batch = [counted_of(document) for document in await self._store.find(query)]
        if not batch:
            return 0
        sums = _sums(batch)
        keys = sorted(sums)
        for start in range(0, len(keys), _WRITES):
            part = keys[start : start + _WRITES]
            await self._add({key: sums[key] for key in part}, batch[-1].number)
            await self._drop_gone(part)
        await self._forget(batch)
        await put_folded(self._store, batch[-1].number)
        return len(batch)

    async def _add(self, sums: _Sums, upto: int) -> None:
        """Bring counters up to the document `upto`, repeating those that another process changed meanwhile."""
        left = dict(sums)
        async for _ in self._backoff:
            stored = await self._store.get_many(COUNTERS, [counter_key(*key) for key in left])
            operations = {key: _operation(key, added, stored, upto) for key, added in left.items()}
            wanted = {key: operation for key, operation in operations.items() if operation is not None}
            results = await self._store.write_many(list(wanted.values()))
            left = {key: left[key] for key, result in zip(wanted, results, strict=True) if _again(result)}
            if not left:
                return
        raise UnavailableError("counters_contended")

    async def _drop_gone(self, keys: Sequence[tuple[str, int]]) -> None:
        """Delete the counters of who was erased meanwhile; after they are written: see gone.py."""
        gone = await self._gone.among({subject for subject, _ in keys})
        if gone:
            await self._write([Delete(COUNTERS, counter_key(*key)) for key in keys if key[0] in gone])

    async def _forget(self, batch: Sequence[Counted]) -> None:
        """Take the sums out of the log. Whoever died before saw to it that all counters have them."""
        await self._write([forgetting(counted) for counted in batch if counted.sums])

    async def _write(self, operations: Sequence[Operation]) -> None:
        for result in await self._store.write_many(operations):
            if isinstance(result, Exception) and not isinstance(result, NotFoundError):
                raise result


def counter_key(subject: str, day: int) -> str:
    """Return the key of a counter."""
    return f"{subject}/{day}"


def _sums(batch: Sequence[Counted]) -> _Sums:
    sums: defaultdict[tuple[str, int], list[tuple[int, Meter, int]]] = defaultdict(list)
    for counted in batch:
        for (subject, meter), units in counted.sums.items():
            sums[subject, counted.day].append((counted.number, meter, units))
    return sums


def _operation(
    key: tuple[str, int], added: Sequence[tuple[int, Meter, int]], stored: Mapping[str, Document], upto: int
) -> Operation | None:
    """Return what brings one counter up to `upto`, None if it is there."""
    subject, day = key
    document = stored.get(counter_key(subject, day))
    has = number(document.body, "upto") if document is not None else 0
    units = defaultdict(int, units_of(document.body) if document is not None else {})
    if has >= upto:
        return None
    for position, meter, more in added:
        if position > has:
            units[meter] += more
    totals: dict[str, Value] = {meter.value: total for meter, total in units.items()}
    body: Body = {"subject": subject, "day": day, "units": totals, "upto": upto}
    if document is None:
        return Insert(COUNTERS, counter_key(subject, day), body)
    return Replace(COUNTERS, document.key, body, document.version)


def _again(result: object) -> bool:
    if isinstance(result, ConflictError):
        return True
    if isinstance(result, Exception):
        raise result
    return False


def units_of(body: Body) -> dict[Meter, int]:
    """Return what a counter says, by meter."""
    stored = nested(body, "units")
    return {Meter(meter): number(stored, meter) for meter in stored}
