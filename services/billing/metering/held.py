"""Counters and the log as one data class.

Numbers go when no bill can be explained by them any more, hashes when no event comes again. A document of the log goes
only when it is added up, whatever its age: nothing that was used is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from libs.docstore.fields import number
from libs.docstore.store import Query, Store
from libs.owner.classes import AT_MOST, Due, StoredClass, delete_all, json_item
from libs.owner.model import Count, Erased, HeldClass, Item, Subject, Swept, Wanted
from services.billing.domain.model import DAY
from services.billing.gone import GONE, Gone
from services.billing.metering.folding import COUNTERS, Folder, units_of
from services.billing.metering.log import METER_LOG
from services.billing.metering.reconciling import RECONCILIATIONS
from services.billing.metering.state import STATE, folded_upto

_PAGE = 1000
_BY_DAY = (COUNTERS, RECONCILIATIONS, METER_LOG)


def classes(
    store: Store, folder: Folder, gone: Gone, usage_seconds: Callable[[], int], log_seconds: Callable[[], int]
) -> list[HeldClass]:
    """Return the class `usage`; for how many seconds after its day a counter is kept, and a document of the log."""
    return [UsageClass(store, folder, gone, (usage_seconds, log_seconds))]


class UsageClass:
    """Implements HeldClass."""

    name = "usage"

    def __init__(
        self, store: Store, folder: Folder, gone: Gone, seconds: tuple[Callable[[], int], Callable[[], int]]
    ) -> None:
        """Answer for what `folder` adds up in `store`; `seconds` of counters and of the log."""
        self._store = store
        self._folder = folder
        self._gone = gone
        usage, log = seconds
        self._seconds = {COUNTERS.name: usage, RECONCILIATIONS.name: usage, METER_LOG.name: log}
        self._marks = StoredClass(self.name, store, [GONE], due={GONE.name: Due("expires")})

    async def count(self) -> Count:
        """See HeldClass."""
        marks = await self._marks.count()
        total, first = marks.count + await self._store.count(STATE, AT_MOST), marks.first_due
        for collection in _BY_DAY:
            total += await self._store.count(collection, AT_MOST)
            found = await self._store.find(Query(collection, "days", limit=1))
            if found:
                due = (number(found[0].body, "day") + 1) * DAY + self._seconds[collection.name]()
                first = min(first or due, due)
        return Count(total, total >= AT_MOST, first)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        swept = await self._marks.sweep(until, limit)
        left = limit - swept.deleted
        upto = await folded_upto(self._store)
        for collection in _BY_DAY:
            last_day = (until - self._seconds[collection.name]()) // DAY - 1
            while left:
                page = await self._store.find(Query(collection, "days", upper=last_day, limit=min(_PAGE, left)))
                # What is not added up yet has a later number than all that is.
                going = [one for one in page if collection is not METER_LOG or number(one.body, "number") <= upto]
                left -= await delete_all(self._store, collection, going)
                if not going or len(page) < _PAGE:
                    break
        return Swept(limit - left, left == 0)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: one file, by day."""
        first, last = wanted.since // DAY, wanted.until // DAY or None
        days: dict[str, dict[str, int]] = {}
        for one in () if wanted.disclosure else (subject.account_id, subject.mailbox_id):
            lower = first
            while one:
                query = Query(COUNTERS, "subject", (one,), lower=lower, upper=last, limit=_PAGE)
                page = await self._store.find(query)
                for document in page:
                    of = days.setdefault(str(number(document.body, "day")), {})
                    of |= {meter.value: units for meter, units in units_of(document.body).items()}
                if len(page) < _PAGE:
                    break
                lower = number(page[-1].body, "day") + 1
        if days:
            yield json_item("usage.json", dict(sorted(days.items(), key=lambda of: int(of[0]))))

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass: there are no keys, but from here on nothing new of it stays."""
        await self._gone.note([one for one in (subject.account_id, subject.mailbox_id) if one])
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: the log is added up first, after which it names nobody."""
        while await self._folder.step():
            pass
        deleted = 0
        for one in (subject.account_id, subject.mailbox_id):
            while one and deleted < limit:
                query = Query(COUNTERS, "subject", (one,), limit=min(_PAGE, limit - deleted))
                page = await self._store.find(query)
                deleted += await delete_all(self._store, COUNTERS, page)
                if len(page) < query.limit:
                    break
        return Erased(deleted, more=deleted >= limit)
