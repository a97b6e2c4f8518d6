"""Memory is given back once after a burst of large mails."""

from __future__ import annotations

import asyncio

from services.ingest.memory import Trim, trimmer


async def test_once_after_the_last_of_several() -> None:
    freed: list[float] = []
    loop = asyncio.get_running_loop()
    trim = Trim(lambda: freed.append(loop.time()), delay=0.1)
    for _ in range(4):
        trim.soon()
        last = loop.time()
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert len(freed) == 1
    assert freed[0] >= last + 0.09
    trim.soon()
    await asyncio.sleep(0.2)
    assert len(freed) == 2


def test_freeing_does_no_harm() -> None:
    trimmer()()
