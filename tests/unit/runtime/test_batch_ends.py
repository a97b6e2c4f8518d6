"""Callers that give up, handlers that are cancelled, batchers that close: nobody is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from libs.runtime.errors import UnavailableError
from tests.unit.runtime.desk import Desk, batcher, start, turns


async def test_who_gives_up_in_the_queue_takes_his_item_along() -> None:
    desk = Desk()
    made = batcher(desk)
    first = start(made, [1])
    await turns()
    waiting = start(made, [2, 3])
    await turns()
    waiting[0].cancel()
    await turns()
    assert made.queued == 1
    desk.gate.set()
    assert await asyncio.gather(*first, waiting[1]) == [10, 30]
    assert desk.batches == [[1], [3]]


async def test_who_gives_up_in_a_running_batch_disturbs_nobody() -> None:
    desk = Desk()
    made = batcher(desk)
    tasks = start(made, [1, 2])
    await turns()
    tasks[0].cancel()
    desk.gate.set()
    assert await tasks[1] == 20
    assert tasks[0].cancelled()
    assert await made.submit(3) == 30


async def test_an_item_given_up_in_the_turn_of_its_batch_is_not_handled() -> None:
    desk = Desk()
    desk.gate.set()
    made = batcher(desk)
    (task,) = start(made, [1])
    await asyncio.sleep(0)
    task.cancel()
    await turns()
    assert desk.batches == []
    assert await made.submit(2) == 20


async def test_close_drains_and_refuses() -> None:
    desk = Desk()
    made = batcher(desk, max_items=1)
    tasks = start(made, [1, 2, 3])
    await turns()
    closing = asyncio.create_task(made.close())
    await turns()
    with pytest.raises(UnavailableError, match="closing"):
        await made.submit(4)
    assert not closing.done()
    desk.gate.set()
    await closing
    assert [task.result() for task in tasks] == [10, 20, 30]
    await made.close()


async def test_close_does_not_wait_for_company() -> None:
    desk = Desk()
    desk.gate.set()
    made = batcher(desk, max_delay=60)
    (task,) = start(made, [1])
    await turns()
    await made.close()
    assert task.result() == 10


async def test_a_cancelled_handler_leaves_nobody_waiting() -> None:
    async def handle(items: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    with pytest.raises(UnavailableError):
        await batcher(handle).submit(1)
