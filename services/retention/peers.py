"""What accounts and delivery are asked, behind Protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.owner.model import Subject
from protos.accounts.v1 import accounts_pb2 as pb
from services.retention.erasing.erasing import Due

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub

_SECONDS = 10.0


class AccountsClient:
    """erasing.Accounts over gRPC."""

    def __init__(self, stub: AccountsAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def due(self, until: int, limit: int) -> list[Due]:
        """See erasing.Accounts."""
        request = pb.ListDueErasuresRequest(until=until, limit=limit)
        answer = await self._stub.ListDueErasures(request, timeout=_SECONDS)
        return [Due(Subject(one.account_id, one.mailbox_id), one.receipt, one.asked_at, one.due) for one in answer.due]

    async def begin(self, account_id: str) -> None:
        """See erasing.Accounts."""
        await self._stub.BeginErasure(pb.BeginErasureRequest(account_id=account_id), timeout=_SECONDS)
