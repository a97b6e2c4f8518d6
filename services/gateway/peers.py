"""The services that the gateway calls.

The gateway is a translation from HTTP to RPC and back, so the stubs are its vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio

from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.storage.v1.storage_pb2_grpc import StorageStub

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.crypto.v1.crypto_pb2_grpc import CryptoAsyncStub
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub


@dataclass(frozen=True)
class Peers:
    """The three stubs, and the deadline in seconds that every call takes."""

    accounts: AccountsAsyncStub
    crypto: CryptoAsyncStub
    storage: StorageAsyncStub
    timeout: float


def connect(accounts: grpc.aio.Channel, crypto: grpc.aio.Channel, storage: grpc.aio.Channel, timeout: float) -> Peers:
    """Return the stubs on these channels."""
    return Peers(AccountsStub(accounts), CryptoStub(crypto), StorageStub(storage), timeout)
