"""Payments at Stripe, by its own library: Checkout for credits, invoices and plans, the portal, webhooks.

What Stripe learns of a payment is its id here, what is bought, and the amount; who pays he tells Stripe himself. What
we learn are Stripe's numbers of the session, the charge and the customer. The library is called in threads of their
own, each call bounded by a time; a request that is repeated bears the payment's id, so that Stripe does it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import stripe

from libs.runtime.errors import ConflictError, DeniedError, InvalidError, UnavailableError
from libs.runtime.secret import Secret
from libs.telemetry.logs import get_logger
from services.billing.domain.customers import Customer
from services.billing.payments.model import Payment, Purpose
from services.billing.payments.ports import Happened, Started, Told, Webhook

TOLERANCE_SECONDS = 300
_TIMEOUT_SECONDS = 20.0
_AT_ONCE = 8
_MOST_PLANS = 20
_log = get_logger("stripe")
_T = TypeVar("_T")


@dataclass(frozen=True)
class StripeSettings:
    """The key, the secret of webhooks, where our pages are, and where Stripe is ("": where the library says)."""

    key: Secret[str]
    webhook_secret: Secret[str]
    public_url: str
    api_base: str = ""


class StripeProvider:
    """Implements ports.Provider."""

    name = "stripe"
    sells_plans = True

    def __init__(self, settings: StripeSettings) -> None:
        """Use the library with this key."""
        self._settings = settings
        bases: Any = {"api": settings.api_base} if settings.api_base else None
        self._client = stripe.StripeClient(
            settings.key.reveal(),
            base_addresses=bases,
            max_network_retries=1,
            http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
        )
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def start(self, payment: Payment, customer: Customer, title: str) -> Started:
        """See Provider."""
        session = await self._call(
            lambda: self._client.v1.checkout.sessions.create(
                self._session(payment, customer, title), {"idempotency_key": f"start-{payment.payment_id}"}
            )
        )
        return Started(url=session.url or "", provider_ref=session.id)

    async def portal(self, customer: Customer) -> str:
        """See Provider."""
        if not customer.provider_ref:
            raise ConflictError("no_portal")
        params: Any = {"customer": customer.provider_ref, "return_url": self._page}
        session = await self._call(lambda: self._client.v1.billing_portal.sessions.create(params))
        return str(session.url)

    async def end_plans(self, customer: Customer, but: str = "") -> None:
        """See Provider."""
        for one in await self._subscriptions(customer):
            if (one.get("metadata") or {}).get("payment", "") != but and not one.get("cancel_at_period_end"):
                await self._set_end(str(one["id"]), ends=True)

    async def go_on(self, customer: Customer) -> None:
        """See Provider."""
        newest = max(await self._subscriptions(customer), key=lambda one: int(one.get("created") or 0), default=None)
        if newest is not None and newest.get("cancel_at_period_end"):
            await self._set_end(str(newest["id"]), ends=False)

    def webhook(self, body: bytes, signature: str) -> Webhook:
        """See Provider: the library checks the signature, and that it is of the last five minutes."""
        secret = self._settings.webhook_secret.reveal()
        try:
            event = stripe.Webhook.construct_event(body, signature, secret, TOLERANCE_SECONDS)
            return Webhook(str(event.id), str(event.type), str(event.data.object["id"]))
        except stripe.SignatureVerificationError as error:
            raise DeniedError("signature") from error
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise InvalidError("webhook") from error

    async def look(self, webhook: Webhook) -> Told | None:
        """See Provider."""
        looks = {
            "checkout.session": self._session_now,
            "charge.dispute": self._dispute_now,
            "charge": self._charge_now,
            "invoice": self._invoice_now,
        }
        kind = webhook.kind.rpartition(".")[0]
        if webhook.kind.startswith("charge.dispute."):
            kind = "charge.dispute"
        look = looks.get(kind)
        return await look(webhook.object_ref) if look is not None else None

    @property
    def _page(self) -> str:
        return f"{self._settings.public_url.rstrip('/')}/settings/billing"

    def _session(self, payment: Payment, customer: Customer, title: str) -> Any:
        price: dict[str, Any] = {
            "currency": payment.currency.lower(),
            "unit_amount": payment.amount,
            "product_data": {"name": title},
        }
        plan = payment.purpose is Purpose.PLAN
        if plan:
            price["recurring"] = {"interval": "month"}
        metadata = {"payment": payment.payment_id}
        session: dict[str, Any] = {
            "mode": "subscription" if plan else "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "success_url": f"{self._page}?payment={payment.payment_id}",
            "cancel_url": self._page,
            "client_reference_id": payment.payment_id,
            "metadata": metadata,
            ("subscription_data" if plan else "payment_intent_data"): {"metadata": metadata},
        }
        if customer.provider_ref:
            session["customer"] = customer.provider_ref
        elif not plan:
            session["customer_creation"] = "always"
        return session

    async def _subscriptions(self, customer: Customer) -> list[dict[str, Any]]:
        if not customer.provider_ref:
            return []
        params: Any = {"customer": customer.provider_ref, "status": "active", "limit": _MOST_PLANS}
        found: Any = await self._call(lambda: self._client.v1.subscriptions.list(params))
        return list(found.to_dict().get("data") or [])

    async def _set_end(self, subscription: str, *, ends: bool) -> None:
        params: Any = {"cancel_at_period_end": ends}
        await self._call(lambda: self._client.v1.subscriptions.update(subscription, params))

    async def _session_now(self, ref: str) -> Told | None:
        session = await self._call(lambda: self._client.v1.checkout.sessions.retrieve(ref))
        told: Any = session.to_dict()
        payment_id = (told.get("metadata") or {}).get("payment", "")
        if not payment_id:
            return None
        happened = Happened.WAITS
        if session.payment_status == "paid":
            happened = Happened.PAID
        elif session.status == "expired":
            happened = Happened.FAILED
        # Of a plan the charge is that of its first invoice, which says so itself.
        intent = _id(session.payment_intent)
        return Told(happened, payment_id, charge_ref=intent, customer_ref=_id(session.customer))

    async def _charge_now(self, ref: str) -> Told | None:
        charge = await self._call(lambda: self._client.v1.charges.retrieve(ref))
        if not charge.amount_refunded:
            return None
        return Told(Happened.REFUNDED, charge_ref=_id(charge.payment_intent), amount=charge.amount_refunded)

    async def _dispute_now(self, ref: str) -> Told | None:
        dispute = await self._call(lambda: self._client.v1.disputes.retrieve(ref))
        happened = Happened.WON if dispute.status in ("won", "warning_closed") else Happened.DISPUTED
        return Told(happened, charge_ref=_id(dispute.payment_intent))

    async def _invoice_now(self, ref: str) -> Told | None:
        """Say of a further month of a plan that it is paid; of the first one, which its session tells, the charge."""
        params: Any = {"expand": ["payments"]}
        invoice = await self._call(lambda: self._client.v1.invoices.retrieve(ref, params))
        told: Any = invoice.to_dict()
        parent = (told.get("parent") or {}).get("subscription_details") or {}
        payment_id = (parent.get("metadata") or {}).get("payment", "")
        if not payment_id or told.get("status") != "paid":
            return None
        charge = _charge_of(told)
        if told.get("billing_reason") == "subscription_create":
            return Told(Happened.WAITS, payment_id, charge_ref=charge)
        return Told(Happened.RENEWED, payment_id, amount=int(told["amount_paid"]), charge_ref=charge, own_ref=ref)

    async def _call(self, ask: Callable[[], _T]) -> _T:
        """Ask Stripe. Raises: UnavailableError where it cannot be reached, fails, or does not take our question."""
        async with self._slots:
            try:
                async with asyncio.timeout(3 * _TIMEOUT_SECONDS):
                    return await asyncio.to_thread(ask)
            except (stripe.StripeError, TimeoutError) as error:
                _log.warning("stripe_failed", error=error)
                raise UnavailableError("provider_unavailable") from error


def _charge_of(invoice: Mapping[str, Any]) -> str:
    """Return what refunds and disputes of an invoice's payment will name."""
    for one in (invoice.get("payments") or {}).get("data") or []:
        if one.get("status") == "paid":
            return _id((one.get("payment") or {}).get("payment_intent"))
    return ""


def _id(value: object) -> str:
    """Return the number of what is named by it, or stands there whole."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(getattr(value, "id", ""))
