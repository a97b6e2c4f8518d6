"""What every part of one retention process stands on, and where the parts hook in.

Every part is made from the Base and answers with what it adds: duties of the leader, classes that retention itself
owns, and the calls or results that the RPC edge passes on. Policy versions and disclosure are `rights_graph`, probes
and canaries are `probes.graph`, everything else is `core_graph`; main puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.docstore.store import Collection, Store
from libs.envelope import KeyEncryptionKeys, open_keks
from libs.events.dedupe import SEEN_EVENTS
from libs.policy.model import Policy
from libs.policy.terms import Terms
from libs.runtime.clock import Clock
from services.retention.domain.ports import DataOwner
from services.retention.erasing.register import REGISTER
from services.retention.leading.guard import CLOCKS, Guard
from services.retention.leading.lease import LEASES, Fenced
from services.retention.ledger.ledger import LEDGER, Ledger
from services.retention.ledger.roots import ROOTS
from services.retention.repository.books import BOOKS
from services.retention.repository.erasures import ERASURES, RECEIPTS
from services.retention.settings import Settings

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub

CORE_COLLECTIONS: tuple[Collection, ...] = (
    LEASES,
    CLOCKS,
    LEDGER,
    ROOTS,
    BOOKS,
    ERASURES,
    RECEIPTS,
    REGISTER,
    SEEN_EVENTS,
)


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
    terms: Terms
    keks: KeyEncryptionKeys
    ledger: Ledger
    time: Guard
    fenced: Fenced
    peers: Peers


def make_base(settings: Settings, store: Store, clock: Clock, policy: Policy, peers: Peers) -> Base:
    """Compose it. Raises: SettingsError if the key file does not hold a key."""
    keks = open_keks(settings.kek)
    terms = Terms(policy)
    ledger = Ledger(store, clock)
    guard = Guard(store, clock, ledger, lambda: terms.rule("clock_jump_seconds"))
    return Base(settings, store, clock, policy, terms, keks, ledger, guard, Fenced(store), peers)
