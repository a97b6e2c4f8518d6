"""Expiry and erasure: how fast mail goes, and what mail that comes in meanwhile notices of it.

Mails are written as storage writes them, of the size that sealed mails of 4 KB have. Then deliveries come at a steady
rate, each at its time whether the one before is done or not, and how long each takes until it is durable is noted: in
turns quiet, and while everything whose time is over goes as fast as retention asks (or a large mailbox is erased).
What is compared are the quiet turns and the others of the same run. Before that the same goes without any load.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert
from libs.owner.model import Subject
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.ids import new_id, new_message_id
from services.retention.domain.pace import Pace
from services.storage.domain import Delivery, NewMessage
from services.storage.main import Graph, compose
from services.storage.repository import COLLECTIONS, MESSAGES, message_key, new_fields, shown

CLOCK = SystemClock()
_BATCH = 2000
_ENVELOPE_BYTES, _BODY_BYTES = 700, 3800
_RATE = 100.0
_TURN_SECONDS = 6.0
_TURNS = 3
_CALM_SECONDS = 2.0
_FIRST = 1_700_000_000
_MOST = 10_000

Sweep = Callable[[], Awaitable[bool]]


def expiry(mails: int = 300_000) -> dict[str, Any]:
    """Sweep a store of so many mails, half of them expired at most."""
    with tempfile.TemporaryDirectory(prefix="sealpost-expiry-") as folder:
        return asyncio.run(_expiry(Path(folder), mails))


def erasure(mails: int = 100_000) -> dict[str, Any]:
    """Erase a mailbox of so many mails beside others."""
    with tempfile.TemporaryDirectory(prefix="sealpost-erasure-") as folder:
        return asyncio.run(_erasure(Path(folder), mails))


@dataclass
class _Sweeps:
    """Sweeps as retention asks for them, for as long as somebody wants."""

    graph: Graph
    deleted: int = 0
    seconds: float = 0.0
    pace: Pace = field(default_factory=lambda: Pace(_MOST))

    async def run(self, at_most: int) -> None:
        """Delete `at_most` mails, if nobody ends it before."""
        began, first = time.perf_counter(), self.deleted
        try:
            while self.deleted - first < at_most:
                asked = time.perf_counter()
                swept = await self.graph.owner.sweep("public_mail", unix_seconds(CLOCK), self.pace.limit)
                self.deleted += swept.deleted
                if not swept.more:
                    return
                await asyncio.sleep(self.pace.took(time.perf_counter() - asked))
        finally:
            self.seconds += time.perf_counter() - began


async def _expiry(folder: Path, mails: int) -> dict[str, Any]:
    async with await SqliteStore.open(folder / "bench", COLLECTIONS) as store:
        await _fill(store, [""] * mails, expires=True)
        await store.compact()
        graph = compose(store, CLOCK, 64 * 1024 * 1024)
        await asyncio.sleep(_CALM_SECONDS)
        alone = _Sweeps(graph)
        await alone.run(mails // 4)
        loaded = _Sweeps(graph)
        quiet: list[float] = []
        swept: list[float] = []
        for _ in range(_TURNS):
            quiet += await _load(graph, _TURN_SECONDS)
            sweeping = asyncio.create_task(loaded.run(mails // 4))
            swept += await _load(graph, _TURN_SECONDS)
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
        began = time.perf_counter()
        compacting = asyncio.create_task(store.compact())
        compacted = await _load(graph, _TURN_SECONDS)
        await compacting
        return {
            "alone_per_second": round(alone.deleted / alone.seconds),
            "under_load_per_second": round(loaded.deleted / loaded.seconds),
            "compact_seconds": round(time.perf_counter() - began, 2),
            "append_ms": {"quiet": _told(quiet), "sweeping": _told(swept), "compacting": _told(compacted)},
            "p99_ratio": round(_quantile(swept, 99) / _quantile(quiet, 99), 2),
        }


async def _erasure(folder: Path, mails: int) -> dict[str, Any]:
    async with await SqliteStore.open(folder / "bench", COLLECTIONS) as store:
        mailbox, others = new_id(), [new_id() for _ in range(100)]
        await _fill(
            store, [mailbox if number % 2 else others[number % 100] for number in range(2 * mails)], expires=False
        )
        await store.compact()
        graph = compose(store, CLOCK, 64 * 1024 * 1024)
        quiet = await _load(graph, 2 * _TURN_SECONDS)
        began = time.perf_counter()
        firsts: list[float] = []

        async def erase() -> float:
            subject, more, pace = Subject(new_id(), mailbox), True, Pace(_MOST)
            while more:
                asked = time.perf_counter()
                more = (await graph.owner.erase(subject, pace.limit)).more
                took = time.perf_counter() - asked
                firsts.append(took)
                await asyncio.sleep(pace.took(took) if more else 0)
            return time.perf_counter() - began

        erasing = asyncio.create_task(erase())
        erased: list[float] = []
        while not erasing.done():
            erased += await _load(graph, 1.0)
        left = await _left(folder / "bench", mailbox)
        return {
            "first_answer_seconds": round(firsts[0], 3),
            "complete_seconds": round(erasing.result(), 2),
            "left_in_files": left,
            "append_ms": {"quiet": _told(quiet), "erasing": _told(erased)},
            "p99_ratio": round(_quantile(erased, 99) / _quantile(quiet, 99), 2),
        }


async def _left(file: Path, mailbox: str) -> int:
    def count() -> int:
        files = [path for path in file.parent.iterdir() if path.name.startswith(file.name)]
        return sum(path.read_bytes().count(mailbox.encode()) for path in files)

    return await asyncio.to_thread(count)


async def fill_expiring(file: Path, due: Sequence[int]) -> None:
    """Write a mail for each of `due`, Unix seconds when its time is over, to an inbox of its own, in a store `file`."""
    async with await SqliteStore.open(file, COLLECTIONS) as store:
        for first in range(0, len(due), _BATCH):
            await store.write_many([_insert(new_id(), at, True) for at in due[first : first + _BATCH]])


async def _fill(store: SqliteStore, mailboxes: Sequence[str], *, expires: bool) -> None:
    """Write a mail to each of `mailboxes` ("": one of its own), a hundred for each second."""
    for first in range(0, len(mailboxes), _BATCH):
        part = mailboxes[first : first + _BATCH]
        await store.write_many(
            [_insert(name or new_id(), _FIRST + (first + n) // 100, expires) for n, name in enumerate(part)]
        )


def _insert(mailbox: str, at: int, expires: bool) -> Insert:
    message = NewMessage(
        mailbox,
        f"{at:010x}{os.urandom(11).hex()}",
        at // 60,
        4096,
        "aes-256-gcm" if expires else "openpgp",
        os.urandom(_ENVELOPE_BYTES),
        os.urandom(_BODY_BYTES),
        key_id="f" * 40,
        expires_at=at if expires else 0,
        keep_newest=6 if expires else 0,
    )
    fields = new_fields(message, "inbox", "", _BODY_BYTES)
    return Insert(MESSAGES, message_key(mailbox, message.message_id), {**fields, **shown(fields)})


async def _load(graph: Graph, seconds: float) -> list[float]:
    """Append at a steady rate; return how long each took, in seconds from when it was to begin."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def one(due: float) -> None:
        now = unix_seconds(CLOCK)
        message = NewMessage(
            new_id(),
            new_message_id(CLOCK),
            now // 60,
            4096,
            "aes-256-gcm",
            os.urandom(_ENVELOPE_BYTES),
            os.urandom(_BODY_BYTES),
            expires_at=now + 4 * 86_400,
            keep_newest=6,
        )
        (error,) = await graph.parts.appender.append([Delivery(new_id(), (message,))])
        if error is not None:
            raise error
        times.append(loop.time() - due)

    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * _RATE)):
            due = began + number / _RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.create_task(one(due))
    return times


def _quantile(times: Sequence[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1] * 1000


def _told(times: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(_quantile(times, percent), 2) for percent in (50, 95, 99)}
