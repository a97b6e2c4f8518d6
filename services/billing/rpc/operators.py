"""What operators do: transfers, open invoices, whether counters agree. Of people they see opaque ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.docstore.fields import choice
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, InvalidError
from libs.runtime.ids import is_id
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingServicer
from services.billing.domain.model import DAY
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.sources import BookKeeping
from services.billing.metering.reconciling import Reconciler
from services.billing.payments.model import Payment, State
from services.billing.payments.payments import Payments
from services.billing.rpc.invoices import invoice_message
from services.billing.rpc.payments import payment_message
from services.billing.rpc.plans import Context

_PAGE = 50
_MOST = 200
_DAYS = 90
_MOST_DAYS = 400
# Other words for what a caller knows by them already.
_OF_NOTES = {"amount": "nothing_left", "reference": "request_id"}


@dataclass(frozen=True)
class OperatorParts:
    """What this part of the servicer works with."""

    payments: Payments
    invoices: Invoices
    notes: Notes
    books: BookKeeping
    reconciler: Reconciler
    clock: Clock
    bank: Callable[[], str]


class OperatorsRpc(BillingServicer):
    """Transfers and their reversal, open invoices and credit notes, reconciliations."""

    _operators: OperatorParts

    async def ListWaiting(self, request: pb.ListWaitingRequest, context: Context) -> pb.ListWaitingResponse:
        """See billing.proto."""
        try:
            state = choice(State, request.state or State.WAITING.value)
        except InternalError as error:
            raise InvalidError("state") from error
        page = await self._operators.payments.page(state, request.limit or _PAGE, request.cursor)
        bank = self._operators.bank()
        return pb.ListWaitingResponse(
            # What was paid at the provider goes back there, and not by operators.
            payments=[payment_message(one, bank) for one in page.payments if _shown(one)],
            next_cursor=page.cursor,
        )

    async def RecordPayment(self, request: pb.RecordPaymentRequest, context: Context) -> pb.Payment:
        """See billing.proto."""
        if request.amount <= 0:
            raise InvalidError("amount")
        officer = _officer(request.officer)
        payment = await self._operators.payments.record(officer, request.reference, request.amount)
        return payment_message(payment, self._operators.bank())

    async def AskReversal(self, request: pb.ReversalRequest, context: Context) -> pb.Payment:
        """See billing.proto."""
        payment = await self._operators.payments.ask_reversal(_officer(request.officer), request.payment_id)
        return payment_message(payment, self._operators.bank())

    async def ConfirmReversal(self, request: pb.ReversalRequest, context: Context) -> pb.Payment:
        """See billing.proto."""
        payment = await self._operators.payments.confirm_reversal(_officer(request.officer), request.payment_id)
        return payment_message(payment, self._operators.bank())

    async def ListOpenInvoices(
        self, request: pb.ListOpenInvoicesRequest, context: Context
    ) -> pb.ListOpenInvoicesResponse:
        """See billing.proto."""
        limit = request.limit or _PAGE
        if not 0 < limit <= _MOST:
            raise InvalidError("limit")
        far = unix_seconds(self._operators.clock) // DAY + 400
        page, cursor = await self._operators.invoices.open_page(far, limit, request.cursor)
        invoices = [
            pb.OpenInvoice(
                invoice=invoice_message(invoice),
                open=await self._operators.books.owed(invoice.account_id, invoice.number),
            )
            for invoice in page
        ]
        return pb.ListOpenInvoicesResponse(invoices=invoices, next_cursor=cursor)

    async def CreditInvoice(self, request: pb.CreditInvoiceRequest, context: Context) -> pb.Invoice:
        """See billing.proto."""
        officer = _officer(request.officer)
        if not is_id(request.request_id):
            raise InvalidError("request_id")
        if request.amount < 0:
            raise InvalidError("amount")
        account_id = await self._operators.invoices.account_of(request.number)
        # Who took it back stands in the reference.
        reference = f"officer/{officer}/{request.request_id}"
        try:
            await self._operators.notes.credit(account_id, request.number, reference, request.amount or None)
        except ConflictError as error:
            raise ConflictError(_OF_NOTES.get(error.reason, error.reason)) from error
        return invoice_message(await self._operators.invoices.get(account_id, request.number))

    async def ListReconciliations(
        self, request: pb.ListReconciliationsRequest, context: Context
    ) -> pb.ListReconciliationsResponse:
        """See billing.proto."""
        days = request.days or _DAYS
        if not 0 < days <= _MOST_DAYS:
            raise InvalidError("days")
        found = [
            pb.Reconciliation(day=one.day, meter=one.meter.value, counted=one.counted, owned=one.owned, late=one.late)
            for one in await self._operators.reconciler.newest(days)
        ]
        return pb.ListReconciliationsResponse(reconciliations=found)


def _shown(payment: Payment) -> bool:
    return bool(payment.recorded_by) or payment.state is not State.PAID


def _officer(account_id: str) -> str:
    if not is_id(account_id):
        raise InvalidError("officer")
    return account_id
