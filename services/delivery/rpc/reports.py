"""Reports about mail that went out: which addresses take them, and what comes in at them."""

from __future__ import annotations

from dataclasses import dataclass

from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer


@dataclass(frozen=True)
class ReportParts:
    """What this part of the servicer works with."""


class ReportsRpc(DeliveryServicer):
    """ResolveReturnPath and TakeReport."""

    _reports: ReportParts
