"""What retention asks of delivery's classes, on a store and a clock of a test."""

from __future__ import annotations

from libs.docstore.store import Collection, Store
from libs.envelope import KeyedHash
from libs.policy import Terms, load_policy
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.secret import Secret
from services.delivery.erased import ErasedAccounts
from services.delivery.held.kept import Keeping, KeptClass, Rows

TERMS = Terms(load_policy())
HASHES = KeyedHash(Secret(b"l" * 32))


def keeping(store: Store, clock: Clock, terms: Terms = TERMS, hashes: KeyedHash = HASHES) -> Keeping:
    """Return what classes on `store` are made of."""
    return Keeping(store, ErasedAccounts(store, hashes, clock, terms), clock, terms)


async def swept(store: Store, clock: Clock, *collections: Collection, unit: int = 1) -> int:
    """Sweep collections that have an index of when their time is over; return how many documents went."""
    rows = [Rows(collection, "expires", unit=unit) for collection in collections]
    return (await KeptClass("any", keeping(store, clock), rows).sweep(unix_seconds(clock), 1000)).deleted
