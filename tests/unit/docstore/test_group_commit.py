"""Group commit: what gathers while a transaction runs goes into the next one; nobody waits, nothing piles up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from libs.docstore.group_commit import Bounds, Engine, GroupCommitter
from libs.runtime.errors import ConflictError, ExhaustedError, InternalError, UnavailableError


class Doubler:
    """Doubles numbers, one batch at a time, when it is let; 13 is refused, 0 is a fault."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = threading.Event()
        self.let.set()

    def run(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(jobs))
        self.let.wait(10)
        if 0 in jobs:
            raise ZeroDivisionError
        return [ConflictError("unlucky") if job == 13 else job * 2 for job in jobs]


async def started(engine: Doubler, count: int) -> None:
    async with asyncio.timeout(5):
        while len(engine.batches) < count:  # noqa: ASYNC110 - another thread fills it
            await asyncio.sleep(0.001)


async def test_an_idle_committer_runs_a_single_job_at_once() -> None:
    engine = Doubler()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run))
    assert await committer.submit(4, 1, 1) == 8
    assert engine.batches == [[4]]
    await committer.close()


async def test_jobs_gather_while_one_transaction_runs() -> None:
    engine = Doubler()
    engine.let.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run))
    first = asyncio.create_task(committer.submit(1, 1, 1))
    await started(engine, 1)
    others = [asyncio.create_task(committer.submit(number, 1, 1)) for number in (2, 13, 4)]
    await asyncio.sleep(0.01)
    engine.let.set()
    assert await first == 2
    results = await asyncio.gather(*others, return_exceptions=True)
    assert engine.batches == [[1], [2, 13, 4]]
    assert (results[0], results[2]) == (4, 8)
    assert isinstance(results[1], ConflictError)
    await committer.close()


async def test_a_transaction_is_bounded_by_count_and_weight() -> None:
    engine = Doubler()
    engine.let.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run), bounds=Bounds(3, 100))
    tasks = [asyncio.create_task(committer.submit(1, 1, 1))]
    await started(engine, 1)
    for items, weight in ((1, 1), (2, 1), (1, 99), (1, 2), (9, 999), (1, 1)):
        tasks.append(asyncio.create_task(committer.submit(len(tasks) + 1, items, weight)))
        await asyncio.sleep(0)
    engine.let.set()
    await asyncio.gather(*tasks)
    assert engine.batches == [[1], [2, 3], [4], [5], [6], [7]]
    await committer.close()


async def test_what_does_not_fit_is_refused_at_once() -> None:
    engine = Doubler()
    engine.let.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run), bounds=Bounds(10, 10, 3, 100))
    tasks = [asyncio.create_task(committer.submit(1, 1, 1))]
    await started(engine, 1)
    tasks.append(asyncio.create_task(committer.submit(2, 1, 1000)))
    await asyncio.sleep(0)
    for items, weight in ((1, 1), (3, 0)):
        with pytest.raises(ExhaustedError, match="queue_full"):
            await committer.submit(3, items, weight)
    engine.let.set()
    assert [await task for task in tasks] == [2, 4]
    assert await committer.submit(3, 3, 1) == 6
    await committer.close()


async def test_a_caller_that_gave_up_costs_no_transaction() -> None:
    engine = Doubler()
    engine.let.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run))
    first = asyncio.create_task(committer.submit(1, 1, 1))
    await started(engine, 1)
    gone = asyncio.create_task(committer.submit(2, 1, 1))
    stays = asyncio.create_task(committer.submit(3, 1, 1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    engine.let.set()
    assert [await first, await stays] == [2, 6]
    assert engine.batches == [[1], [3]]
    await committer.close()


async def test_a_fault_of_the_engine_reaches_every_caller_and_the_next_goes_on() -> None:
    engine = Doubler()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run))
    with pytest.raises(InternalError, match="storage_fault"):
        await committer.submit(0, 1, 1)
    assert await committer.submit(1, 1, 1) == 2
    await committer.close()


async def test_closing_finishes_what_is_queued() -> None:
    engine = Doubler()
    engine.let.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run))
    tasks = [asyncio.create_task(committer.submit(number, 1, 1)) for number in (1, 2)]
    await started(engine, 1)
    closing = asyncio.create_task(committer.close())
    await asyncio.sleep(0.01)
    with pytest.raises(UnavailableError, match="storage_closed"):
        await committer.submit(3, 1, 1)
    engine.let.set()
    await closing
    await committer.close()
    assert [await task for task in tasks] == [2, 4]


class Begun:
    """Notes which thread does what; begins even numbers, leaves odd ones to `run`, 0 is a fault."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.upkeep = threading.Event()
        self.upkeep.set()

    def begin(self, jobs: Sequence[int]) -> Callable[[], list[int | Exception]] | None:
        self._note("begin")
        if 0 in jobs:
            raise ZeroDivisionError
        if any(job % 2 for job in jobs):
            return None
        return lambda: self._commit(jobs)

    def run(self, jobs: Sequence[int]) -> list[int | Exception]:
        self._note("run")
        return [job * 2 for job in jobs]

    def after(self) -> None:
        self.upkeep.wait(10)
        self._note("after")

    def _commit(self, jobs: Sequence[int]) -> list[int | Exception]:
        self._note("commit")
        return [job * 2 for job in jobs]

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.current_thread() is threading.main_thread()))


async def test_what_is_begun_on_the_event_loop_is_committed_in_the_thread() -> None:
    engine = Begun()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run, engine.begin))
    assert list(await asyncio.gather(committer.submit(4, 1, 1), committer.submit(6, 1, 1))) == [8, 12]
    assert await committer.submit(3, 1, 1) == 6
    assert engine.calls == [("begin", True), ("commit", False), ("begin", True), ("run", False)]
    await committer.close()


async def test_a_fault_in_beginning_reaches_every_caller_and_the_next_goes_on() -> None:
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(Begun().run, Begun().begin))
    results = await asyncio.gather(committer.submit(0, 1, 1), committer.submit(2, 1, 1), return_exceptions=True)
    assert [str(result) for result in results] == ["storage_fault", "storage_fault"]
    assert await committer.submit(2, 1, 1) == 4
    await committer.close()


async def test_callers_are_answered_before_upkeep_and_the_next_begins_after_it() -> None:
    engine = Begun()
    engine.upkeep.clear()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run, engine.begin, engine.after))
    assert await committer.submit(2, 1, 2**20) == 4
    next_one = asyncio.create_task(committer.submit(4, 1, 1))
    await asyncio.sleep(0.01)
    assert [what for what, _ in engine.calls] == ["begin", "commit"]
    engine.upkeep.set()
    assert await next_one == 8
    assert [what for what, _ in engine.calls] == ["begin", "commit", "after", "begin", "commit"]
    await committer.close()


async def test_what_waits_in_the_background_takes_no_room_from_others() -> None:
    engine = Doubler()
    committer: GroupCommitter[int, int] = GroupCommitter("test", Engine(engine.run), Bounds(queue_weight=10))
    engine.let.clear()
    first = asyncio.create_task(committer.submit(1, 1, 1))
    await started(engine, 1)
    waiting = [asyncio.create_task(committer.submit(2, 1, 8, background=True)) for _ in range(5)]
    await asyncio.sleep(0)
    other = asyncio.create_task(committer.submit(3, 1, 8))
    await asyncio.sleep(0)
    with pytest.raises(ExhaustedError, match="queue_full"):
        await committer.submit(4, 1, 8)
    engine.let.set()
    assert [await first, await other, *await asyncio.gather(*waiting)] == [2, 6, 4, 4, 4, 4, 4]
    await committer.close()
