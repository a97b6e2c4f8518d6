"""Invoices and payments of an account, and what the provider of payments tells us.

A webhook comes without a session: its signature over the bytes as they came is all the proof there is, so they are
passed on as they are, and nothing here looks into them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from services.gateway.http.accounts import InSession
from services.gateway.http.billing import models, translate
from services.gateway.http.billing.peer import Cursor, Limit, account_of, billing_of, name_of
from services.gateway.http.frames import pieces
from services.gateway.http.openapi import binary, errors

router = APIRouter(prefix="/v1/billing", tags=["billing"])
Form = Annotated[Literal["pdf", "json"], Query(alias="format")]
_MEDIA_TYPES = {"pdf": "application/pdf", "json": "application/json"}
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
# A page may be full of rows of usage.
_FILE_SECONDS = 30.0
_LONGEST_SIGNATURE = 4096
_WEBHOOK = {
    "requestBody": {
        "required": True,
        "description": "What the provider sends, as it is; 256 KiB at most.",
        "content": {"application/json": {"schema": {}}},
    }
}


@router.get("/invoices")
async def list_invoices(caller: InSession, request: Request, limit: Limit = 24, cursor: Cursor = "") -> models.Invoices:
    """Return invoices and credit notes, newest first."""
    billing, timeout = billing_of(request)
    wanted = pb.ListInvoicesRequest(account=account_of(caller), limit=limit, cursor=cursor)
    found = await billing.ListInvoices(wanted, timeout=timeout)
    return models.Invoices(
        invoices=[translate.invoice(one) for one in found.invoices], next_cursor=found.next_cursor or None
    )


@router.get(
    "/invoices/{number}", responses=binary("application/pdf", "The invoice, or as JSON."), response_class=Response
)
async def get_invoice(number: str, caller: InSession, request: Request, form: Form = "json") -> Response:
    """Return an invoice as a file."""
    billing, _ = billing_of(request)
    wanted = pb.GetInvoiceRequest(account=account_of(caller), number=name_of(number, "invoice"), form=form)
    found = await billing.GetInvoice(wanted, timeout=_FILE_SECONDS)
    name = found.name if _FILE_NAME.match(found.name) else f"{number}.{form}"
    return Response(
        found.content, media_type=_MEDIA_TYPES[form], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@router.post("/payments", status_code=201, responses=errors(404, 409))
async def start_payment(given: models.PaymentIn, caller: InSession, request: Request) -> models.Payment:
    """Start a payment; it says how to pay. The same `request_id` again is the same payment."""
    billing, timeout = billing_of(request)
    wanted = pb.StartPaymentRequest(account=account_of(caller), request_id=given.request_id)
    if given.credits is not None:
        wanted.credits = given.credits
    elif given.invoice is not None:
        wanted.invoice = given.invoice
    else:
        wanted.plan = given.plan or ""
    return translate.payment(await billing.StartPayment(wanted, timeout=timeout))


@router.get("/payments/{payment_id}")
async def get_payment(payment_id: str, caller: InSession, request: Request) -> models.Payment:
    """Return how a payment stands."""
    billing, timeout = billing_of(request)
    wanted = pb.PaymentRequest(account=account_of(caller), payment_id=name_of(payment_id, "payment"))
    return translate.payment(await billing.GetPayment(wanted, timeout=timeout))


@router.post("/portal", responses=errors(409))
async def open_portal(caller: InSession, request: Request) -> models.Portal:
    """Return where the provider shows cards and mandates; 409 `no_portal` where payments are transfers."""
    billing, timeout = billing_of(request)
    found = await billing.OpenPortal(account_of(caller), timeout=timeout)
    return models.Portal(url=translate.web_address(found.url))


@router.post("/webhook", status_code=204, responses=errors(403), openapi_extra=_WEBHOOK)
async def take_webhook(request: Request) -> None:
    """Take what the provider of payments tells; its signature is the proof."""
    billing, timeout = billing_of(request)
    signature = request.headers.get("stripe-signature", "")
    if len(signature) > _LONGEST_SIGNATURE:
        raise InvalidError("webhook")
    body = b"".join([piece async for piece in pieces(request)])
    await billing.TakeWebhook(pb.TakeWebhookRequest(body=body, signature=signature), timeout=timeout)
