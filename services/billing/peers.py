"""What billing asks other services: what mailboxes hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from protos.storage.v1 import storage_pb2
from services.billing.domain.model import Meter

if TYPE_CHECKING:
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
    """Implements metering.reconciling.Inventories."""

    def __init__(self, storage: StorageAsyncStub) -> None:
        """Ask storage."""
        self._storage = storage

    async def held(self, mailbox_ids: Sequence[str], day: int) -> Mapping[str, int]:
        """See Inventories."""
        request = storage_pb2.CountHeldRequest(mailbox_ids=mailbox_ids, day=day)
        return dict((await self._storage.CountHeld(request, timeout=_COUNT_TIMEOUT)).held)
