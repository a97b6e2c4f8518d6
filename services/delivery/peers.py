"""The services that the queue calls, beyond what libs.mailbox does: gRPC behind Protocols."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from libs.runtime.clock import Clock
from libs.runtime.errors import SealpostError, from_code
from libs.runtime.secret import Secret
from libs.telemetry.logs import get_logger
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc

_ACCOUNTS_SECONDS = 5.0
_CRYPTO_SECONDS = 20.0
_KNOWN_SECONDS = 30.0

_log = get_logger("peers")


class OwnDomains:
    """The domains served here, remembered for half a minute, and beyond that while accounts does not answer."""

    def __init__(self, stub: accounts_pb2_grpc.AccountsAsyncStub, clock: Clock) -> None:
        """Take the stub."""
        self._stub = stub
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._until = float("-inf")

    async def own(self) -> Collection[str]:
        """See domain.ports.Domains."""
        now = self._clock.monotonic()
        if now < self._until:
            return self._known
        try:
            found = await self._stub.ListDomains(accounts_pb2.ListDomainsRequest(), timeout=_ACCOUNTS_SECONDS)
        except SealpostError as error:
            if not self._known:
                raise
            _log.warning("domains_not_renewed", error=error)
        else:
            self._known = frozenset(one.name for one in found.domains)
        self._until = now + _KNOWN_SECONDS
        return self._known


class AddressBook:
    """The addresses of accounts."""

    def __init__(self, stub: accounts_pb2_grpc.AccountsAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def address(self, account_id: str) -> str:
        """See domain.ports.AccountAddresses."""
        request = accounts_pb2.GetAccountRequest(account_id=account_id)
        return (await self._stub.GetAccount(request, timeout=_ACCOUNTS_SECONDS)).address


class DataKeysClient:
    """queue.keys.DataKeys over gRPC."""

    def __init__(self, stub: crypto_pb2_grpc.CryptoAsyncStub) -> None:
        """Take the stub."""
        self._stub = stub

    async def new(self, count: int, destroy_after: int) -> Sequence[tuple[str, Secret[bytes]]]:
        """See queue.keys.DataKeys."""
        request = crypto_pb2.NewDataKeysRequest(count=count, destroy_after=destroy_after)
        made = await self._stub.NewDataKeys(request, timeout=_CRYPTO_SECONDS)
        return [(one.key_id, Secret(one.key)) for one in made.keys]

    async def get(self, key_ids: Sequence[str]) -> Sequence[Secret[bytes] | Exception]:
        """See queue.keys.DataKeys."""
        found = await self._stub.GetDataKeys(crypto_pb2.DataKeysRequest(key_ids=key_ids), timeout=_CRYPTO_SECONDS)
        return [
            Secret(one.key) if one.HasField("key") else from_code(one.failure.code, one.failure.reason)
            for one in found.results
        ]

    async def destroy(self, key_ids: Sequence[str]) -> None:
        """See queue.keys.DataKeys."""
        await self._stub.DestroyDataKeys(crypto_pb2.DataKeysRequest(key_ids=key_ids), timeout=_CRYPTO_SECONDS)
