"""What happens when an invoice is not paid: it is said kindly, then something stops, and nothing is ever lost.

    due ─▶ told that it is due ─▶ a day later: grace, with its end ─▶ its end: nothing new can be sent or added
    paid, at any time ─▶ everything as before

Mail comes in all the while and can be read, and nothing is deleted for an unpaid bill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, State
from services.billing.domain.money import said
from services.billing.invoicing.documents import Invoice, Kind
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.json_form import iso
from services.billing.payments.ports import Offers

_PAGE = 200


class Teller(Protocol):
    """Writes to the owners of accounts."""

    async def tell(self, account_id: str, letter: str, about: str, fields: Mapping[str, str]) -> None:
        """Send a letter about something, once. Raises: UnavailableError."""


class Dunning:
    """Looks after invoices that are due and customers who owe."""

    def __init__(self, customers: Customers, invoices: Invoices, offers: Offers, clock: Clock, teller: Teller) -> None:
        """Take whom it is about, and who tells them."""
        self._customers = customers
        self._invoices = invoices
        self._offers = offers
        self._clock = clock
        self._teller = teller

    async def step(self) -> int:
        """Look once at everybody concerned; return 0. Raises: UnavailableError."""
        await self._overdue()
        await self._owing()
        return 0

    async def _overdue(self) -> None:
        today = unix_seconds(self._clock) // DAY
        after: Invoice | None = None
        while page := await self._invoices.overdue(today, _PAGE, after):
            for invoice in page:
                if invoice.kind is Kind.INVOICE:
                    await self._remind(invoice, today)
            after = page[-1]

    async def _remind(self, invoice: Invoice, today: int) -> None:
        customer = await self._customers.get(invoice.account_id)
        if customer is None:
            return  # erased: the claim stays in the books, and there is nobody to write to
        offers = self._offers.on(today)
        ends = invoice.due_day + 1 + offers.grace_days
        fields = {
            "invoice": invoice.number,
            "amount": said(invoice.gross, offers.digits, invoice.currency),
            "due": iso(invoice.due_day),
            "until": iso(ends),
        }
        await self._teller.tell(customer.account_id, "invoice_due", invoice.number, fields)
        if today <= invoice.due_day or customer.owing:
            return
        await self._teller.tell(customer.account_id, "grace", invoice.number, fields)
        await self._put(replace(customer, state=State.GRACE, state_until=max(ends, today + 1) * DAY))

    async def _owing(self) -> None:
        """End a grace that is over, and what was stopped for a bill that is paid."""
        now = unix_seconds(self._clock)
        for state in (State.GRACE, State.READ_ONLY):
            after: Customer | None = None
            while page := await self._customers.in_state(state, after, _PAGE):
                for customer in page:
                    await self._review(customer, now)
                after = page[-1]

    async def _review(self, customer: Customer, now: int) -> None:
        due = await self._invoices.due_day(customer.account_id)
        if not due or due >= now // DAY:
            price = self._offers.on(now // DAY).plans[customer.plan].price
            await self._teller.tell(customer.account_id, "paid", f"{customer.version}", {})
            await self._put(replace(customer, state=State.ACTIVE if price else State.FREE, state_until=0))
        elif customer.state is State.GRACE and customer.state_until <= now:
            await self._teller.tell(customer.account_id, "read_only", f"{due}", {"due": iso(due)})
            await self._put(replace(customer, state=State.READ_ONLY, state_until=0))

    async def _put(self, customer: Customer) -> None:
        try:
            await self._customers.put(customer)
        except (ConflictError, NotFoundError):
            return  # changed at this moment: the next look finds him as he is
