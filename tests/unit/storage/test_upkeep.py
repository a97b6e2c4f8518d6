"""The loop around background steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.runtime.errors import UnavailableError
from services.storage.upkeep import Task


@asynccontextmanager
async def running(task: Task) -> AsyncIterator[asyncio.Task[None]]:
    loop = asyncio.create_task(task.run())
    try:
        yield loop
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def test_it_repeats_while_there_is_work_and_then_waits_to_be_woken() -> None:
    left, done = [3], asyncio.Event()

    async def step() -> int:
        if left[0] == 0:
            done.set()
            return 0
        left[0] -= 1
        return 1

    task = Task("work", step, every=3600, pause=0.0)
    async with running(task), asyncio.timeout(5):
        await done.wait()
        left[0] = 2
        done.clear()
        task.wake.set()
        await done.wait()
    assert left == [0]


async def test_it_comes_back_when_it_is_time() -> None:
    calls = asyncio.Semaphore(0)

    async def step() -> int:
        calls.release()
        return 0

    async with running(Task("work", step, every=0.001, pause=0.0)), asyncio.timeout(5):
        for _ in range(3):
            await calls.acquire()


async def test_an_unavailable_store_is_tried_again() -> None:
    outcomes = [UnavailableError("storage_unavailable"), None]
    done = asyncio.Event()

    async def step() -> int:
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is not None:
            raise outcome
        done.set()
        return 0

    async with running(Task("work", step, every=3600, pause=0.0)), asyncio.timeout(5):
        await done.wait()


async def test_a_fault_of_ours_ends_it() -> None:
    async def step() -> int:
        raise RuntimeError

    async with running(Task("work", step, every=3600)) as loop:
        with pytest.raises(RuntimeError):
            await loop
