"""Erases accounts whose grace is over, at every owner, so that a crash at any step costs nothing but time.

One account: it is noted here; accounts is told that it begins, from where on there is no undo; it goes into the
register; every owner is asked to erase, which destroys keys before it answers the first time - when all have answered,
nothing of the account can be read any more, however many documents are left, and that is an entry in the ledger; then
all delete batch by batch, accounts last, so that the account itself stays as long as anything of it does; the receipt
is written. Each step is noted after it is done and may be done again: what an owner has erased it erases once more, to
no effect.

An owner that is away keeps the others from nothing: they go on, and it is asked again. The receipt waits for all. What
a batch has deleted is counted when the owner answers; a process that is killed in between counts too little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from libs.docstore.store import Store
from libs.owner.model import Subject
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import new_id
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import DataOwner, Evidence, TrustedTime
from services.retention.domain.together import together
from services.retention.erasing.register import Register
from services.retention.leading.lease import Lead
from services.retention.ledger.entries import Data
from services.retention.repository.erasures import Erasure, Erasures, Receipt

LAST = "accounts"
_LISTED = 1000
# Owners compact their files once for all who wait for it, so many at once are cheaper than one after the other. So many
# documents go with the keys: most accounts need no second call, and no key waits for more.
_SIDE_BY_SIDE, _WITH_KEYS = 64, 50
# Of those that need more, a few: an owner lets only so much deleting wait.
_LARGE = 4
# One step of all: those that have become due get their turn, and their keys go first.
_STEP_SECONDS = 0.5
_RUN_SECONDS = 10.0
# What is due in a moment is waited for, so that keys are gone within a second.
_AHEAD_SECONDS, _LOOK_SECONDS = 2, 0.05
_DAY = 86_400

_log = get_logger("erasures")
_ERASED = metrics.counter(
    "sealpost_retention_erasures_total", "Erasures by stage.", {"stage": ("begun", "keys", "done")}
)
_LATE = metrics.gauge("sealpost_retention_erasure_late_seconds", "How long the oldest erasure under way has been due.")


@dataclass(frozen=True)
class Due:
    """An account whose grace is over. `receipt`: SHA-256 of its token, or empty."""

    subject: Subject
    receipt: bytes
    asked_at: int
    due: int


class Accounts(Protocol):
    """What accounts says about erasures."""

    async def due(self, until: int, limit: int) -> list[Due]:
        """Return accounts whose grace is over at `until`, those whose erasure has begun included."""

    async def begin(self, account_id: str) -> None:
        """End the time for undo. Raises: ConflictError: it was taken back; NotFoundError: there is no such account."""


@dataclass(frozen=True)
class Tools:
    """What erasing needs."""

    accounts: Accounts
    owners: Mapping[str, DataOwner]
    erasures: Erasures
    register: Register
    evidence: Evidence
    time: TrustedTime
    clock: Clock
    store: Store


class _Gates:
    """How many erasures go on at once in one step, which ends at `until` (monotonic)."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.many = asyncio.Semaphore(_SIDE_BY_SIDE)
        self.few = asyncio.Semaphore(_LARGE)


class Erasing:
    """Erases what is due."""

    def __init__(self, tools: Tools, batch: int) -> None:
        """Have owners delete at most `batch` documents in one call."""
        self._tools = tools
        self._batch = batch
        self._compact = True
        # The ledger is one chain: entries written at once would get in each other's way.
        self._noting = asyncio.Lock()

    async def run(self, lead: Lead) -> None:
        """Take on what is due, go a step on with all that is under way. Raises: UnavailableError, LeaseLostError."""
        end = self._tools.clock.monotonic() + _RUN_SECONDS
        going = True
        while going and self._tools.clock.monotonic() < end:
            coming = await self._take_on(lead)
            going = await self._round(lead)
            if self._compact:
                self._compact = False
                await self._tools.store.compact()
            if not going and coming:
                going = await self._wait_for(coming)

    async def _round(self, lead: Lead) -> bool:
        """Go a step on with all; tell whether anything is left. Raises: UnavailableError where an owner is away."""
        gates = _Gates(self._tools.clock.monotonic() + _STEP_SECONDS)
        after: Erasure | None = None
        oldest, good, left = 0, True, False
        while page := await self._tools.erasures.page(lead, after):
            oldest = oldest or page[0].due
            good &= all(await together(self._step(lead, one, gates) for one in page))
            left |= not all(one.ended for one in page)
            after = page[-1]
        _LATE.set(max(0, unix_seconds(self._tools.clock) - oldest) if oldest else 0)
        if not good:
            raise UnavailableError("erasure_waits")
        return left

    async def _take_on(self, lead: Lead) -> int:
        """Note what is due; return when the next will be, in the seconds to come, or 0."""
        now = self._tools.time.now()
        listed = await self._tools.accounts.due(now + _AHEAD_SECONDS, _LISTED)
        due = [one for one in listed if one.due <= now]
        known = await self._tools.erasures.known([one.subject.account_id for one in due])
        new = [one for one in due if one.subject.account_id not in known]
        fresh = [Erasure(one.subject, one.receipt.hex(), one.asked_at, one.due, new_id()) for one in new]
        await together(self._tools.erasures.put(lead, one) for one in fresh)
        return min((one.due for one in listed if one.due > now), default=0)

    async def _wait_for(self, due: int) -> bool:
        """Wait until it is `due`, a moment from now; False where it is not then, for the clock may be set back."""
        for _ in range(int(_AHEAD_SECONDS / _LOOK_SECONDS)):
            if self._tools.time.now() >= due:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _step(self, lead: Lead, one: Erasure, gates: _Gates) -> bool:
        """Go on with one erasure; False where an owner did not answer."""
        try:
            async with gates.many:
                if not one.begun and not await self._begin(lead, one):
                    one.ended = True
                    return True
                good = await self._destroy_keys(lead, one)
            others = one.answered - one.done - {LAST}
            async with gates.few if others else gates.many:
                if others and self._tools.clock.monotonic() >= gates.until:
                    return good
                return await self._go_on(lead, one, gates.until) and good
        except SealpostError as error:
            _log.warning("erasure_delayed", error=error, reason=error.reason)
            return False

    async def _begin(self, lead: Lead, one: Erasure) -> bool:
        """End the time for undo, and write it into the register; False where it was taken back."""
        try:
            await self._tools.accounts.begin(one.subject.account_id)
        except ConflictError:
            await self._tools.erasures.drop(one)
            return False
        except NotFoundError:
            _log.info("erasure_of_nobody")
        await self._tools.register.add(one.subject, self._tools.time.now() // _DAY)
        await self._note("erasure_begun", one)
        one.begun = True
        await self._tools.erasures.put(lead, one)
        _ERASED.inc(stage="begun")
        return True

    async def _destroy_keys(self, lead: Lead, one: Erasure) -> bool:
        """Ask those who have not answered yet, who destroy keys before they do."""
        owners = self._tools.owners
        first = [owner for name, owner in owners.items() if name not in one.answered]
        if not first:
            return True
        # The account itself stays as long as anything of it does.
        limits = {LAST: 1}
        good = all(await together(self._ask(one, it, limits.get(it.service, _WITH_KEYS)) for it in first))
        if one.answered >= set(owners):
            one.keys_gone_at = unix_seconds(self._tools.clock)
            await self._note("erasure_keys", one)
            _ERASED.inc(stage="keys")
        await self._tools.erasures.put(lead, one)
        return good

    async def _go_on(self, lead: Lead, one: Erasure, until: float) -> bool:
        owners, good = self._tools.owners, True
        others = [owner for name, owner in owners.items() if name in one.answered - one.done - {LAST}]
        if others:
            good = all(await together(self._delete(one, owner, until) for owner in others))
            await self._tools.erasures.put(lead, one)
        if one.done >= set(owners) - {LAST} and LAST in one.answered - one.done:
            good &= await self._delete(one, owners[LAST], until)
            await self._tools.erasures.put(lead, one)
        if one.done >= set(owners):
            await self._finish(one)
        return good

    async def _delete(self, one: Erasure, owner: DataOwner, until: float) -> bool:
        """Have an owner delete until it has nothing left or the step is over."""
        while owner.service not in one.done and self._tools.clock.monotonic() < until:
            if not await self._ask(one, owner, self._batch):
                return False
        return True

    async def _ask(self, one: Erasure, owner: DataOwner, limit: int) -> bool:
        try:
            answer = await owner.erase(one.subject, limit)
        except SealpostError as error:
            _log.warning("owner_away", service=owner.service, error=error, reason=error.reason)
            return False
        for data_class, erased in answer.erased.items():
            one.add(owner.service, data_class, erased)
        one.answered.add(owner.service)
        if not answer.more:
            one.done.add(owner.service)
        return True

    async def _finish(self, one: Erasure) -> None:
        lines = one.told().lines
        counts = {
            "documents": sum(line.count for line in lines),
            "keys": sum(line.keys for line in lines),
            "kept": sum(line.kept for line in lines),
        }
        entry = await self._note("erasure_done", one, counts)
        if one.receipt:
            done_at = unix_seconds(self._tools.clock)
            receipt = Receipt(one.asked_at, one.due, one.keys_gone_at, done_at, lines, entry)
            await self._tools.erasures.keep(one.receipt, receipt)
        await self._tools.erasures.drop(one)
        one.ended = self._compact = True
        _ERASED.inc(stage="done")

    async def _note(self, kind: str, one: Erasure, counts: Mapping[str, int] | None = None) -> int:
        """Write a step into the ledger, under a random reference; return the number of the entry."""
        data: Data = {"erasure": one.reference, **(counts or {})}
        async with self._noting:
            return (await self._tools.evidence.append(kind, data, once=f"{kind}:{one.reference}")).number
