"""What invoicing wants of the rest of billing, as the rest has it."""

from __future__ import annotations

from collections.abc import Sequence

from services.billing.customers import Customers
from services.billing.domain.customers import Customer, Details
from services.billing.domain.journal import Kind, Posting
from services.billing.invoicing.documents import book_reference
from services.billing.invoicing.ports import Billable, BilledSpan
from services.billing.ledger.books import Books


class CustomerAccounts:
    """Implements ports.Accounts."""

    def __init__(self, customers: Customers) -> None:
        """Read them from `customers`."""
        self._customers = customers

    async def billable(self, first_day: int, last_day: int, after: str, limit: int) -> Sequence[Billable]:
        """See Accounts."""
        page = await self._customers.in_order(after, limit)
        return [_billable(one, first_day, last_day) for one in page]

    async def payer(self, account_id: str) -> Details:
        """See Accounts."""
        return await self._customers.details(account_id)


class BookKeeping:
    """Implements ports.Booking."""

    def __init__(self, books: Books) -> None:
        """Enter into `books`."""
        self._books = books

    async def invoiced(self, account_id: str, number: str, net: int, tax: int) -> None:
        """See Booking."""
        await self._books.post(account_id, Posting(Kind.INVOICED, book_reference(number), (net, tax)))

    async def credited(self, account_id: str, number: str, of: str, net: int, tax: int) -> None:
        """See Booking."""
        reference = f"credit_note/{number}"
        await self._books.post(account_id, Posting(Kind.CREDIT_NOTE, reference, (net, tax), of=book_reference(of)))


def _billable(customer: Customer, first_day: int, last_day: int) -> Billable:
    spans = tuple(BilledSpan(*span) for span in customer.spans_in(first_day, last_day))
    subjects = (customer.account_id, customer.mailbox_id) if customer.mailbox_id else (customer.account_id,)
    return Billable(customer.account_id, subjects, spans)
