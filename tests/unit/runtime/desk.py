"""A batcher's handler that works only when told to, and what else its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from libs.runtime.batch import Batcher


class Desk:
    """A handler that works only when told to, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.busy = 0
        self.busiest = 0
        self.answer: Callable[[int], Any] = lambda item: item * 10

    async def __call__(self, items: Sequence[int]) -> list[Any]:
        self.batches.append(list(items))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await self.gate.wait()
        self.busy -= 1
        return [self.answer(item) for item in items]


def batcher(handle: Any, **bounds: Any) -> Batcher[int, int]:
    chosen = {
        "max_items": 100,
        "max_weight": 1000,
        "weigh": lambda _: 1,
        "max_delay": 0,
        "concurrency": 1,
        "max_queued": 1000,
        **bounds,
    }
    return Batcher(handle, **chosen)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def start(made: Batcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(made.submit(item)) for item in items]
