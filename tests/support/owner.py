"""What every data owner keeps to, once for all services: counting, sweeps neither early nor late, exports, erasures.

A test hands over an owner on an empty store, a way to leave something of somebody in each class, and what it left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from libs.docstore.store import Operation, Store
from libs.owner.model import Erased, Subject, Wanted
from libs.owner.owner import Owner
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from tests.support.clock import ManualClock

ADA, EVE = Subject("ad" * 16, "1a" * 16), Subject("ee" * 16, "1e" * 16)
_FEW = 2
_MOST_CALLS = 1000


@dataclass(frozen=True)
class Left:
    """What one `put` leaves in a class.

    `count`: how many more are counted; `erased`: documents that an erasure deletes, `keys` that it destroys;
    `lifetime`: seconds until a sweep deletes them, None where none does; `exported`: whether the owner gets items.
    """

    count: int = 1
    erased: int = 0
    keys: int = 0
    lifetime: int | None = None
    exported: bool = False


class Trial(Protocol):
    """One owner on an empty store."""

    @property
    def owner(self) -> Owner:
        """The owner."""

    @property
    def store(self) -> Store:
        """Where it keeps what it keeps."""

    @property
    def clock(self) -> ManualClock:
        """Its clock."""

    @property
    def left(self) -> Mapping[str, Left]:
        """What `put` leaves, by class; a class that is not named is left empty."""

    @property
    def put(self) -> Callable[[Subject, bytes], Awaitable[None]]:
        """Leave it for somebody, with 16 bytes of his own wherever anything in clear is kept."""


class Failing:
    """A store whose writes fail from the given one on, each after it was done or instead of it."""

    def __init__(self, store: Store, after: int, *, done: bool) -> None:
        """Let `after` writes through."""
        self._store = store
        self._left = after
        self._done = done

    def __getattr__(self, name: str) -> Any:
        """Leave all else as it is."""
        return getattr(self._store, name)

    async def write(self, operation: Operation) -> Any:
        """See Store."""
        return await self._through(lambda: self._store.write(operation))

    async def write_many(self, operations: list[Operation]) -> Any:
        """See Store."""
        return await self._through(lambda: self._store.write_many(operations))

    async def delete_range(self, *given: Any) -> Any:
        """See Store."""
        return await self._through(lambda: self._store.delete_range(*given))

    async def compact(self) -> None:
        """See Store."""
        await self._through(self._store.compact)

    async def _through(self, call: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            return await call()
        if self._done:
            await call()
        raise UnavailableError("storage_unavailable")


async def check_owner(trial: Trial) -> None:
    """Take `trial` through the life of two accounts; AssertionError where it does not keep to something."""
    marks = {ADA: b"mark-of-ada-zzzz", EVE: b"mark-of-eve-zzzz"}
    assert set(await counts(trial)) == set(trial.owner.names), "every class is counted"
    assert not any((await counts(trial)).values()), "nothing is counted where nothing is"
    await trial.put(ADA, marks[ADA])
    await trial.put(EVE, marks[EVE])
    await check_counts(trial, {name: 2 * one.count for name, one in trial.left.items()})
    await _check_export(trial, marks)
    await _check_early(trial)
    await _check_erasure(trial, marks)
    await _check_late(trial)


async def counts(trial: Trial) -> dict[str, int]:
    """Return how much is held of each class."""
    return {name: one.count for name, one in (await trial.owner.inventory()).items()}


async def check_counts(trial: Trial, expected: Mapping[str, int]) -> None:
    """See that this, and nothing else, is held."""
    held = {name: count for name, count in (await counts(trial)).items() if count}
    assert held == {name: count for name, count in expected.items() if count}


async def erase(trial: Trial, subject: Subject, limit: int = _FEW) -> dict[str, Erased]:
    """Erase until no more; return what went, by class. No call does more than `limit`."""
    total: dict[str, Erased] = {}
    for _ in range(_MOST_CALLS):
        step = await trial.owner.erase(subject, limit)
        assert sum(one.deleted for one in step.classes.values()) <= limit
        for name, one in step.classes.items():
            before = total.get(name, Erased())
            total[name] = Erased(before.deleted + one.deleted, before.keys + one.keys)
        if not step.more:
            return total
    raise AssertionError("the erasure has no end")


async def sweep(trial: Trial, name: str, until: int, limit: int = _FEW) -> int:
    """Sweep a class until no more; return how many went. No call does more than `limit`."""
    total = 0
    for _ in range(_MOST_CALLS):
        swept = await trial.owner.sweep(name, until, limit)
        assert swept.deleted <= limit
        total += swept.deleted
        if not swept.more:
            return total
    raise AssertionError("the sweep has no end")


async def found_in_files(trial: Trial, *needles: bytes) -> int | None:
    """Return how often `needles` stand in the engine's files; None where they are elsewhere."""
    if not trial.store.files():
        return None
    return sum((await trial.owner.traces(needles)).found)


async def _check_export(trial: Trial, marks: Mapping[Subject, bytes]) -> None:
    given: dict[str, set[str]] = {}
    async for name, item in trial.owner.export(ADA, (), Wanted()):
        blocks = [block async for block in item.content]
        assert all(len(block) <= 256 * 1024 for block in blocks)
        assert marks[EVE] not in b"".join(blocks) and EVE.account_id.encode() not in b"".join(blocks)
        assert item.name not in given.setdefault(name, set()), "a name stands once in its class"
        given[name].add(item.name)
    assert set(given) == {name for name, one in trial.left.items() if one.exported}
    stranger = Subject("5a" * 16, "5b" * 16)
    assert [item async for item in trial.owner.export(stranger, (), Wanted())] == []


async def _check_early(trial: Trial) -> None:
    timed = [one.lifetime for one in trial.left.values() if one.lifetime]
    if timed:
        trial.clock.advance(min(timed) - 1)
    before = await counts(trial)
    for name in trial.owner.names:
        # Whatever the caller believes the time to be.
        assert await sweep(trial, name, unix_seconds(trial.clock) + 10**9) == 0, f"{name}: deleted before its time"
    assert await counts(trial) == before


async def _check_erasure(trial: Trial, marks: Mapping[Subject, bytes]) -> None:
    before = await counts(trial)
    assert await erase(trial, Subject("5a" * 16, "5b" * 16)) == {}
    gone = await erase(trial, ADA)
    expected = {name: Erased(one.erased, one.keys) for name, one in trial.left.items() if one.erased or one.keys}
    assert gone == expected, "each document is counted once"
    for name, one in trial.left.items():
        before[name] -= one.erased or one.keys
    await check_counts(trial, before)
    assert not await found_in_files(trial, marks[ADA], ADA.account_id.encode(), ADA.mailbox_id.encode())
    assert await erase(trial, ADA) == {}, "nothing is left to erase"
    assert [item async for item in trial.owner.export(ADA, (), Wanted())] == []


async def _check_late(trial: Trial) -> None:
    before = await counts(trial)
    start = unix_seconds(trial.clock)
    trial.clock.advance(max((one.lifetime or 0 for one in trial.left.values()), default=0) + 1)
    now = unix_seconds(trial.clock)
    for name in trial.owner.names:
        left = trial.left.get(name, Left())
        # By the caller's time nothing is over yet.
        assert await sweep(trial, name, start) == 0
        deleted = await sweep(trial, name, now)
        assert deleted == (before[name] if left.lifetime is not None else 0), f"{name}: not all that was over went"
    await check_counts(trial, {n: c for n, c in before.items() if trial.left.get(n, Left()).lifetime is None})
