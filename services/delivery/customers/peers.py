"""The services that the customers' side calls: gRPC behind the Protocols of ports."""

from __future__ import annotations

from collections.abc import Sequence

from libs.runtime.clock import Clock
from libs.runtime.errors import DeniedError
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc
from services.delivery.customers.ports import AccountFacts, DkimRecord, ServedDomain
from services.delivery.domain.model import Profile

_SECONDS = 10.0
_KNOWN_SECONDS = 60.0
_PROFILES = {
    common_pb2.PROFILE_SEALED: Profile.SEALED,
    common_pb2.PROFILE_PUBLIC: Profile.PUBLIC,
    common_pb2.PROFILE_MAILING: Profile.MAILING,
    common_pb2.PROFILE_RELAY: Profile.RELAY,
}
_SENDING = frozenset((common_pb2.PROFILE_SEALED, common_pb2.PROFILE_RELAY))


class AccountsClient:
    """ports.Accounts over gRPC; the domains are remembered for a minute."""

    def __init__(self, stub: accounts_pb2_grpc.AccountsAsyncStub, clock: Clock) -> None:
        """Take the stub."""
        self._stub = stub
        self._clock = clock
        self._served: tuple[ServedDomain, ...] = ()
        self._until = float("-inf")

    async def facts(self, account_id: str) -> AccountFacts:
        """See ports.Accounts. Raises also: DeniedError("sender_not_allowed") for a profile that does not send."""
        request = accounts_pb2.GetAccountRequest(account_id=account_id)
        found = await self._stub.GetAccount(request, timeout=_SECONDS)
        profile = _PROFILES.get(found.profile)
        if profile is None:
            raise DeniedError("sender_not_allowed")
        return AccountFacts(profile, found.created_day)

    async def served(self) -> Sequence[ServedDomain]:
        """See ports.Accounts."""
        now = self._clock.monotonic()
        if now >= self._until:
            found = await self._stub.ListDomains(accounts_pb2.ListDomainsRequest(), timeout=_SECONDS)
            self._served = tuple(ServedDomain(one.name, one.profile in _SENDING) for one in found.domains)
            self._until = now + _KNOWN_SECONDS
        return self._served


class DkimClient:
    """ports.DkimKeys over gRPC."""

    def __init__(self, stub: crypto_pb2_grpc.CryptoAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def ensure(self, domain: str) -> Sequence[DkimRecord]:
        """See ports.DkimKeys."""
        found = await self._stub.EnsureDkimKeys(crypto_pb2.DkimDomainRequest(domain=domain), timeout=_SECONDS)
        return [DkimRecord(key.selector, key.record) for key in found.keys]

    async def delete(self, domain: str) -> None:
        """See ports.DkimKeys."""
        await self._stub.DeleteDkimKeys(crypto_pb2.DkimDomainRequest(domain=domain), timeout=_SECONDS)
