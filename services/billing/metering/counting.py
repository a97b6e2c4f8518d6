"""What was used, as whoever asks sees it: counters, and what of the log is not added up in them yet.

Each counter says up to which document of the log it has everything. The end of the log is read first and the counters
after it, so whatever is added up in between is in a counter that says so, and is not taken from the log once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from libs.docstore.fields import number
from libs.docstore.store import Document, Query, Store
from services.billing.domain.model import Meter
from services.billing.metering.folding import COUNTERS, units_of
from services.billing.metering.log import METER_LOG, Counted, counted_of, in_order
from services.billing.metering.state import folded_upto

_PAGE = 200
_MOST_DAYS = 400

Days = dict[int, dict[Meter, int]]
OpenDays = Callable[[str], Awaitable[Mapping[int, Mapping[Meter, int]]]]


async def _nothing_open(account_id: str) -> Days:
    return {}


class Counting:
    """Reads what was used, in `store` opened with METER_LOG, STATE and COUNTERS. Raises: UnavailableError."""

    def __init__(self, store: Store, open_days: OpenDays = _nothing_open) -> None:
        """`open_days` tells what an account was granted and is not in the log yet, by day."""
        self._store = store
        self._open_days = open_days

    async def of(self, subjects: Sequence[str], first_day: int, last_day: int) -> Days:
        """Return units by day and meter of some subjects together; both days inclusive, at most 400 of them."""
        tail = await self._tail()
        days: defaultdict[int, defaultdict[Meter, int]] = defaultdict(lambda: defaultdict(int))
        for subject in subjects:
            counters = await self._counters(subject, first_day, last_day)
            for day, document in counters.items():
                _add(days[day], units_of(document.body))
            for counted in tail:
                known = counters.get(counted.day)
                if not first_day <= counted.day <= last_day:
                    continue
                if known is None or counted.number > number(known.body, "upto"):
                    _add(days[counted.day], {one[1]: more for one, more in counted.sums.items() if one[0] == subject})
        return {day: dict(of) for day, of in days.items() if of}

    async def of_account(self, account_id: str, mailbox_id: str, first_day: int, last_day: int) -> Days:
        """Return what an account and its mailbox used; what it was granted and is not counted yet is in it."""
        subjects = [account_id, mailbox_id] if mailbox_id else [account_id]
        days = await self.of(subjects, first_day, last_day)
        for day, of in (await self._open_days(account_id)).items():
            if first_day <= day <= last_day:
                _add(days.setdefault(day, {}), of)
        return days

    async def _tail(self) -> list[Counted]:
        lower = await folded_upto(self._store) + 1
        tail: list[Counted] = []
        while True:
            page = await self._store.find(Query(METER_LOG, "number", in_order(), lower=lower, limit=_PAGE))
            tail += map(counted_of, page)
            if len(page) < _PAGE:
                return tail
            lower = tail[-1].number + 1

    async def _counters(self, subject: str, first_day: int, last_day: int) -> dict[int, Document]:
        query = Query(COUNTERS, "subject", (subject,), lower=first_day, upper=last_day, limit=_MOST_DAYS)
        return {number(document.body, "day"): document for document in await self._store.find(query)}


def _add(units: dict[Meter, int], more: Mapping[Meter, int]) -> None:
    for meter, count in more.items():
        units[meter] = units.get(meter, 0) + count
