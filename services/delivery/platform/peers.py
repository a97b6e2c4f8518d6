"""What letters ask of the service accounts: gRPC behind the Protocols of sending and consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protos.accounts.v1 import accounts_pb2 as pb

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub

_SECONDS = 10.0


class RightsClient:
    """sending.Reaching and consent.Consents over gRPC."""

    def __init__(self, stub: AccountsAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def reach(self, account_id: str, purpose: str) -> Sequence[str]:
        """See sending.Reaching."""
        request = pb.ReachRequest(account_id=account_id, purpose=purpose)
        return tuple((await self._stub.Reach(request, timeout=_SECONDS)).addresses)

    async def withdraw(self, account_id: str) -> None:
        """See consent.Consents."""
        consents = [pb.Consent(purpose="newsletter", given=False)]
        await self._stub.PutConsents(pb.PutConsentsRequest(account_id=account_id, consents=consents), timeout=_SECONDS)
