"""Payments as customers make them, and what the provider tells of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingServicer
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.payments.model import Payment, Purpose
from services.billing.payments.payments import Payments, Wanted
from services.billing.payments.taking import Taking
from services.billing.rpc.convert import who_of
from services.billing.rpc.plans import Context

_MOST_BODY = 256 * 1024
_MOST_SIGNATURE = 2000


@dataclass(frozen=True)
class PaymentParts:
    """What this part of the servicer works with. `bank`: to whom a transfer goes."""

    customers: Customers
    payments: Payments
    taking: Taking
    bank: Callable[[], str]


class PaymentsRpc(BillingServicer):
    """StartPayment, GetPayment, OpenPortal, TakeWebhook."""

    _payments: PaymentParts

    async def StartPayment(self, request: pb.StartPaymentRequest, context: Context) -> pb.Payment:
        """See billing.proto."""
        what = request.WhichOneof("what")
        if what == "credits":
            wanted = Wanted(Purpose.CREDITS, net=request.credits)
        elif what == "invoice":
            wanted = Wanted(Purpose.INVOICE, request.invoice)
        elif what == "plan":
            wanted = Wanted(Purpose.PLAN, request.plan)
        else:
            raise InvalidError("what")
        payment = await self._payments.payments.start(await self._payer(request.account), request.request_id, wanted)
        return self._payment(payment)

    async def GetPayment(self, request: pb.PaymentRequest, context: Context) -> pb.Payment:
        """See billing.proto."""
        account_id = who_of(request.account).account_id
        return self._payment(await self._payments.payments.get(account_id, request.payment_id))

    async def OpenPortal(self, request: pb.AccountRequest, context: Context) -> pb.Portal:
        """See billing.proto."""
        return pb.Portal(url=await self._payments.payments.portal(await self._payer(request)))

    async def TakeWebhook(self, request: pb.TakeWebhookRequest, context: Context) -> pb.TakeWebhookResponse:
        """See billing.proto."""
        if len(request.body) > _MOST_BODY or len(request.signature) > _MOST_SIGNATURE:
            raise InvalidError("webhook")
        await self._payments.taking.take(request.body, request.signature)
        return pb.TakeWebhookResponse()

    async def _payer(self, request: pb.AccountRequest) -> Customer:
        who = who_of(request)
        return await self._payments.customers.known(who.account_id, who.mailbox_id, who.profile)

    def _payment(self, payment: Payment) -> pb.Payment:
        return payment_message(payment, self._payments.bank())


def payment_message(payment: Payment, bank: str) -> pb.Payment:
    """Return a payment; `bank`: to whom a transfer goes."""
    return pb.Payment(
        payment_id=payment.payment_id,
        state=payment.state.value,
        amount=payment.amount,
        currency=payment.currency,
        reference=payment.reference,
        instructions=bank if payment.reference else "",
        url=payment.url,
        created=payment.created,
        purpose=payment.purpose.value,
        what=payment.what,
    )
