"""The gRPC edge: decode, call the domain, encode. One mixin for each part of the service."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from libs.rpc.server import RpcServer
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import add_BillingServicer_to_server
from services.billing.rpc.credits import CreditParts, CreditsRpc
from services.billing.rpc.invoices import InvoiceParts, InvoicesRpc
from services.billing.rpc.operators import OperatorParts, OperatorsRpc
from services.billing.rpc.payments import PaymentParts, PaymentsRpc
from services.billing.rpc.plans import PlanParts, PlansRpc

SERVICE = "sealpost.billing.v1.Billing"
# ingest meters sends, and asks for the room of mailboxes as delivery does; all else is the gateway's.
ALSO = {"Grant": ("ingest", "delivery")}


@dataclass(frozen=True)
class Parts:
    """What each part of the servicer works with."""

    plans: PlanParts
    credit: CreditParts
    invoices: InvoiceParts
    payments: PaymentParts
    operators: OperatorParts


class BillingRpc(PlansRpc, CreditsRpc, InvoicesRpc, PaymentsRpc, OperatorsRpc):
    """Implements sealpost.billing.v1.Billing."""

    def __init__(self, parts: Parts) -> None:
        """Take what each part works with."""
        self._plans = parts.plans
        self._credits = parts.credit
        self._invoices = parts.invoices
        self._payments = parts.payments
        self._operators = parts.operators


def serve_billing(server: RpcServer, servicer: BillingRpc, callers: Collection[str]) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`, and restrict its methods."""
    server.add(add_BillingServicer_to_server, servicer, SERVICE)
    for method in pb.DESCRIPTOR.services_by_name["Billing"].methods:
        server.restrict(f"/{SERVICE}/{method.name}", {"gateway", *ALSO.get(method.name, ())} & set(callers))
