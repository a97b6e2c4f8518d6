"""The data class of disclosure cases.

The account's owner gets with his export what he has been told of, and nothing of what an order keeps from him: neither
the export nor the receipt of an erasure says that there is more. An erasure takes out of a case whom it was about; that
there was an order, and what came of it, stays for as long as the law wants to know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.docstore.store import Store
from libs.owner.classes import Due, StoredClass, json_item
from libs.owner.model import Erased, Item, Subject, Wanted
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError
from services.retention.domain.cases import DAY_SECONDS
from services.retention.domain.cases_book import forgotten
from services.retention.domain.ports import Numbers
from services.retention.repository.cases import CASES, CaseRepository


class DisclosureCases(StoredClass):
    """Implements HeldClass: disclosure_case."""

    def __init__(self, store: Store, terms: Numbers, clock: Clock) -> None:
        """Use `store`, opened with CASES."""
        due = Due("ended", offset=lambda: terms.rule("case_seconds"))
        super().__init__("disclosure_case", store, [CASES], due={CASES.name: due})
        self._cases = CaseRepository(store)
        self._terms = terms
        self._clock = clock

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: what the account's owner has been told of."""
        if wanted.disclosure or not subject.account_id:
            return
        for case in await self._cases.of_account(subject.account_id):
            if case.told_at:
                yield json_item(
                    f"disclosure-{case.case_id}.json",
                    {
                        "case": case.case_id,
                        "legal_basis": case.legal_basis,
                        "since": case.since,
                        "until": case.until,
                        "data_classes": list(case.data_classes),
                        "decided_at": case.decided_at,
                        "told_at": case.told_at,
                    },
                )

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: take out whom cases were about; tell of those alone that their subject knows of."""
        if not subject.account_id:
            return Erased()
        now, kept = unix_seconds(self._clock), 0
        cases = (await self._cases.of_account(subject.account_id))[:limit]
        for case in cases:
            try:
                await self._cases.put(forgotten(case, now))
            except ConflictError:
                return Erased(more=True)
            kept += bool(case.told_at)
        until = (now + self._terms.rule("case_seconds")) // DAY_SECONDS + 1 if kept else 0
        return Erased(more=len(cases) == limit, kept=kept, kept_until_day=until)
