"""What invoicing wants of the rest of billing, as the rest has it."""

from __future__ import annotations

from collections.abc import Sequence

from services.billing.customers import Customers
from services.billing.domain.customers import Customer, Details
from services.billing.domain.journal import Kind, Posting
from services.billing.invoicing.documents import Kind as Form
from services.billing.invoicing.documents import book_reference
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.ports import Billable, BilledSpan
from services.billing.ledger.books import Books

_NEWEST = 100


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
    """Implements ports.Booking, and payments.ports.Invoices."""

    def __init__(self, books: Books, invoices: Invoices, notes: Notes) -> None:
        """Enter into `books`; `invoices` say what these say, and `notes` take them back."""
        self._books = books
        self._invoices = invoices
        self._notes = notes

    async def invoiced(self, account_id: str, number: str, net: int, tax: int) -> None:
        """See Booking."""
        await self._books.post(account_id, Posting(Kind.INVOICED, book_reference(number), (net, tax)))
        await self._settle(account_id, number)

    async def credited(self, account_id: str, number: str, of: str, net: int, tax: int) -> None:
        """See Booking."""
        reference = f"credit_note/{number}"
        await self._books.post(account_id, Posting(Kind.CREDIT_NOTE, reference, (net, tax), of=book_reference(of)))
        await self.settled(account_id, of)

    async def owed(self, account_id: str, number: str) -> int:
        """See Invoices."""
        await self._invoices.get(account_id, number)
        return await self._books.open_amount(account_id, book_reference(number))

    async def settled(self, account_id: str, number: str) -> None:
        """See Invoices."""
        await self._invoices.settle(account_id, number)

    async def settle_prepaid(self, account_id: str) -> None:
        """See Invoices."""
        for invoice in await self._invoices.open_of(account_id):
            await self._settle(account_id, invoice.number)

    async def take_back(self, account_id: str, number: str, reference: str, gross: int) -> None:
        """See Invoices."""
        newest = await self._invoices.list(account_id, _NEWEST) if not number else None
        for one in [number] if newest is None else [one.number for one in newest.invoices if one.kind is Form.INVOICE]:
            if gross <= 0:
                return
            gross -= await self._notes.credit_up_to(account_id, one, reference, gross)

    async def account_of(self, number: str) -> str:
        """See Invoices."""
        return await self._invoices.account_of(number)

    async def _settle(self, account_id: str, number: str) -> None:
        """Let what is prepaid pay an invoice, as far as it goes; the entry says which part of it that was."""
        prepaid = (await self._books.balances(account_id)).prepaid
        open_ = await self._books.open_amount(account_id, book_reference(number))
        if amount := min(prepaid, open_):
            # What is open says which settlement it is: nobody settles the same part twice.
            posting = Posting(Kind.SETTLED, f"settled/{number}/{open_}", (amount,), of=book_reference(number))
            await self._books.post(account_id, posting)
        await self._invoices.settle(account_id, number)


def _billable(customer: Customer, first_day: int, last_day: int) -> Billable:
    spans = tuple(BilledSpan(*span) for span in customer.spans_in(first_day, last_day))
    subjects = (customer.account_id, customer.mailbox_id) if customer.mailbox_id else (customer.account_id,)
    return Billable(customer.account_id, subjects, spans)
