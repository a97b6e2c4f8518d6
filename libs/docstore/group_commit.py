"""Group commit: while one transaction is being made durable, the next one gathers.

Callers queue jobs; whatever has gathered becomes one transaction, and every caller is answered. Nobody waits for a
timer: an idle committer commits a single job at once, a busy one amortises its fsync over all that came meanwhile. The
queue is bounded by count and by weight, and what does not fit is refused at once rather than kept in memory.

What can wait - deleting what is over, giving space back - is submitted as background work: one such job at a time, when
nobody else wants anything, or after a while all the same. How long the others wait is known (`Waits`), so that
whoever has much of it to do can make it smaller, and pause.

What waits for the disk runs in a thread of its own. What does not may be done on the event loop before (`begin`): a
thread takes the interpreter lock anew after each statement, and where the event loop is busy these handovers cost more
than the statements. The two never work at the same time.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from libs.runtime.errors import ExhaustedError, InternalError, UnavailableError
from libs.telemetry import metrics

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_commits = metrics.histogram("sealpost_store_commit_seconds", "How long a group commit takes.", buckets=_SECONDS)
# After so many transactions, or bytes in them, it is looked after what they leave behind.
_UPKEEP_EVERY, _UPKEEP_WEIGHT = 16, 1024 * 1024
# Where others never stop, so much time passes between two jobs in the background.
_BACKGROUND_SECONDS = 0.05
_WEIGHT_OF_LAST = 0.2
_QUIET_SECONDS = 0.5

_sizes = metrics.histogram("sealpost_store_commit_operations", "Operations in one group commit.", buckets=_SIZES)
_refusals = metrics.counter("sealpost_store_queue_full_total", "Writes refused because the queue was full.")

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class Bounds:
    """How much one transaction takes, and how much may wait; weights are bytes."""

    batch_items: int = 1000
    batch_weight: int = 8 * 1024 * 1024
    queue_items: int = 20_000
    queue_weight: int = 96 * 1024 * 1024


@dataclass(slots=True)
class _Waiting(Generic[J, R]):
    job: J
    items: int
    weight: int
    future: asyncio.Future[R]
    since: float
    background: bool


Commit = Callable[[], Sequence[R | Exception]]


@dataclass(frozen=True)
class Engine(Generic[J, R]):
    """What jobs are done by.

    `run`, in the thread, applies jobs and returns one result for each. `begin`, on the event loop, may do what waits
    for nothing and return what is left for the thread, which returns the results; or None, and `run` does it all.
    `after`, in the thread, tidies up now and then when callers are answered.
    """

    run: Callable[[Sequence[J]], Sequence[R | Exception]]
    begin: Callable[[Sequence[J]], Commit[R] | None] = lambda _: None
    after: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Waits:
    """How long jobs that are not background work have taken lately, waiting included, in seconds."""

    mean: float = 0.0
    last: float = -math.inf

    def are_recent(self) -> bool:
        """Tell whether there was one a moment ago, so that another is likely in the next."""
        return time.monotonic() - self.last < _QUIET_SECONDS

    def note(self, waited: float) -> None:
        """Take one more into account."""
        self.mean += (waited - self.mean) * _WEIGHT_OF_LAST
        self.last = time.monotonic()


class GroupCommitter(Generic[J, R]):
    """Runs jobs of concurrent callers together. For one event loop; not thread-safe."""

    def __init__(self, name: str, engine: Engine[J, R], bounds: Bounds | None = None) -> None:
        """Start the thread."""
        self._engine = engine
        self._bounds = bounds or Bounds()
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting[J, R]] = deque()
        self._background: deque[_Waiting[J, R]] = deque()
        self._background_at = 0.0
        self.waits = Waits()
        # How long the last transaction took, without what was tidied up after it.
        self.last_seconds = 0.0
        self._items = 0
        self._weight = 0
        self._closed = False
        # The thread has something to do, or is about to get it.
        self._busy = False
        self._since_upkeep = (0, 0)
        self._todo: queue.SimpleQueue[tuple[list[_Waiting[J, R]], Commit[R]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def submit(self, job: J, items: int, weight: int, *, background: bool = False) -> R:
        """Queue `job` and return its result; a job in the background lets others go first.

        Raises: what the engine returned for it; ExhaustedError("queue_full"); UnavailableError("storage_closed").
        """
        if self._closed:
            raise UnavailableError("storage_closed")
        # Work in the background weighs when it is done; what waits holds no documents.
        held = 0 if background else weight
        full = self._items + items > self._bounds.queue_items or self._weight + held > self._bounds.queue_weight
        if full and self._items:
            _refusals.inc()
            raise ExhaustedError("queue_full", retry_after=1.0)
        waiting: _Waiting[J, R] = _Waiting(
            job, items, weight, self._loop.create_future(), self._loop.time(), background
        )
        (self._background if background else self._waiting).append(waiting)
        self._items += items
        self._weight += held
        if not self._busy:
            self._busy = True
            # In the next turn, for others of this turn may come along.
            self._loop.call_soon(self._next)
        return await waiting.future

    async def close(self) -> None:
        """Finish what is queued, then stop the thread. Idempotent."""
        self._closed = True
        if not self._busy:
            self._busy = True
            self._next()
        await asyncio.to_thread(self._thread.join)

    def _next(self) -> None:
        """Begin the next transaction, if there is anything to do."""
        batch = self._take()
        if not batch:
            self._busy = self._closed
            if self._closed:
                self._todo.put(None)
            return
        jobs = [waiting.job for waiting in batch]
        try:
            commit = self._engine.begin(jobs)
        except Exception as error:
            fault = _fault(error)
            commit = lambda: [fault for _ in jobs]  # noqa: E731
        self._todo.put((batch, commit or (lambda: self._engine.run(jobs))))

    def _work(self) -> None:
        while (todo := self._todo.get()) is not None:
            batch, commit = todo
            began = time.perf_counter()
            results = _attempt(commit, len(batch))
            self.last_seconds = time.perf_counter() - began
            _sizes.observe(sum(waiting.items for waiting in batch))
            if not batch[0].background:
                self.waits.note(self._loop.time() - batch[0].since)
            settled = [(waiting.future, result) for waiting, result in zip(batch, results, strict=True)]
            upkeep = self._wants_upkeep(batch)
            try:
                if upkeep:
                    self._loop.call_soon_threadsafe(_settle, settled)
                    self._engine.after()
                    settled = []
                self._loop.call_soon_threadsafe(self._done, settled)
            except RuntimeError:
                return  # the loop is closed: nobody is left to hear an answer

    def _wants_upkeep(self, batch: list[_Waiting[J, R]]) -> bool:
        count, weight = self._since_upkeep
        count, weight = count + 1, weight + sum(waiting.weight for waiting in batch)
        wants = count >= _UPKEEP_EVERY or weight >= _UPKEEP_WEIGHT
        self._since_upkeep = (0, 0) if wants else (count, weight)
        return wants

    def _done(self, settled: list[tuple[asyncio.Future[R], R | Exception]]) -> None:
        _settle(settled)
        # In the next turn: whoever was answered may have more to write.
        self._loop.call_soon(self._next)

    def _take(self) -> list[_Waiting[J, R]]:
        """Return what has gathered, without callers that gave up."""
        now = self._loop.time()
        if self._background and (not self._waiting or now > self._background_at):
            self._background_at = now + _BACKGROUND_SECONDS
            return self._pop(self._background, 1)
        batch = self._pop(self._waiting, self._bounds.batch_items)
        # Whoever waited has given up: others may be there still.
        return batch or self._pop(self._background, 1)

    def _pop(self, queued: deque[_Waiting[J, R]], most: int) -> list[_Waiting[J, R]]:
        batch: list[_Waiting[J, R]] = []
        items = weight = 0
        while queued:
            head = queued[0]
            if not head.future.cancelled():
                items += head.items
                weight += head.weight
                if batch and (items > most or weight > self._bounds.batch_weight):
                    break
                batch.append(head)
            queued.popleft()
            self._items -= head.items
            self._weight -= 0 if head.background else head.weight
        return batch


def _attempt(commit: Commit[R], count: int) -> Sequence[R | Exception]:
    try:
        with _commits.time():
            return commit()
    except Exception as error:
        return [_fault(error) for _ in range(count)]


def _fault(cause: Exception) -> InternalError:
    fault = InternalError("storage_fault")
    fault.__cause__ = cause
    return fault


def _settle(settled: list[tuple[asyncio.Future[R], R | Exception]]) -> None:
    for future, result in settled:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
