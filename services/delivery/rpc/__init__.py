"""The gRPC edge: decode, call the domain, encode. One mixin for each part of the service."""

from __future__ import annotations

from collections.abc import Collection

from libs.rpc.server import RpcServer
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import add_DeliveryServicer_to_server
from services.delivery.domain.ports import Letters
from services.delivery.measuring.measure import Measure
from services.delivery.rpc.customers import CustomerParts, CustomersRpc
from services.delivery.rpc.forwards import ForwardParts, ForwardsRpc
from services.delivery.rpc.measuring import MeasuringRpc
from services.delivery.rpc.platform import PlatformRpc
from services.delivery.rpc.reports import ReportParts, ReportsRpc
from services.delivery.rpc.submission import SubmissionParts, SubmissionRpc

SERVICE = "sealpost.delivery.v1.Delivery"

# ingest takes mail of senders and reports of the world; retention and billing write to accounts; billing compares what
# was delivered with what it was told; all else is the gateway's.
_ONLY_INGEST = frozenset(("ResolveReturnPath", "TakeReport", "Forward", "WithdrawForward"))
_INGEST = frozenset(("AuthorizeSenders", "Submit")) | _ONLY_INGEST
_LETTERS = "SendPlatformMail"
_COUNTED = "CountDelivered"


class DeliveryRpc(SubmissionRpc, ReportsRpc, ForwardsRpc, MeasuringRpc, CustomersRpc, PlatformRpc):
    """Implements sealpost.delivery.v1.Delivery."""

    def __init__(
        self,
        submission: SubmissionParts,
        reports: ReportParts,
        customers: CustomerParts,
        forwards: ForwardParts,
        measure: Measure,
        letters: Letters,
    ) -> None:
        """Take what each part works with."""
        self._forwards = forwards
        self._submission = submission
        self._reports = reports
        self._customers = customers
        self._measure = measure
        self._letters = letters


def serve_delivery(server: RpcServer, servicer: DeliveryRpc, callers: Collection[str]) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`, and restrict its methods."""
    server.add(add_DeliveryServicer_to_server, servicer, SERVICE)
    restrict_callers(server, callers)


def restrict_callers(server: RpcServer, callers: Collection[str]) -> None:
    """Let each method be called by those only who need it."""
    for method in pb.DESCRIPTOR.services_by_name["Delivery"].methods:
        server.restrict(f"/{SERVICE}/{method.name}", _callers(method.name) & set(callers))


def _callers(method: str) -> set[str]:
    if method == _LETTERS:
        return {"gateway", "retention", "billing"}
    if method == _COUNTED:
        return {"billing"}
    callers = set() if method in _ONLY_INGEST else {"gateway"}
    return callers | ({"ingest"} if method in _INGEST else set())
