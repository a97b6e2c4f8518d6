"""Recovery: ends what append.py began and a fault cut off. Runs at start and then periodically, in any replica.

Deliveries that are committed but not finished: their copies are shown (a copy that is shown already refuses, by its
version, to be shown again), then the marker is finished. Staged copies that are 15 minutes old: if their delivery has a
marker, it has decided; if not, the sweep decides against it by inserting the marker itself, and only then deletes. A
delivery that comes late loses against that marker. Tombstones and old markers are forgotten when their time is over.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.store import Delete, Document, Operation, Query, Store, Written
from libs.runtime.clock import Clock, unix_seconds
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.storage import deliveries
from services.storage.removal import Remover
from services.storage.repository import DELIVERIES, MESSAGES, read_all, reveal, text

_BATCH = 100

_log = get_logger("recovery")
_RECOVERED = metrics.counter(
    "sealpost_storage_recovered_total", "Copies of cut-off deliveries.", {"action": ("shown", "swept")}
)


class Recovery:
    """Looks after deliveries to several recipients."""

    def __init__(self, store: Store, remover: Remover, clock: Clock) -> None:
        """Work on `store`."""
        self._store = store
        self._remover = remover
        self._clock = clock

    async def start(self) -> None:
        """Complete every committed delivery, also those that are not due yet: nobody else is at work on them."""
        while await self._look_at_markers(unix_seconds(self._clock) + deliveries.REVEAL_SECONDS):
            pass

    async def step(self) -> int:
        """Look at a bounded number of markers and staged copies that are due; return how many that were."""
        now = unix_seconds(self._clock)
        return await self._look_at_markers(now) + await self._look_at_staged(now)

    async def _look_at_markers(self, upper: int) -> int:
        due = await self._store.find(Query(DELIVERIES, "due", upper=upper, limit=_BATCH))
        committed = [marker for marker in due if deliveries.state(marker) == deliveries.COMMITTED]
        old = [marker for marker in due if deliveries.state(marker) != deliveries.COMMITTED]
        await self._store.write_many([Delete(DELIVERIES, marker.key, marker.version) for marker in old])
        for marker in committed:
            await self._complete(marker)
        return len(due)

    async def _complete(self, marker: Document) -> None:
        found = await read_all(self._store, MESSAGES, deliveries.copies(marker))
        staged = [document for document in found.values() if not deliveries.is_settled(document)]
        results = await self._store.write_many([reveal(document.key, document.body) for document in staged])
        now = unix_seconds(self._clock)
        done = all(deliveries.is_revealed(result) for result in results)
        await self._store.write_many([(deliveries.finish if done else deliveries.postpone)(marker.key, now)])
        shown = sum(isinstance(result, Written) for result in results)
        _RECOVERED.inc(shown, action="shown")
        if shown:
            _log.info("delivery_completed", count=shown)

    async def _look_at_staged(self, now: int) -> int:
        due = await self._store.find(Query(MESSAGES, "settling", upper=now, limit=_BATCH))
        graves = [document for document in due if document.body.get("gone")]
        await self._store.write_many([Delete(MESSAGES, grave.key, grave.version) for grave in graves])
        await self._decide([document for document in due if not document.body.get("gone")], now)
        return len(due)

    async def _decide(self, staged: Sequence[Document], now: int) -> None:
        """Delete staged copies unless their delivery is committed; insert the marker against it where there is none."""
        ids = list(dict.fromkeys(text(document.body, "delivery") for document in staged))
        markers = await read_all(self._store, DELIVERIES, ids)
        missing = [delivery_id for delivery_id in ids if delivery_id not in markers]
        aborts: list[Operation] = [deliveries.abort(delivery_id, now) for delivery_id in missing]
        results = await self._store.write_many(aborts) if aborts else []
        lost = {one for one, result in zip(missing, results, strict=True) if isinstance(result, Written)}
        lost |= {one for one, marker in markers.items() if deliveries.state(marker) != deliveries.COMMITTED}
        removed = await self._remover.remove(
            [document for document in staged if text(document.body, "delivery") in lost]
        )
        _RECOVERED.inc(len(removed), action="swept")
        for marker in markers.values():
            if deliveries.state(marker) == deliveries.COMMITTED:
                await self._complete(marker)
