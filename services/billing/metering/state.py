"""How far the log is added up: one document."""

from __future__ import annotations

from libs.docstore.fields import number
from libs.docstore.store import Collection, Insert, Patch, Store
from libs.runtime.errors import ConflictError

STATE = Collection("meter_state", fields=("upto",))
_KEY = "folded"


async def folded_upto(store: Store) -> int:
    """Return the number of the last document of the log that all counters have. Raises: UnavailableError."""
    found = await store.get(STATE, _KEY)
    return number(found.body, "upto") if found is not None else 0


async def put_folded(store: Store, upto: int) -> None:
    """Write it down; never less than what stands there. Raises: UnavailableError."""
    found = await store.get(STATE, _KEY)
    try:
        if found is None:
            await store.write(Insert(STATE, _KEY, {"upto": upto}))
        elif number(found.body, "upto") < upto:
            await store.write(Patch(STATE, _KEY, {"upto": upto}, version=found.version))
    except ConflictError:
        # Another process was at it at the same moment; who is behind does it again.
        return
