"""Parts of billing that many tests need."""

from __future__ import annotations

from libs.docstore.store import Store
from libs.envelope import KeyedHash
from libs.runtime.secret import Secret
from services.billing.gone import Gone
from tests.support.clock import ManualClock


def gone_of(store: Store) -> Gone:
    """Return who is gone by a store opened with GONE."""
    return Gone(store, KeyedHash(Secret(b"g" * 32)), ManualClock(), 1000)
