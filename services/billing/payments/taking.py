"""Takes what a provider tells of payments: each message once, and only what the provider says when he is asked again.

A message with a right signature says which object to look at, and nothing more is believed of it: messages come late,
twice and in any order, the object is as it is now. What follows from it is a state that the payment may go to from
where it stands; what it has passed already changes nothing. A message is known for as long as its sender may repeat it;
until what followed from it is written down it is not, so that it is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from libs.docstore.store import Collection, Index, Insert, Patch, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from libs.runtime.ids import new_id
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.billing.customers import Customers
from services.billing.payments.booking import Booking
from services.billing.payments.model import PAYMENTS, Payment, Purpose, State, Step, body_of, payment_of
from services.billing.payments.ports import Happened, PlanChanges, Provider, Told

WEBHOOK_EVENTS = Collection("webhook_events", (Index("taken", ("taken",)),), fields=("taken",))

_log = get_logger("webhooks")
_TAKEN = metrics.counter(
    "sealpost_billing_webhooks_total",
    "Messages of the payment provider, by what came of them.",
    {"outcome": ("done", "known", "nothing")},
)
# Where a payment may go from where it stands, and what that books.
_WAYS: Mapping[tuple[State, Happened], tuple[State, Step | None]] = {
    (State.WAITING, Happened.PAID): (State.PAID, Step.PAID),
    (State.FAILED, Happened.PAID): (State.PAID, Step.PAID),
    (State.WAITING, Happened.FAILED): (State.FAILED, None),
    (State.PAID, Happened.REFUNDED): (State.REFUNDED, Step.REFUNDED),
    (State.PAID, Happened.DISPUTED): (State.DISPUTED, Step.DISPUTED),
    (State.DISPUTED, Happened.WON): (State.PAID, Step.WON),
}


class Taking:
    """The messages of one provider, in `store` opened with PAYMENTS and WEBHOOK_EVENTS."""

    def __init__(self, store: Store, clock: Clock, provider: Provider, booking: Booking) -> None:
        """Take what `provider` tells."""
        self._store = store
        self._clock = clock
        self._provider = provider
        self._booking = booking
        self._customers: Customers | None = None
        self._plans: PlanChanges | None = None

    def tell(self, customers: Customers, plans: PlanChanges) -> None:
        """Let customers know what the provider calls them, and have the plan that they paid for."""
        self._customers, self._plans = customers, plans

    async def take(self, body: bytes, signature: str) -> None:
        """Take one message; again changes nothing.

        Raises: DeniedError("signature"), InvalidError("webhook"); UnavailableError: it is to be sent again.
        """
        webhook = self._provider.webhook(body, signature)
        if await self._store.get(WEBHOOK_EVENTS, webhook.event_id) is not None:
            _TAKEN.inc(outcome="known")
            return
        told = await self._provider.look(webhook)
        outcome = await self._follow(told) if told is not None else "nothing"
        try:
            await self._store.write(Insert(WEBHOOK_EVENTS, webhook.event_id, {"taken": unix_seconds(self._clock)}))
        except ConflictError:
            outcome = "known"  # the same message at the same time
        _TAKEN.inc(outcome=outcome)

    async def _follow(self, told: Told) -> str:
        payment = await self._find(told)
        if payment is None:
            return "nothing"
        if payment.step is not None:
            # One step after the other: what happened before is booked first.
            payment = await self._booking.book(payment)
        if told.happened is Happened.RENEWED:
            return await self._renew(payment, told)
        way = _WAYS.get((payment.state, told.happened))
        changed = _told_more(payment, told)
        if way is None:
            if changed != payment:
                await self._write(changed)
            return "nothing"
        if told.happened is Happened.REFUNDED:
            return await self._refund(changed, told)
        disputes = payment.disputes + (told.happened is Happened.DISPUTED)
        done = await self._write(replace(changed, state=way[0], step=way[1], disputes=disputes))
        await self._booking.book(done)
        if told.happened is Happened.PAID:
            await self._let_have(done, told)
        return "done"

    async def _refund(self, payment: Payment, told: Told) -> str:
        before = payment.refunds[-1] if payment.refunds else 0
        if told.amount <= before:
            return "nothing"
        state = State.REFUNDED if told.amount >= payment.amount else State.PAID
        refunded = replace(payment, state=state, step=Step.REFUNDED, refunds=(*payment.refunds, told.amount))
        await self._booking.book(await self._write(refunded))
        return "done"

    async def _renew(self, first: Payment, told: Told) -> str:
        """Make and book the payment of another month of a plan, once for what the provider calls it."""
        request = f"renewal/{told.own_ref}"
        found = await self._store.find(Query(PAYMENTS, "request", (first.account_id, request), limit=1))
        if found:
            await self._booking.book(payment_of(found[0]))
            return "nothing"
        renewal = Payment(
            payment_id=new_id(),
            account_id=first.account_id,
            purpose=Purpose.PLAN,
            what=first.what,
            net=told.amount,
            tax=0,
            amount=told.amount,
            currency=first.currency,
            provider=first.provider,
            request=request,
            created=unix_seconds(self._clock),
            state=State.PAID,
            step=Step.PAID,
            charge_ref=told.charge_ref,
        )
        written = await self._store.write(Insert(PAYMENTS, renewal.payment_id, body_of(renewal)))
        await self._booking.book(replace(renewal, version=written.version))
        return "done"

    async def _let_have(self, payment: Payment, told: Told) -> None:
        """Write down what the provider calls the customer, and give him the plan that he paid for."""
        if self._customers is None or self._plans is None:
            return
        customer = await self._customers.get(payment.account_id)
        if customer is None:
            return
        if payment.purpose is Purpose.PLAN:
            who = customer.account_id, customer.mailbox_id, customer.profile
            customer = await self._plans.change(*who, payment.what)
            # Whoever had another plan there does not pay for both.
            await self._provider.end_plans(customer, payment.payment_id)
        if told.customer_ref and customer.provider_ref != told.customer_ref:
            try:
                await self._customers.put(replace(customer, provider_ref=told.customer_ref))
            except (ConflictError, NotFoundError):
                _log.info("customer_changed")  # the next payment says it again

    async def _find(self, told: Told) -> Payment | None:
        if told.payment_id:
            found = await self._store.get(PAYMENTS, told.payment_id)
            return payment_of(found) if found is not None else None
        if not told.charge_ref:
            return None
        charged = await self._store.find(Query(PAYMENTS, "charge", (told.charge_ref,), limit=1))
        return payment_of(charged[0]) if charged else None

    async def _write(self, payment: Payment) -> Payment:
        """Write a payment as it was read and changed; whoever is second has the message sent again."""
        patch = Patch(PAYMENTS, payment.payment_id, body_of(payment), version=payment.version)
        return replace(payment, version=(await self._store.write(patch)).version)


def _told_more(payment: Payment, told: Told) -> Payment:
    return replace(payment, charge_ref=payment.charge_ref or told.charge_ref)
