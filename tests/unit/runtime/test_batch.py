"""Batches form under load, go at once when idle, and keep every caller's fate apart."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.errors import ExhaustedError, InternalError, InvalidError, UnavailableError
from tests.unit.runtime.desk import Desk, batcher, start, turns


async def test_idle_an_item_goes_at_once() -> None:
    desk = Desk()
    desk.gate.set()
    made = batcher(desk)
    assert await made.submit(1) == 10
    assert await made.submit(2) == 20
    assert desk.batches == [[1], [2]]


async def test_what_comes_in_one_turn_goes_together() -> None:
    desk = Desk()
    desk.gate.set()
    assert await asyncio.gather(*start(batcher(desk), range(5))) == [0, 10, 20, 30, 40]
    assert desk.batches == [[0, 1, 2, 3, 4]]


async def test_while_the_slot_is_busy_items_gather() -> None:
    desk = Desk()
    made = batcher(desk)
    first = start(made, [1])
    await turns()
    rest = start(made, [2, 3, 4])
    await turns()
    assert (desk.batches, made.queued) == ([[1]], 3)
    desk.gate.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40]
    assert desk.batches == [[1], [2, 3, 4]]


async def test_no_more_batches_at_once_than_slots() -> None:
    desk = Desk()
    made = batcher(desk, concurrency=2, max_items=1)
    tasks = start(made, range(6))
    await turns()
    assert desk.batches == [[0], [1]]
    desk.gate.set()
    await asyncio.gather(*tasks)
    assert desk.busiest == 2


async def test_batches_are_bounded_by_items_and_weight() -> None:
    desk = Desk()
    made = batcher(desk, weigh=lambda item: item, max_items=3, max_weight=10)
    tasks = start(made, [50, 4, 4, 4, 1, 1, 1, 1])
    desk.gate.set()
    await asyncio.gather(*tasks)
    # 50 is heavier than a batch may be, so it goes alone; 4+4+4 would weigh 12; 4+1+1 is three items.
    assert desk.batches == [[50], [4, 4], [4, 1, 1], [1, 1]]


async def test_the_queue_is_bounded_by_weight() -> None:
    desk = Desk()
    made = batcher(desk, weigh=lambda item: item, max_queued=10)
    running = start(made, [10])
    await turns()
    waiting = start(made, [7])
    await turns()
    with pytest.raises(ExhaustedError, match="queue_full"):
        await made.submit(4)
    fitting = start(made, [3])
    desk.gate.set()
    assert await asyncio.gather(*running, *waiting, *fitting) == [100, 70, 30]
    assert made.queued == 0


async def test_items_without_weight_are_bounded_too() -> None:
    made = batcher(Desk(), weigh=lambda _: 0, max_queued=2)
    tasks = start(made, [1, 2, 3])
    await turns()
    assert isinstance(tasks[2].exception(), ExhaustedError)
    for task in tasks:
        task.cancel()


async def test_a_poisoned_item_fails_alone() -> None:
    desk = Desk()
    desk.gate.set()
    desk.answer = lambda item: InvalidError("poison") if item == 2 else item
    done = await asyncio.gather(*start(batcher(desk), [1, 2, 3]), return_exceptions=True)
    assert (done[0], done[2]) == (1, 3)
    assert isinstance(done[1], InvalidError)
    assert len(desk.batches) == 1


async def test_a_handler_that_raises_fails_all_of_its_batch_and_only_it() -> None:
    failures = [UnavailableError("down", retry_after=3.0)]

    async def handle(items: Sequence[int]) -> list[int]:
        if failures:
            raise failures.pop()
        return list(items)

    made = batcher(handle, max_items=2)
    done = await asyncio.gather(*start(made, [1, 2, 3]), return_exceptions=True)
    assert done[2] == 3
    for error in done[:2]:
        assert isinstance(error, UnavailableError)
        assert (error.reason, error.retry_after) == ("down", 3.0)
    # Each caller's own: one shared exception would collect the tracebacks of all callers.
    assert done[0] is not done[1]


async def test_an_exception_that_cannot_be_copied_is_shared() -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("odd")

    async def handle(items: Sequence[int]) -> list[int]:
        raise OddError(1, 2)

    done = await asyncio.gather(*start(batcher(handle), [1, 2]), return_exceptions=True)
    assert [type(error) for error in done] == [OddError, OddError]


async def test_too_few_results_fail_the_batch() -> None:
    async def handle(items: Sequence[int]) -> list[int]:
        return []

    with pytest.raises(InternalError, match="batch_results"):
        await batcher(handle).submit(1)


async def test_when_idle_an_item_may_wait_for_company() -> None:
    desk = Desk()
    desk.gate.set()
    made = batcher(desk, max_delay=60, max_items=3)
    tasks = start(made, [1, 2])
    await turns()
    assert desk.batches == []
    tasks += start(made, [3])
    assert await asyncio.gather(*tasks) == [10, 20, 30]
    assert desk.batches == [[1, 2, 3]]


async def test_company_that_does_not_come_is_not_waited_for_longer() -> None:
    desk = Desk()
    desk.gate.set()
    async with asyncio.timeout(5):
        assert await batcher(desk, max_delay=0.01).submit(1) == 10


async def test_the_handler_sees_the_context_of_the_oldest_item() -> None:
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")
    seen: list[str] = []

    async def handle(items: Sequence[int]) -> list[int]:
        seen.append(trace.get())
        return list(items)

    made = batcher(handle, max_items=2)

    async def caller(name: str, item: int) -> None:
        trace.set(name)
        await made.submit(item)

    await asyncio.gather(caller("a", 1), caller("b", 2), caller("c", 3))
    assert seen == ["a", "c"]


@pytest.mark.parametrize("bound", ["max_items", "max_weight", "concurrency", "max_queued"])
def test_bounds_are_positive(bound: str) -> None:
    with pytest.raises(ValueError, match="bounds"):
        batcher(Desk, **{bound: 0})


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    max_items=st.integers(1, 7),
    max_weight=st.integers(1, 20),
    concurrency=st.integers(1, 3),
    pauses=st.lists(st.integers(0, 3), min_size=1, max_size=60),
)
async def test_every_item_is_handled_once_in_order_and_within_bounds(
    weights: list[int], max_items: int, max_weight: int, concurrency: int, pauses: list[int]
) -> None:
    batches: list[list[int]] = []

    async def handle(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await turns(pauses[len(batches) % len(pauses)])
        return [-item for item in items]

    made = batcher(
        handle,
        weigh=lambda item: weights[item],
        max_items=max_items,
        max_weight=max_weight,
        concurrency=concurrency,
    )
    tasks = []
    for item in range(len(weights)):
        tasks += start(made, [item])
        await turns(pauses[item % len(pauses)])
    assert await asyncio.gather(*tasks) == [-item for item in range(len(weights))]
    assert [item for batch in batches for item in batch] == list(range(len(weights)))
    for batch in batches:
        assert len(batch) <= max_items
        assert len(batch) == 1 or sum(max(1, weights[item]) for item in batch) <= max_weight
    assert made.queued == 0
