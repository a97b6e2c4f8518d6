"""The service delivery in memory, at its RPC interface: behind a real server, or in the place of a stub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from libs.rpc.server import RpcServer
from libs.runtime.errors import SealpostError
from protos.common.v1.common_pb2 import Failure
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer, add_DeliveryServicer_to_server

SERVICE = "sealpost.delivery.v1.Delivery"


@dataclass(eq=False)
class FakeDelivery:
    """Takes every mail and counts what is reserved; `refuse` may raise for either, given the account."""

    submitted: list[pb.SubmitItem] = field(default_factory=list)
    reserved: list[tuple[str, int]] = field(default_factory=list)
    refuse: Callable[[str], None] = lambda account_id: None

    def add_to(self, server: RpcServer) -> None:
        """Serve it; what it does not have is unimplemented."""
        servicer = cast("type[Any]", DeliveryServicer)()
        servicer.Submit, servicer.Reserve = self.Submit, self.Reserve
        server.add(add_DeliveryServicer_to_server, servicer, SERVICE)

    async def Submit(self, request: pb.SubmitRequest, context: Any = None, timeout: float = 0) -> pb.SubmitResponse:
        """Take all of them; each that is refused fails alone."""
        return pb.SubmitResponse(results=[self._take(item) for item in request.items])

    def _take(self, item: pb.SubmitItem) -> pb.SubmitResult:
        try:
            self.refuse(item.account_id)
        except SealpostError as error:
            return pb.SubmitResult(failure=Failure(code=error.code, reason=error.reason))
        if not any(known.submission_id == item.submission_id for known in self.submitted):
            self.submitted.append(item)
        submitted = pb.Submitted(submission_id=item.submission_id, message_id=f"<{item.submission_id}@sealpost.test>")
        return pb.SubmitResult(submitted=submitted)

    async def Reserve(self, request: pb.ReserveRequest, context: Any = None, timeout: float = 0) -> pb.ReserveResponse:
        """Count."""
        self.refuse(request.account_id)
        self.reserved.append((request.account_id, request.recipients))
        return pb.ReserveResponse()
