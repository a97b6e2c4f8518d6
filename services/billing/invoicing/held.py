"""Invoices as a data class: they stay for as long as law says, whatever becomes of the account, and then they go.

The newest page of the register stays, for it says which number comes next; it holds numbers of documents and nobody's
name. An erasure says how many documents law keeps, and until when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.docstore.fields import number
from libs.docstore.store import Collection, Document, Query, Store
from libs.owner.classes import AT_MOST, Due, Owned, StoredClass, delete_all
from libs.owner.model import Erased, HeldClass, Subject, Swept, Wanted
from services.billing.domain.model import DAY
from services.billing.invoicing.documents import INVOICES, invoice_of
from services.billing.invoicing.json_form import iso
from services.billing.invoicing.register import REGISTER, newest_page
from services.billing.invoicing.run import RUNS

_PAGE = 200


def classes(store: Store, seconds: Callable[[], int]) -> list[HeldClass]:
    """Return the class `invoice`; `seconds`: how long law keeps a document after it was issued."""
    return [InvoiceClass(store, seconds)]


class InvoiceClass(StoredClass):
    """Invoices and credit notes, the register of their numbers, and how far the runs have come."""

    def __init__(self, store: Store, seconds: Callable[[], int]) -> None:
        """Answer for what is in `store`."""
        super().__init__(
            "invoice",
            store,
            [INVOICES, REGISTER, RUNS],
            due={INVOICES.name: Due("issued", offset=seconds), REGISTER.name: Due("begun", offset=seconds)},
            owned={INVOICES.name: Owned("account", lambda subject: subject.account_id or None)},
            shown=_shown,
        )
        self._seconds = seconds

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        upper = until - self._seconds()
        left = limit - await self._store.delete_range(INVOICES, "issued", (), upper, limit)
        newest = await newest_page(self._store)
        pages = await self._store.find(Query(REGISTER, "begun", upper=upper, limit=max(1, min(_PAGE, left))))
        left -= await delete_all(self._store, REGISTER, [page for page in pages if page.key != newest][:left])
        return Swept(limit - left, left <= 0)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: law keeps all of them."""
        kept, last = 0, 0
        after: tuple[int, str] | None = None
        while subject.account_id:
            page = await self._store.find(Query(INVOICES, "account", (subject.account_id,), after=after, limit=_PAGE))
            kept += len(page)
            last = max([last, *(number(one.body, "issued_at", 0) for one in page)])
            if len(page) < _PAGE:
                break
            after = (number(page[-1].body, "serial"), page[-1].key)
        if not kept or kept >= AT_MOST:
            return Erased()
        return Erased(kept=kept, kept_until_day=(last + self._seconds()) // DAY + 1)


def _shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
    invoice = invoice_of(document)
    if not invoice.number or (wanted.until and invoice.issued_day * DAY > wanted.until):
        return None
    if invoice.issued_day * DAY < wanted.since:
        return None
    return {
        "number": invoice.number,
        "kind": invoice.kind.value,
        "issued": iso(invoice.issued_day),
        "net": invoice.net,
        "tax": invoice.tax,
        "currency": invoice.currency,
        "state": invoice.state.value,
    }
