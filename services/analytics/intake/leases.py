"""Who owns which partition: leases in the partitions' documents, shared fairly among the replicas that are alive.

A replica shows that it lives by a document of its own. Each holds at most ceil(partitions / replicas), gives back what
is too much and takes what nobody owns. Leases only keep replicas from disturbing each other; what keeps counts right is
the version of the document (partitions.py). So a replica that starts again under its old name takes its partitions back
at once, without waiting for the leases of the run that died: if that run were alive after all, it would lose its next
write.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Collection as Items
from dataclasses import dataclass, replace

from libs.docstore.store import Body, Collection, Delete, Index, Insert, Patch, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from services.analytics.partitions import PARTITION_COUNT, Lease, Partitions, Record

REPLICAS = Collection("replica", (Index("until", ("until",)),), fields=("until",))
_MANY = 1000


@dataclass(frozen=True)
class Replica:
    """A process of analytics: `name` outlives it, `run` does not."""

    name: str
    run: str

    @classmethod
    def here(cls, address: str) -> Replica:
        """Return this process: the name follows from the host and the address that it listens on."""
        digest = hashlib.sha256(f"{socket.gethostname()}|{address}".encode()).hexdigest()
        return cls(digest[:16], secrets.token_hex(8))


class Leases:
    """Takes, renews and gives back partitions for one replica."""

    def __init__(self, store: Store, clock: Clock, replica: Replica, seconds: int) -> None:
        """Use `store`, opened with REPLICAS and PARTITIONS; `seconds`: how long a lease lasts without renewal."""
        self._store = store
        self._partitions = Partitions(store)
        self._clock = clock
        self.replica = replica
        self._seconds = seconds
        self._beat_at = -float("inf")

    def lease(self) -> Lease:
        """Return a lease of this replica from now on."""
        return Lease(self.replica.name, self.replica.run, unix_seconds(self._clock) + self._seconds)

    async def share(self) -> int:
        """Show that this replica lives, and return how many partitions it may hold."""
        now = unix_seconds(self._clock)
        if self._clock.monotonic() - self._beat_at >= self._seconds / 3:
            await self._beat(now)
            self._beat_at = self._clock.monotonic()
        found = await self._store.find(Query(REPLICAS, "until", lower=now, limit=_MANY))
        alive = {document.key for document in found} | {self.replica.name}
        return -(-PARTITION_COUNT // len(alive))

    async def take(self, held: Items[int], share: int) -> list[Record]:
        """Take partitions that nobody owns until `share` are held, and return the new ones.

        Documents must exist (Partitions.create_all).
        """
        if len(held) >= share:
            return []
        now = unix_seconds(self._clock)
        taken: list[Record] = []
        records = [record for record in (await self._partitions.read_all()).values() if record.partition not in held]
        # Own ones of an earlier run first: their emitters have been waiting for longest.
        records.sort(key=lambda record: (record.lease.owner != self.replica.name, secrets.randbits(32)))
        for record in records:
            if len(held) + len(taken) >= share:
                break
            if record.lease.owner not in ("", self.replica.name) and record.lease.until >= now:
                continue
            lease = self.lease()
            try:
                version = await self._partitions.lease(record, lease)
            except (ConflictError, NotFoundError):
                continue  # another replica was quicker
            taken.append(replace(record, version=version, lease=lease))
        return taken

    def is_due(self, record: Record) -> bool:
        """Tell whether the lease of `record` should be renewed now."""
        return record.lease.until - unix_seconds(self._clock) < 2 * self._seconds / 3

    async def renew(self, record: Record) -> Record:
        """Return `record` with a new lease, written. Raises: ConflictError, NotFoundError: not ours any more."""
        lease = self.lease()
        return replace(record, version=await self._partitions.lease(record, lease), lease=lease)

    async def give_back(self, record: Record) -> None:
        """Let others take a partition at once; one that is not ours any more stays as it is."""
        try:
            await self._partitions.lease(record, Lease())
        except (ConflictError, NotFoundError):
            return

    async def leave(self) -> None:
        """Stop counting as a replica."""
        try:
            await self._store.write(Delete(REPLICAS, self.replica.name))
        except NotFoundError:
            return

    async def _beat(self, now: int) -> None:
        fields: Body = {"until": now + self._seconds}
        try:
            await self._store.write(Patch(REPLICAS, self.replica.name, fields))
        except NotFoundError:
            await self._store.write(Insert(REPLICAS, self.replica.name, fields))
        await self._store.delete_range(REPLICAS, "until", (), now - 10 * self._seconds, 100)
