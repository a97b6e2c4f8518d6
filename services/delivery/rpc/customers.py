"""What customers look at and change: events, suppressions, sender domains, webhooks, campaigns, their standing."""

from __future__ import annotations

from dataclasses import dataclass

from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer


@dataclass(frozen=True)
class CustomerParts:
    """What this part of the servicer works with."""


class CustomersRpc(DeliveryServicer):
    """Reserve, events, suppressions, sender domains, webhooks, campaigns, sending."""

    _customers: CustomerParts
