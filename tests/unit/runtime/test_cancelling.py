"""A task that has lost its cancellation ends all the same."""

from __future__ import annotations

import asyncio

from libs.runtime.cancelling import end


async def loses(times: int) -> None:
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(60)


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError


async def test_every_task_has_ended_afterwards() -> None:
    tasks = [asyncio.create_task(work) for work in (loses(0), loses(1), loses(3), fails())]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await end(tasks, again_seconds=0.02)
    assert all(task.done() for task in tasks)
    assert [task.cancelled() for task in tasks] == [True, True, True, False]
    assert isinstance(tasks[3].exception(), ValueError)


async def test_no_tasks_are_ended_at_once() -> None:
    await end([])


async def test_cleaning_up_is_not_disturbed() -> None:
    steps: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            steps.append("tidied")

    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    await end([task])
    assert steps == ["tidied"]
