"""Mail is submitted, looked at, cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer


@dataclass(frozen=True)
class SubmissionParts:
    """What this part of the servicer works with."""


class SubmissionRpc(DeliveryServicer):
    """AuthorizeSenders, Submit, GetSubmission, CancelSubmission."""

    _submission: SubmissionParts
