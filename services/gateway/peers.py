"""The services that the gateway calls.

The gateway is a translation from HTTP to RPC and back, so the stubs are its vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc.aio

from libs.allowance import Allowances
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.analytics.v1.analytics_pb2_grpc import AnalyticsStub
from protos.billing.v1.billing_pb2_grpc import BillingStub
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from protos.retention.v1.retention_pb2_grpc import RetentionStub
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.gateway.export import SERVICES

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.analytics.v1.analytics_pb2_grpc import AnalyticsAsyncStub
    from protos.billing.v1.billing_pb2_grpc import BillingAsyncStub
    from protos.crypto.v1.crypto_pb2_grpc import CryptoAsyncStub
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub
    from protos.retention.v1.retention_pb2_grpc import RetentionAsyncStub
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub


@dataclass(frozen=True)
class Peers:
    """The stubs, the deadline in seconds that every call takes, and whom to ask what is held, by service.

    `billing` is None where the installation has none.
    """

    accounts: AccountsAsyncStub
    crypto: CryptoAsyncStub
    storage: StorageAsyncStub
    delivery: DeliveryAsyncStub
    analytics: AnalyticsAsyncStub
    retention: RetentionAsyncStub
    timeout: float
    owners: Mapping[str, DataOwnerAsyncStub] = field(default_factory=dict)
    billing: BillingAsyncStub | None = None
    # What plans allow; None where there are none.
    allowances: Allowances | None = None


def connect(channel: Callable[[str], grpc.aio.Channel], timeout: float, *, billing: bool = False) -> Peers:
    """Return the stubs; `channel` gives the way to a service of this name. `billing`: whether there is that service."""
    return Peers(
        AccountsStub(channel("accounts")),
        CryptoStub(channel("crypto")),
        StorageStub(channel("storage")),
        DeliveryStub(channel("delivery")),
        AnalyticsStub(channel("analytics")),
        RetentionStub(channel("retention")),
        timeout,
        {name: DataOwnerStub(channel(name)) for name in SERVICES if billing or name != "billing"},
        BillingStub(channel("billing")) if billing else None,
    )
