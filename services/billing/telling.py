"""Writes to the owners of accounts, by the one way that the platform has for that: delivery, and its list of letters.

Each letter about something is sent once: its id is made of what it announces. Whoever cannot be reached sees the same
on the page of his plan, so that nothing waits for a letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from libs.envelope import KeyedHash
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from libs.telemetry.logs import get_logger
from protos.delivery.v1 import delivery_pb2 as pb

if TYPE_CHECKING:
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub

_PURPOSE = "billing"
_TIMEOUT = 10.0
_log = get_logger("telling")


class PlatformTeller:
    """Implements payments.dunning.Teller."""

    def __init__(self, delivery: DeliveryAsyncStub, hashes: KeyedHash) -> None:
        """Write through `delivery`."""
        self._delivery = delivery
        self._hashes = hashes

    async def tell(self, account_id: str, letter: str, about: str, fields: Mapping[str, str]) -> None:
        """See Teller."""
        notice = self._hashes.digest("letter", f"{account_id}/{letter}/{about}".encode())
        request = pb.SendPlatformMailRequest(
            notice_id=notice.hex(), account_id=account_id, purpose=_PURPOSE, letter=letter, fields=fields
        )
        try:
            await self._delivery.SendPlatformMail(request, timeout=_TIMEOUT)
        except (ConflictError, DeniedError, InvalidError, NotFoundError) as error:
            # An account without a mailbox, or one that is gone: the page says it.
            _log.warning("letter_not_sent", kind=letter, reason=error.reason)
