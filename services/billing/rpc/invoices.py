"""Invoices and credit notes: listed, and read as files."""

from __future__ import annotations

from dataclasses import dataclass

from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingServicer
from services.billing.invoicing.documents import Invoice
from services.billing.invoicing.invoices import Invoices
from services.billing.rpc.convert import who_of
from services.billing.rpc.plans import Context

_PAGE = 24


@dataclass(frozen=True)
class InvoiceParts:
    """What this part of the servicer works with."""

    invoices: Invoices


class InvoicesRpc(BillingServicer):
    """ListInvoices, GetInvoice."""

    _invoices: InvoiceParts

    async def ListInvoices(self, request: pb.ListInvoicesRequest, context: Context) -> pb.ListInvoicesResponse:
        """See billing.proto."""
        account_id = who_of(request.account).account_id
        page = await self._invoices.invoices.list(account_id, request.limit or _PAGE, request.cursor)
        return pb.ListInvoicesResponse(invoices=map(invoice_message, page.invoices), next_cursor=page.cursor)

    async def GetInvoice(self, request: pb.GetInvoiceRequest, context: Context) -> pb.InvoiceFile:
        """See billing.proto."""
        account_id = who_of(request.account).account_id
        file = await self._invoices.invoices.file(account_id, request.number, request.form)
        return pb.InvoiceFile(name=file.name, media_type=file.media_type, content=file.content)


def invoice_message(invoice: Invoice) -> pb.Invoice:
    """Return what is clear of a document."""
    return pb.Invoice(
        number=invoice.number,
        kind=invoice.kind.value,
        issued_day=invoice.issued_day,
        due_day=invoice.due_day,
        net=invoice.net,
        tax=invoice.tax,
        gross=invoice.gross,
        currency=invoice.currency,
        state=invoice.state.value,
        of=invoice.of,
    )
