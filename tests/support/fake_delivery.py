"""The service delivery in memory, at its RPC interface, in the place of a stub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from libs.runtime.errors import SealpostError
from protos.common.v1.common_pb2 import Failure
from protos.delivery.v1 import delivery_pb2 as pb


@dataclass(eq=False)
class FakeDelivery:
    """Takes every mail and counts what is reserved; `refuse` may raise for either, given the account."""

    submitted: list[pb.SubmitItem] = field(default_factory=list)
    reserved: list[tuple[str, int]] = field(default_factory=list)
    reservations: set[str] = field(default_factory=set)
    letters: list[pb.SendPlatformMailRequest] = field(default_factory=list)
    refuse: Callable[[str], None] = lambda account_id: None

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
        """Count; what has a name once."""
        if request.reservation_id in self.reservations:
            return pb.ReserveResponse()
        self.refuse(request.account_id)
        self.reservations |= {request.reservation_id} - {""}
        self.reserved.append((request.account_id, request.recipients))
        return pb.ReserveResponse()

    async def SendPlatformMail(
        self, request: pb.SendPlatformMailRequest, context: Any = None, timeout: float = 0
    ) -> pb.SendPlatformMailResponse:
        """Remember it."""
        self.letters.append(request)
        return pb.SendPlatformMailResponse()
