"""Payments as customers and officers ask for them.

    started ─▶ waiting ─▶ paid ─▶ booked          by transfer: an officer records what came
                  └▶ failed  └▶ refunded, disputed, reversed: booked as well

A request is one payment, however often it is sent. What moves money is written with the step that books it (model.py).
A transfer that was recorded goes back only when one officer asks for that and another one agrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.docstore.fields import number as number_field
from libs.docstore.store import Document, Insert, Patch, Query, Store, Value
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY
from services.billing.domain.pricing import tax_of
from services.billing.invoicing.taxes import tax_for
from services.billing.payments.booking import Booking
from services.billing.payments.model import PAYMENTS, Payment, Purpose, State, Step, body_of, payment_of
from services.billing.payments.ports import Invoices, Offers, Provider
from services.billing.payments.references import read_reference

_LONGEST_REQUEST = 64
_MOST_WAITING = 20
_MOST_PAGE = 200
_CHANGED = ("state", "step", "recorded_by", "asked_by", "confirmed_by", "refunds", "charge_ref", "provider_ref")
# In which order lists of a state are read: what waits longest first, what came last first.
_NEWEST_FIRST = frozenset({State.PAID})


@dataclass(frozen=True)
class Page:
    """Some payments; `cursor` is empty where there are no more."""

    payments: tuple[Payment, ...]
    cursor: str


@dataclass(frozen=True)
class Wanted:
    """What is to be paid: credits for an amount before tax, an invoice by its number, or a plan by its name."""

    purpose: Purpose
    what: str = ""
    net: int = 0


@dataclass(frozen=True)
class Parts:
    """What payments work with."""

    store: Store
    clock: Clock
    customers: Customers
    offers: Offers
    invoices: Invoices
    booking: Booking
    provider: Provider


class Payments:
    """The payments of one store, opened with PAYMENTS. All methods raise UnavailableError."""

    def __init__(self, parts: Parts) -> None:
        """Take what they work with."""
        self._parts = parts
        self._store = parts.store
        self._backoff = Backoff(first=0.005, ceiling=0.1, attempts=10)

    async def start(self, customer: Customer, request: str, wanted: Wanted) -> Payment:
        """Begin a payment; the same request again is the same payment.

        Raises: InvalidError("request_id" | "credits" | "plan"); NotFoundError("invoice"); ConflictError("paid") for an
        invoice of which nothing is open, ConflictError("request_id") for a request that was for something else,
        ConflictError("not_needed") where a plan is not paid at the provider; ConflictError("too_many") that wait.
        """
        if not (0 < len(request) <= _LONGEST_REQUEST and request.isascii() and request.isprintable()):
            raise InvalidError("request_id")
        known = await self._requested(customer.account_id, request)
        if known is not None and (known.purpose, known.what) != (wanted.purpose, wanted.what):
            raise ConflictError("request_id")
        payment = known or await self._made(customer, request, wanted)
        if payment.state is not State.WAITING or payment.reference or payment.url:
            return payment
        started = await self._parts.provider.start(payment, customer, _title(payment))
        return await self._changed(
            payment,
            url=started.url,
            provider_ref=started.provider_ref,
            reference=started.reference,
        )

    async def get(self, account_id: str, payment_id: str) -> Payment:
        """Return a payment. Raises: NotFoundError("payment"), for somebody else's as well."""
        payment = await self._by_id(payment_id)
        if payment.account_id != account_id:
            raise NotFoundError("payment")
        return payment

    async def portal(self, customer: Customer) -> str:
        """Return where a customer sees his cards. Raises: ConflictError("no_portal")."""
        return await self._parts.provider.portal(customer)

    async def page(self, state: State, limit: int, cursor: str = "") -> Page:
        """Return 1 to 200 payments in a state. Raises: InvalidError("limit" | "cursor")."""
        if not 0 < limit <= _MOST_PAGE:
            raise InvalidError("limit")
        query = Query(
            PAYMENTS,
            "states",
            (state.value,),
            after=_after(cursor),
            descending=state in _NEWEST_FIRST,
            limit=limit + 1,
        )
        found = await self._store.find(query)
        last = found[limit - 1] if len(found) > limit else None
        return Page(tuple(map(payment_of, found[:limit])), _cursor(last) if last is not None else "")

    async def record(self, officer: str, reference: str, amount: int) -> Payment:
        """Write down that a transfer came; again, by whomever, it is known.

        `reference` is that of a payment, or the number of an invoice. Raises: InvalidError("reference") for one that
        cannot be; NotFoundError("payment"); ConflictError("amount") where another amount is waited for,
        ConflictError("state") where the payment went back.
        """
        payment = await self._referred(reference.strip())
        if payment.amount != amount:
            raise ConflictError("amount")
        if payment.state is State.WAITING:
            payment = await self._changed(payment, state=State.PAID, step=Step.PAID, recorded_by=officer)
        elif payment.state is not State.PAID:
            raise ConflictError("state")
        return await self._parts.booking.book(payment)

    async def ask_reversal(self, officer: str, payment_id: str) -> Payment:
        """Ask for a recorded transfer to be taken back. Raises: NotFoundError("payment"), ConflictError("state")."""
        payment = await self._by_id(payment_id)
        if payment.state is State.REVERSAL_ASKED:
            return payment
        if payment.state is not State.PAID or not payment.recorded_by:
            raise ConflictError("state")
        return await self._changed(payment, state=State.REVERSAL_ASKED, asked_by=officer)

    async def confirm_reversal(self, officer: str, payment_id: str) -> Payment:
        """Take it back. Raises: DeniedError("same_officer") for who has asked; as ask_reversal."""
        payment = await self._by_id(payment_id)
        if payment.state is State.REVERSAL_ASKED:
            if officer == payment.asked_by:
                raise DeniedError("same_officer")
            payment = await self._changed(payment, state=State.REVERSED, step=Step.REVERSED, confirmed_by=officer)
        elif payment.state is not State.REVERSED:
            raise ConflictError("state")
        return await self._parts.booking.book(payment)

    async def _referred(self, reference: str) -> Payment:
        if _is_number(reference):
            account_id = await self._parts.invoices.account_of(reference)
            customer = await self._parts.customers.get(account_id)
            wanted = Wanted(Purpose.INVOICE, reference)
            if customer is None:
                raise NotFoundError("payment")
            known = await self._requested(account_id, f"transfer/{reference}")
            if known is None:
                return await self._made(customer, f"transfer/{reference}", wanted)
            if known.state is State.WAITING:
                # What is open of it may have changed since somebody named another amount.
                open_, _ = await self._amounts(customer, wanted)
                return await self._changed(known, net=open_, amount=open_)
            return known
        found = await self._store.find(Query(PAYMENTS, "reference", (read_reference(reference),), limit=1))
        if not found:
            raise NotFoundError("payment")
        return payment_of(found[0])

    async def _made(self, customer: Customer, request: str, wanted: Wanted) -> Payment:
        net, tax = await self._amounts(customer, wanted)
        now = unix_seconds(self._parts.clock)
        payment = Payment(
            payment_id=new_id(),
            account_id=customer.account_id,
            purpose=wanted.purpose,
            what=wanted.what,
            net=net,
            tax=tax,
            amount=net + tax,
            currency=self._parts.offers.on(now // DAY).currency,
            provider=self._parts.provider.name,
            request=request,
            created=now,
        )
        waiting = Query(PAYMENTS, "account", (customer.account_id,), descending=True, limit=_MOST_WAITING)
        stands = [payment_of(document).state for document in await self._store.find(waiting)]
        if stands.count(State.WAITING) >= _MOST_WAITING:
            raise ConflictError("too_many")
        try:
            written = await self._store.write(Insert(PAYMENTS, payment.payment_id, body_of(payment)))
        except ConflictError:
            known = await self._requested(customer.account_id, request)
            if known is None:
                raise UnavailableError("payment_contended") from None
            return known
        return replace(payment, version=written.version)

    async def _amounts(self, customer: Customer, wanted: Wanted) -> tuple[int, int]:
        """Return net and tax of what is wanted; of an invoice what is open, as one amount."""
        catalogue = self._parts.offers.on(unix_seconds(self._parts.clock) // DAY)
        if wanted.purpose is Purpose.INVOICE:
            open_ = await self._parts.invoices.owed(customer.account_id, wanted.what)
            if not open_:
                raise ConflictError("paid")
            return open_, 0
        if wanted.purpose is Purpose.CREDITS:
            if wanted.net not in catalogue.credit_packs:
                raise InvalidError("credits")
            net = wanted.net
        else:
            if not self._parts.provider.sells_plans:
                raise ConflictError("not_needed")
            plan = catalogue.plans.get(wanted.what)
            if plan is None or plan.profile is not customer.profile or plan.retired or not plan.price:
                raise InvalidError("plan")
            net = plan.price
        tax = tax_for(catalogue, await self._parts.customers.details(customer.account_id))
        return net, tax_of(net, tax.rate)

    async def _requested(self, account_id: str, request: str) -> Payment | None:
        found = await self._store.find(Query(PAYMENTS, "request", (account_id, request), limit=1))
        return payment_of(found[0]) if found else None

    async def _by_id(self, payment_id: str) -> Payment:
        found = await self._store.get(PAYMENTS, payment_id)
        if found is None:
            raise NotFoundError("payment")
        return payment_of(found)

    async def _changed(self, payment: Payment, **given: object) -> Payment:
        changed = replace(payment, **given)  # type: ignore[arg-type]
        fields: dict[str, Value] = body_of(changed)
        told = {name: fields[name] for name in fields if name in {*_CHANGED, *given}}
        written = await self._store.write(Patch(PAYMENTS, payment.payment_id, told, version=payment.version))
        return replace(changed, version=written.version)


def _title(payment: Payment) -> str:
    if payment.purpose is Purpose.INVOICE:
        return f"Invoice {payment.what}"
    return "Credits" if payment.purpose is Purpose.CREDITS else "Plan"


def _is_number(reference: str) -> bool:
    year, _, count = reference.partition("-")
    return len(year) == 4 and year.isdigit() and len(count) >= 6 and count.isdigit()


def _cursor(document: Document) -> str:
    return f"{number_field(document.body, 'created')}.{document.key}"


def _after(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    created, _, key = cursor.partition(".")
    if not (created.isascii() and created.isdigit() and len(created) < 15 and key):
        raise InvalidError("cursor")
    return int(created), key
