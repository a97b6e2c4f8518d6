"""What billing asks other services: what mailboxes hold, and what was delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from protos.delivery.v1 import delivery_pb2
from protos.storage.v1 import storage_pb2
from services.billing.domain.customers import Customer
from services.billing.domain.model import Meter, Profile

if TYPE_CHECKING:
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub

_TIMEOUT = 2.0
_COUNT_TIMEOUT = 60.0
_log = get_logger("peers")


class StoredLevels:
    """Implements standing.Levels by what storage says."""

    def __init__(self, storage: StorageAsyncStub) -> None:
        """Ask storage."""
        self._storage = storage

    async def of(self, mailbox_id: str) -> Mapping[Meter, int]:
        """Return what a mailbox holds; nothing where there is none, or where storage cannot say now."""
        if not mailbox_id:
            return {}
        try:
            found = await self._storage.GetMailbox(
                storage_pb2.GetMailboxRequest(mailbox_id=mailbox_id), timeout=_TIMEOUT
            )
        except SealpostError as error:
            # The page shows the rest; a number that nobody knows is not shown as another.
            _log.warning("levels_unknown", reason=error.reason)
            return {}
        return {Meter.STORAGE_BYTES: found.used_bytes}


class HeldMails:
    """Implements metering.reconciling.Inventory: the mails that mailboxes hold."""

    meter = Meter.MAILS_STORED

    def __init__(self, storage: StorageAsyncStub) -> None:
        """Ask storage."""
        self._storage = storage

    def counted_for(self, customer: Customer) -> str:
        """See Inventory."""
        return customer.mailbox_id

    async def held(self, subjects: Sequence[str], day: int) -> Mapping[str, int]:
        """See Inventory."""
        request = storage_pb2.CountHeldRequest(mailbox_ids=subjects, day=day)
        return dict((await self._storage.CountHeld(request, timeout=_COUNT_TIMEOUT)).held)


class DeliveredMails:
    """Implements metering.reconciling.Inventory: what the relay has delivered."""

    meter = Meter.MAILS_DELIVERED

    def __init__(self, delivery: DeliveryAsyncStub) -> None:
        """Ask delivery."""
        self._delivery = delivery

    def counted_for(self, customer: Customer) -> str:
        """See Inventory."""
        return customer.account_id if customer.profile is Profile.RELAY else ""

    async def held(self, subjects: Sequence[str], day: int) -> Mapping[str, int]:
        """See Inventory."""
        request = delivery_pb2.CountDeliveredRequest(account_ids=subjects, day=day)
        return dict((await self._delivery.CountDelivered(request, timeout=_COUNT_TIMEOUT)).delivered)
