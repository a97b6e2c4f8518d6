"""Group commit: while one transaction is being made durable, the next one gathers.

One thread owns the engine's writing connection. Callers queue jobs; the thread takes whatever has gathered, applies it
as one transaction, and answers every caller. Nobody waits for a timer: an idle thread commits a single job at once, a
busy one amortises its fsync over all that came meanwhile. The queue is bounded by count and by weight, and what does
not fit is refused at once rather than kept in memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from libs.runtime.errors import ExhaustedError, InternalError, UnavailableError
from libs.telemetry import metrics

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_commits = metrics.histogram("sealpost_store_commit_seconds", "How long a group commit takes.", buckets=_SECONDS)
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


class GroupCommitter(Generic[J, R]):
    """Runs jobs of concurrent callers together, in a thread of its own."""

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[J]], Sequence[R | Exception]],
        after: Callable[[], None] = lambda: None,
        bounds: Bounds | None = None,
    ) -> None:
        """Start the thread. `run` applies jobs and returns one result for each; `after` runs once they are answered."""
        self._run = run
        self._after = after
        self._bounds = bounds or Bounds()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting[J, R]] = deque()
        self._items = 0
        self._weight = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def submit(self, job: J, items: int, weight: int) -> R:
        """Queue `job` and return its result.

        Raises: what `run` returned for it; ExhaustedError("queue_full"); UnavailableError("storage_closed").
        """
        future: asyncio.Future[R] = self._loop.create_future()
        with self._changed:
            if self._closed:
                raise UnavailableError("storage_closed")
            full = self._items + items > self._bounds.queue_items or self._weight + weight > self._bounds.queue_weight
            if full and self._items:
                _refusals.inc()
                raise ExhaustedError("queue_full", retry_after=1.0)
            self._queue.append(_Waiting(job, items, weight, future))
            self._items += items
            self._weight += weight
            self._changed.notify()
        return await future

    async def close(self) -> None:
        """Finish what is queued, then stop the thread. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            results = self._attempt([waiting.job for waiting in batch])
            _sizes.observe(sum(waiting.items for waiting in batch))
            settled = [(waiting.future, result) for waiting, result in zip(batch, results, strict=True)]
            try:
                self._loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:
                return  # the loop is closed: nobody is left to hear an answer
            self._after()

    def _take(self) -> list[_Waiting[J, R]] | None:
        """Return what has gathered, without callers that gave up; None once closed and empty."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if not self._queue:
                return None
            batch: list[_Waiting[J, R]] = []
            items = weight = 0
            while self._queue:
                head = self._queue[0]
                if not head.future.cancelled():
                    items += head.items
                    weight += head.weight
                    if batch and (items > self._bounds.batch_items or weight > self._bounds.batch_weight):
                        break
                    batch.append(head)
                self._queue.popleft()
                self._items -= head.items
                self._weight -= head.weight
            return batch

    def _attempt(self, jobs: list[J]) -> Sequence[R | Exception]:
        if not jobs:
            return []
        try:
            with _commits.time():
                return self._run(jobs)
        except Exception as error:
            return [_fault(error) for _ in jobs]


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
