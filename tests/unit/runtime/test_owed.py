"""What many owe is done once for all who wait, and never too early."""

from __future__ import annotations

import asyncio

import pytest

from libs.runtime.errors import UnavailableError
from libs.runtime.owed import Owed


class Work:
    """Work that takes until somebody says so."""

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.begun = 0
        self.done = 0
        self.fails = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> None:
        """Do it."""
        self.begun += 1
        await self.go.wait()
        if self.fails:
            self.fails -= 1
            raise UnavailableError("storage_unavailable")
        self.done += 1


async def test_it_is_owed_from_the_beginning_and_paid_once() -> None:
    work = Work()
    owed = Owed(work)
    await owed.pay()
    await owed.pay()
    assert work.done == 1
    owed.owe()
    owed.owe()
    await owed.pay()
    assert work.done == 2


async def test_what_is_owed_during_a_payment_waits_for_the_next_which_is_one_for_all() -> None:
    work = Work()
    owed = Owed(work)
    work.go.clear()
    first = asyncio.create_task(owed.pay())
    await asyncio.sleep(0)
    late = []
    for _ in range(20):
        owed.owe()
        late.append(asyncio.create_task(owed.pay()))
    await asyncio.sleep(0)
    assert work.begun == 1 and not any(one.done() for one in late)
    work.go.set()
    await asyncio.gather(first, *late)
    assert work.done == 2


async def test_whoever_did_not_pay_himself_waits_until_it_is_paid() -> None:
    work = Work()
    owed = Owed(work)
    work.go.clear()
    payer, waiting = asyncio.create_task(owed.pay()), asyncio.create_task(owed.pay())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    work.go.set()
    await asyncio.gather(payer, waiting)
    assert work.done == 1


async def test_a_payment_that_fails_has_paid_nothing() -> None:
    work = Work()
    owed = Owed(work)
    work.fails = 1
    with pytest.raises(UnavailableError):
        await owed.pay()
    await owed.pay()
    assert work.done == 1


async def test_a_payer_who_is_cancelled_leaves_it_to_the_next() -> None:
    work = Work()
    owed = Owed(work)
    work.go.clear()
    payer, waiting = asyncio.create_task(owed.pay()), asyncio.create_task(owed.pay())
    await asyncio.sleep(0.01)
    payer.cancel()
    work.go.set()
    await waiting
    assert work.done == 1
