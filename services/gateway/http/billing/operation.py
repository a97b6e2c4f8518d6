"""Payments, open invoices and reconciliations for operators, who never learn here who pays.

What an operator changes is done under the id of his account: billing keeps it, and wants another one for a reversal.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from protos.billing.v1 import billing_pb2 as pb
from services.gateway.http.billing import models, translate
from services.gateway.http.billing.peer import Cursor, Limit, billing_of, name_of
from services.gateway.http.openapi import errors
from services.gateway.http.roles import Holder, OperatorRoute

router = APIRouter(prefix="/v1/operator/billing", tags=["operation"], route_class=OperatorRoute)
State = Annotated[
    Literal["waiting", "paid", "reversal_asked"],
    Query(description="Waiting for a transfer; paid by one, the newest first; to be taken back by another operator."),
]
Days = Annotated[int, Query(ge=1, le=90)]


@router.get("/payments")
async def list_payments(
    caller: Holder, request: Request, state: State = "waiting", limit: Limit = 50, cursor: Cursor = ""
) -> models.Payments:
    """Return payments by transfer in a state."""
    billing, timeout = billing_of(request)
    wanted = pb.ListWaitingRequest(limit=limit, cursor=cursor, state=state)
    found = await billing.ListWaiting(wanted, timeout=timeout)
    return models.Payments(
        payments=[translate.payment(one) for one in found.payments], next_cursor=found.next_cursor or None
    )


@router.post("/payments", responses=errors(404, 409))
async def record_payment(given: models.TransferIn, caller: Holder, request: Request) -> models.Payment:
    """Record money that came by transfer; 409 where it is not the amount that was asked for."""
    billing, timeout = billing_of(request)
    wanted = pb.RecordPaymentRequest(officer=caller.account_id, reference=given.reference, amount=given.amount)
    return translate.payment(await billing.RecordPayment(wanted, timeout=timeout))


@router.post("/payments/{payment_id}/reversal", responses=errors(409))
async def ask_reversal(payment_id: str, caller: Holder, request: Request) -> models.Payment:
    """Ask for a recorded payment to be taken back; another operator has to confirm it."""
    billing, timeout = billing_of(request)
    return translate.payment(await billing.AskReversal(_reversal(caller.account_id, payment_id), timeout=timeout))


@router.post("/payments/{payment_id}/reversal/confirm", responses=errors(403, 409))
async def confirm_reversal(payment_id: str, caller: Holder, request: Request) -> models.Payment:
    """Take back what another operator has asked to be taken back."""
    billing, timeout = billing_of(request)
    return translate.payment(await billing.ConfirmReversal(_reversal(caller.account_id, payment_id), timeout=timeout))


@router.get("/invoices")
async def list_open_invoices(
    caller: Holder, request: Request, limit: Limit = 50, cursor: Cursor = ""
) -> models.OpenInvoices:
    """Return invoices that are not paid, the longest due first."""
    billing, timeout = billing_of(request)
    found = await billing.ListOpenInvoices(pb.ListOpenInvoicesRequest(limit=limit, cursor=cursor), timeout=timeout)
    return models.OpenInvoices(
        invoices=[models.OpenInvoice(invoice=translate.invoice(one.invoice), open=one.open) for one in found.invoices],
        next_cursor=found.next_cursor or None,
    )


@router.post("/invoices/{number}/credit", responses=errors(404, 409))
async def credit_invoice(number: str, given: models.CreditIn, caller: Holder, request: Request) -> models.Invoice:
    """Take an invoice back, in part or whole; its credit note is issued soon, and what was paid becomes credits."""
    billing, timeout = billing_of(request)
    wanted = pb.CreditInvoiceRequest(
        officer=caller.account_id,
        number=name_of(number, "invoice"),
        amount=given.amount or 0,
        request_id=given.request_id,
    )
    return translate.invoice(await billing.CreditInvoice(wanted, timeout=timeout))


@router.get("/reconciliations")
async def list_reconciliations(caller: Holder, request: Request, days: Days = 30) -> models.Reconciliations:
    """Return whether what was counted agrees with what the owners of the data say, by day and meter."""
    billing, timeout = billing_of(request)
    found = await billing.ListReconciliations(pb.ListReconciliationsRequest(days=days), timeout=timeout)
    return models.Reconciliations(reconciliations=[translate.reconciliation(one) for one in found.reconciliations])


def _reversal(officer: str, payment_id: str) -> pb.ReversalRequest:
    return pb.ReversalRequest(officer=officer, payment_id=name_of(payment_id, "payment"))
