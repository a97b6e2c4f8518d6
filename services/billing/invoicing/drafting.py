"""Makes the draft of an account's invoice for a month.

The month is billed by the version of the catalogue that holds on its first day. Each plan that the account had bears
its own lines, by its days. Tax is worked out once, on the sum. Where nothing is to be paid there is no invoice: what
was used is in the statement of usage, and a bill of nothing would only be one more document about somebody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from libs.docstore.store import Insert
from libs.envelope import Vault
from services.billing.domain.customers import Details
from services.billing.domain.model import Catalogue, Meter
from services.billing.domain.pricing import Line, accrued, tax_of
from services.billing.invoicing.content import Content, seal_content
from services.billing.invoicing.documents import INVOICES, Invoice, Kind, draft_body, invoice_key
from services.billing.invoicing.ports import Billable
from services.billing.invoicing.taxes import tax_for

_EPOCH = date(1970, 1, 1)

Usage = Mapping[int, Mapping[Meter, int]]


def first_day(month: int) -> int:
    """Return the first day of a month, which counts from 1970-01."""
    return (date(1970 + month // 12, month % 12 + 1, 1) - _EPOCH).days


def month_of(day: int) -> int:
    """Return the month of a day."""
    when = date.fromordinal(_EPOCH.toordinal() + day)
    return (when.year - 1970) * 12 + when.month - 1


class Drafting:
    """Drafts by one catalogue and one month."""

    def __init__(self, catalogue: Catalogue, month: int, vault: Vault) -> None:
        """Draft for `month` with the version that holds on its first day."""
        self._catalogue = catalogue
        self._vault = vault
        self._month = month
        self.first_day = first_day(month)
        self.last_day = first_day(month + 1) - 1

    def costs(self, billable: Billable) -> bool:
        """Tell whether use could cost this account anything, or its plan does: if not, its use need not be read."""
        plans = [self._catalogue.plans[span.plan] for span in billable.spans]
        return any(plan.price or any(a.tiers for a in plan.allowances.values()) for plan in plans)

    def draft(self, billable: Billable, usage: Usage, payer: Details, made: int) -> Insert | None:
        """Return the operation that writes the draft, made at `made` (Unix seconds); None where nothing is to be paid.

        It says the same whenever it is asked again with the same, so that whoever repeats it changes nothing.
        """
        lines = self._lines(billable, usage)
        net = sum(line.net for line in lines)
        if not net:
            return None
        tax = tax_for(self._catalogue, payer)
        key = invoice_key(billable.account_id, self._month)
        content = Content(
            seller=self._catalogue.seller,
            payer=payer,
            first_day=self.first_day,
            last_day=self.last_day,
            digits=self._catalogue.digits,
            lines=tuple(lines),
            tax=tax,
            usage=usage,
        )
        invoice = Invoice(
            key=key,
            account_id=billable.account_id,
            kind=Kind.INVOICE,
            month=self._month,
            of="",
            net=net,
            tax=tax_of(net, tax.rate),
            currency=self._catalogue.currency,
            payment_days=self._catalogue.payment_days,
        )
        return Insert(INVOICES, key, draft_body(invoice, made, seal_content(self._vault, key, content)))

    def _lines(self, billable: Billable, usage: Usage) -> Sequence[Line]:
        of_days = self.last_day - self.first_day + 1
        lines: list[Line] = []
        for span in billable.spans:
            first, last = max(span.first_day, self.first_day), min(span.last_day, self.last_day)
            if first > last:
                continue
            units = _sums({day: of for day, of in usage.items() if first <= day <= last})
            lines += accrued(self._catalogue.plans[span.plan], units, last - first + 1, of_days)
        return lines


def _sums(usage: Usage) -> dict[Meter, int]:
    sums: dict[Meter, int] = {}
    for of in usage.values():
        for meter, units in of.items():
            sums[meter] = sums.get(meter, 0) + units
    return sums
