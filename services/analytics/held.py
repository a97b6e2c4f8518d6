"""What analytics keeps, class by class (libs.owner), and why next to nothing of it is anybody's.

Counts are sealed under a key for each window, which is destroyed when the window is released; where nobody releases -
the coordinator was away for days - the key goes when its time is over, and the window counts as lost. Releases, budgets
and who coordinates name nobody.

The audit of readers is the one thing with an account in it: whoever reads statistics is an account. An erasure takes
the reader's name out of the entries and leaves them: that somebody read these numbers then must stay known to those
whom the numbers are about, and "erased" says no more than that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from libs.docstore.fields import number, text
from libs.docstore.store import Document, Patch, Query, Store
from libs.owner.classes import Due, StoredClass, json_item
from libs.owner.model import Count, Erased, HeldClass, Item, Subject, Swept, Wanted
from libs.owner.terms import TERMS
from libs.policy import Terms
from libs.runtime.errors import NotFoundError
from services.analytics.intake.leases import REPLICAS
from services.analytics.partitions_keys import KEYS
from services.analytics.partitions_pending import CLOSING
from services.analytics.release.audit import AUDIT
from services.analytics.release.budget import BUDGETS
from services.analytics.release.leading import COORDINATORS
from services.analytics.release.repository import OUTCOMES, PARTS

ERASED_READER = "erased"
_PAGE = 500


def make_held(store: Store, terms: Terms) -> list[HeldClass]:
    """Return the classes of a store that was opened with the collections of this service."""

    def pending() -> int:
        return terms.rule("pending_cells_seconds")

    def released() -> int:
        return terms.rule("release_seconds")

    return [
        StoredClass("pending_cells", store, [KEYS], due={KEYS.name: Due("ends", offset=pending)}),
        StoredClass(
            "release",
            store,
            # Heads first: parts without one are not read, a head without its parts would be damaged.
            [OUTCOMES, PARTS],
            due={OUTCOMES.name: Due("start", offset=released), PARTS.name: Due("start", offset=released)},
        ),
        StoredClass("privacy_budget", store, [BUDGETS], due={BUDGETS.name: Due("day", offset=released)}),
        HeldAudit(store, terms),
        StoredClass("coordination", store, [CLOSING, REPLICAS, COORDINATORS]),
        StoredClass("terms", store, [TERMS]),
    ]


class HeldAudit:
    """Implements libs.owner.model.HeldClass: statistics_audit."""

    name = "statistics_audit"

    def __init__(self, store: Store, terms: Terms) -> None:
        """Use `store`, opened with AUDIT."""
        self._store = store
        self._stored = StoredClass(
            self.name,
            store,
            [AUDIT],
            due={AUDIT.name: Due("at", offset=lambda: terms.rule("statistics_audit_seconds"))},
        )

    async def count(self) -> Count:
        """See HeldClass."""
        return await self._stored.count()

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        return await self._stored.sweep(until, limit)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: what the account has read."""
        if wanted.disclosure:
            return
        after: tuple[int, str] | None = None
        position = 0
        while page := await self._of(subject, wanted, after):
            position += 1
            yield json_item(f"{self.name}-{position:06d}.json", [_row(document) for document in page])
            after = (number(page[-1].body, "at"), page[-1].key)

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass: there are none."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: the entries stay, and name nobody any more; `deleted` are names."""
        page = await self._of(subject, Wanted(), None, min(limit, _PAGE))
        patches = [Patch(AUDIT, document.key, {"reader": ERASED_READER}, document.version) for document in page]
        for result in await self._store.write_many(patches):
            # Swept meanwhile is as good.
            if isinstance(result, Exception) and not isinstance(result, NotFoundError):
                raise result
        return Erased(len(page), more=len(page) == min(limit, _PAGE))

    async def _of(
        self, subject: Subject, wanted: Wanted, after: tuple[int, str] | None, limit: int = _PAGE
    ) -> Sequence[Document]:
        upper = wanted.until or None
        query = Query(AUDIT, "reader", (subject.account_id,), wanted.since or None, upper, after, limit=limit)
        return await self._store.find(query)


def _row(document: Document) -> dict[str, str | int]:
    body = document.body
    return {
        "at": number(body, "at"),
        "what": text(body, "what"),
        "metric": text(body, "metric"),
        "cut": text(body, "cut"),
        "from": number(body, "from"),
        "until": number(body, "until"),
    }
