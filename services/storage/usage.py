"""Counters of mailboxes: what quotas are held against, and what folders show.

One document for each mailbox holds bytes, messages, and messages and unseen ones of each folder (`m_<folder>`,
`u_<folder>`). Everything is reserved *before* the message is inserted, by one Increment with the quota as its ceiling,
and given back when the insert fails; changes of folders, flags and deletions are added *after* the message changed.
Counters are read in O(1) and changed in O(log n), while counting on demand would read the mailbox.

Between two documents there is no common commit. So a counter may be wrong after a crash, always in the safe direction
for bytes and messages: a reservation that was never used, or a deletion that was not given back, counts too much, never
too little. recount.py mends that; what is known to be wrong is noted in `suspects`, for it to look there first.

All reservations of a batch for one mailbox become one Increment: a flood to one mailbox costs one document change per
batch. Only where that sum does not fit, each delivery is tried by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from libs.docstore.store import Body, Increment, Store, Written
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError, InternalError, SealpostError
from libs.telemetry import metrics
from services.storage.domain import SEEN
from services.storage.limits import Gate
from services.storage.repository import USAGE, number, text

CHECK_SECONDS = 24 * 3600
MAX_SUSPECTS = 10_000

_FAILED = metrics.counter("sealpost_storage_counter_faults_total", "Changes of mailbox counters that got lost.")

Deltas = dict[str, int]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one delivery wants of one mailbox."""

    mailbox_id: str
    deltas: Deltas
    quota_bytes: int
    quota_messages: int

    def ceilings(self) -> dict[str, int]:
        """Return the quotas as ceilings."""
        return {name: most for name, most in (("bytes", self.quota_bytes), ("messages", self.quota_messages)) if most}


@dataclass
class Tally:
    """Changes of counters to be made, by mailbox."""

    changes: dict[str, Deltas] = field(default_factory=dict)

    def add(self, mailbox_id: str, deltas: Mapping[str, int], sign: int = 1) -> None:
        """Add `deltas`, or take them away with sign -1."""
        into = self.changes.setdefault(mailbox_id, {})
        for name, delta in deltas.items():
            into[name] = into.get(name, 0) + sign * delta


def weight(fields: Body) -> Deltas:
    """Return what the message document `fields` adds to the counters of its mailbox."""
    return {"bytes": number(fields, "size"), "messages": 1, **folder_weight(fields)}


def folder_weight(fields: Body) -> Deltas:
    """Return what the message document `fields` adds to the counters of its folder."""
    folder = text(fields, "folder")
    unseen = 0 if number(fields, "flags") & SEEN else 1
    return {f"m_{folder}": 1, f"u_{folder}": unseen}


class Usage:
    """The counters of all mailboxes."""

    def __init__(self, store: Store, gate: Gate, clock: Clock) -> None:
        """Count in `store`; whoever has counters changed is inside of `gate`."""
        self._store = store
        self.gate = gate
        self.clock = clock
        # Mailboxes whose counters may be wrong, oldest first. Lost at a stop: the regular recount finds them too.
        self.suspects: dict[str, None] = {}

    async def reserve(self, claims: Sequence[Claim]) -> list[SealpostError | None]:
        """Reserve each of `claims` or nothing of it; return its error in its place.

        ExhaustedError("quota_bytes" | "quota_messages") where it does not fit; UnavailableError where the store fails.
        """
        groups: dict[str, list[int]] = {}
        for position, claim in enumerate(claims):
            groups.setdefault(claim.mailbox_id, []).append(position)
        outcomes: list[SealpostError | None] = [None] * len(claims)
        together = await self._increment([[claims[position] for position in group] for group in groups.values()])
        alone: list[int] = []
        for group, error in zip(groups.values(), together, strict=True):
            if isinstance(error, ExhaustedError) and len(group) > 1:
                alone += group
            else:
                for position in group:
                    outcomes[position] = error
        if alone:
            apart = await self._increment([[claims[position]] for position in alone])
            for position, error in zip(alone, apart, strict=True):
                outcomes[position] = error
        return outcomes

    async def _increment(self, groups: Iterable[Sequence[Claim]]) -> list[SealpostError | None]:
        check_at = unix_seconds(self.clock) + CHECK_SECONDS
        operations = []
        for group in groups:
            tally = Tally()
            for claim in group:
                tally.add(claim.mailbox_id, claim.deltas)
            ((mailbox_id, deltas),) = tally.changes.items()
            operations.append(Increment(USAGE, mailbox_id, deltas, group[-1].ceilings(), {"check_at": check_at}))
        try:
            results = await self._store.write_many(operations)
        except SealpostError as error:
            self.suspect(operation.key for operation in operations)
            return [error] * len(operations)
        except BaseException:
            self.suspect(operation.key for operation in operations)
            raise
        return [_reservation_error(result) for result in results]

    async def apply(self, tally: Tally) -> None:
        """Make the changes of `tally`. What fails is noted for a recount: the messages have changed already."""
        operations = [
            Increment(USAGE, mailbox_id, used, defaults={"check_at": unix_seconds(self.clock) + CHECK_SECONDS})
            for mailbox_id, deltas in tally.changes.items()
            if (used := {name: delta for name, delta in deltas.items() if delta})
        ]
        if not operations:
            return
        try:
            results = await self._store.write_many(operations)
        except SealpostError:
            results = [InternalError("counters")] * len(operations)
        except BaseException:
            self.suspect(operation.key for operation in operations)
            raise
        lost = [op.key for op, result in zip(operations, results, strict=True) if not isinstance(result, Written)]
        self.suspect(lost)
        _FAILED.inc(len(lost))

    async def get(self, mailbox_id: str) -> Body | None:
        """Return the counters of a mailbox, None if it never had a message that counts."""
        found = await self._store.get(USAGE, mailbox_id)
        return None if found is None else found.body

    @contextmanager
    def suspecting(self, mailbox_ids: Iterable[str]) -> Iterator[None]:
        """Note the mailboxes if the block, which changes messages and then counters, does not come to its end."""
        try:
            yield
        except BaseException:
            self.suspect(mailbox_ids)
            raise

    def suspect(self, mailbox_ids: Iterable[str]) -> None:
        """Note mailboxes whose counters may be wrong."""
        for mailbox_id in mailbox_ids:
            if len(self.suspects) < MAX_SUSPECTS:
                self.suspects.setdefault(mailbox_id, None)


def _reservation_error(result: Written | Exception) -> SealpostError | None:
    if isinstance(result, Written):
        return None
    if isinstance(result, ExhaustedError) and result.reason in {"bytes", "messages"}:
        return ExhaustedError(f"quota_{result.reason}")
    return result if isinstance(result, SealpostError) else InternalError("storage_fault")
