"""Batching without waiting: while every slot is busy items gather, and the moment one is free they go as one batch.

A fixed delay makes a quiet system slow and a busy one no faster. Here the load itself sets the size of a batch: idle,
an item goes at once and alone (with whatever came in the same turn of the event loop); under load, the time that
earlier batches take is the time in which later items gather. Costs are a future per item and a task per batch.

Each caller gets its own result: the handler returns an exception in the place of an item that failed, and only that
caller sees it. The queue is bounded by weight, and a caller that gives up takes its item out again.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from libs.runtime.errors import ExhaustedError, InternalError, UnavailableError

T = TypeVar("T")
R = TypeVar("R")


class _Entry(Generic[T, R]):
    __slots__ = ("context", "future", "item", "weight")

    def __init__(self, item: T, weight: int, future: asyncio.Future[R], context: contextvars.Context) -> None:
        self.item = item
        self.weight = weight
        self.future = future
        self.context = context


class Batcher(Generic[T, R]):
    """Turns calls with one item each into calls with many. For one event loop; not thread-safe."""

    def __init__(
        self,
        handle: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_items: int,
        max_weight: int,
        weigh: Callable[[T], int],
        max_delay: float,
        concurrency: int,
        max_queued: int,
    ) -> None:
        """Take the handler and the bounds.

        `handle` gets 1 to `max_items` items, in order of arrival, whose weights sum to at most `max_weight` (an item
        heavier than that goes alone), and returns as many results in the same order, an Exception in the place of
        each item that failed. If it raises, the whole batch has failed. At most `concurrency` calls of it run at once.
        `max_delay`: seconds that an item may wait for company although a slot is free; 0 for none. `max_queued`: the
        weight that may wait for a slot, batches under way not counted; every item weighs at least 1. The handler runs
        in the contextvars of the oldest item of its batch.
        """
        if min(max_items, max_weight, concurrency, max_queued) < 1 or max_delay < 0:
            raise ValueError("the bounds of a batcher are positive")
        self._handle = handle
        self._weigh = weigh
        self._max_items = max_items
        self._max_weight = max_weight
        self._max_delay = max_delay
        self._max_queued = max_queued
        self._free = concurrency
        self._waiting: OrderedDict[_Entry[T, R], None] = OrderedDict()
        self._weight = 0
        self._timer: asyncio.Handle | None = None
        self._runs: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def queued(self) -> int:
        """The weight that waits for a slot."""
        return self._weight

    async def submit(self, item: T) -> R:
        """Return the handler's result for `item`.

        Raises what the handler returned for the item or raised for its batch; ExhaustedError("queue_full") where the
        item does not fit into the queue; UnavailableError("closing") after close(). Cancelling the call takes the item
        out of the queue, or, if its batch is under way, drops its result; other items are not disturbed.
        """
        if self._closed:
            raise UnavailableError("closing")
        weight = max(1, self._weigh(item))
        if self._weight + weight > self._max_queued:
            raise ExhaustedError("queue_full")
        loop = asyncio.get_running_loop()
        entry: _Entry[T, R] = _Entry(item, weight, loop.create_future(), contextvars.copy_context())
        self._waiting[entry] = None
        self._weight += weight
        if self._free:
            self._schedule(loop)
        try:
            return await entry.future
        finally:
            if entry in self._waiting:
                self._remove(entry)

    async def close(self) -> None:
        """Refuse new items and return when those accepted are done. Idempotent."""
        self._closed = True
        self._flush()
        while self._runs:
            await asyncio.wait(self._runs)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        full = len(self._waiting) >= self._max_items or self._weight >= self._max_weight
        if self._timer is None:
            if full or self._max_delay == 0:
                self._timer = loop.call_soon(self._flush)
            else:
                self._timer = loop.call_later(self._max_delay, self._flush)
        elif full and isinstance(self._timer, asyncio.TimerHandle):
            self._timer.cancel()
            self._timer = loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free and self._waiting:
            batch = self._take()
            if not batch:
                return
            self._free -= 1
            run = asyncio.get_running_loop().create_task(self._run(batch), context=batch[0].context)
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    def _take(self) -> list[_Entry[T, R]]:
        batch: list[_Entry[T, R]] = []
        weight = 0
        while self._waiting and len(batch) < self._max_items:
            entry = next(iter(self._waiting))
            if batch and weight + entry.weight > self._max_weight:
                break
            self._remove(entry)
            if not entry.future.done():
                batch.append(entry)
                weight += entry.weight
        return batch

    def _remove(self, entry: _Entry[T, R]) -> None:
        del self._waiting[entry]
        self._weight -= entry.weight

    async def _run(self, batch: list[_Entry[T, R]]) -> None:
        try:
            await self._run_one(batch)
        finally:
            self._free += 1
            self._flush()

    async def _run_one(self, batch: list[_Entry[T, R]]) -> None:
        try:
            results = await self._handle([entry.item for entry in batch])
            if len(results) != len(batch):
                raise InternalError("batch_results")
        except Exception as error:  # handed to every caller, none is left waiting
            _fail(batch, error)
        except BaseException:
            _fail(batch, UnavailableError("closing"))
            raise
        else:
            for entry, result in zip(batch, results, strict=True):
                if entry.future.done():
                    continue
                if isinstance(result, Exception):
                    entry.future.set_exception(result)
                else:
                    entry.future.set_result(result)


def _fail(batch: Sequence[_Entry[T, R]], error: Exception) -> None:
    for entry in batch:
        if not entry.future.done():
            entry.future.set_exception(_copy(error))


def _copy(error: Exception) -> Exception:
    """Return an own copy for each caller: one shared instance would gather the tracebacks of all of them."""
    try:
        own = copy.copy(error)
    except TypeError:
        return error
    own.__cause__ = error
    return own
