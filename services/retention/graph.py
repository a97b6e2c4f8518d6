"""The object graph of one retention process, top to bottom, and where its parts hook in.

Every part is made from the Base and answers with what it adds: duties of the leader, classes that retention itself
owns, and the calls or results that the RPC edge passes on. Policy versions and disclosure are `rights_graph`, probes
and canaries are `probes.graph`; the rest stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.docstore.store import Collection, Store
from libs.envelope import KeyEncryptionKeys
from libs.policy.model import Policy
from libs.runtime.clock import Clock
from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError
from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub
from services.retention.domain.ports import DataOwner, Numbers, TrustedTime
from services.retention.leading.lease import LEASES, Fenced
from services.retention.ledger.ledger import LEDGER, Ledger
from services.retention.settings import Settings

CORE_COLLECTIONS: tuple[Collection, ...] = (LEASES, LEDGER)


@dataclass(frozen=True)
class Peers:
    """The services that are called. `owners` by service, retention itself among them."""

    accounts: AccountsAsyncStub
    delivery: DeliveryAsyncStub
    owners: Mapping[str, DataOwner]


@dataclass(frozen=True)
class Base:
    """What everything stands on; `store` was opened with the collections of all parts."""

    settings: Settings
    store: Store
    clock: Clock
    policy: Policy
    terms: Numbers
    keks: KeyEncryptionKeys
    ledger: Ledger
    time: TrustedTime
    fenced: Fenced
    peers: Peers


def open_keks(settings: Settings) -> KeyEncryptionKeys:
    """Read the key-encryption keys. Raises: SettingsError if the file does not hold one."""
    try:
        return KeyEncryptionKeys.from_file(Secret(settings.kek.reveal().encode()))
    except ValueError as error:
        raise SettingsError([f"SEALPOST_KEK_FILE: {error}"]) from error
