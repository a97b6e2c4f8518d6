"""List and get in a mailbox of 100 and of 1,000,000 mails: what index order is worth.

The mails are written as storage writes them, with envelopes and bodies of the size that sealed mails of 4 KB have, in
large batches and without events; then a page of 50, a page deep inside, and single mails are read through storage's own
domain, alternating between both mailboxes.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert, Store
from libs.runtime.clock import SystemClock
from libs.runtime.ids import new_id
from services.storage.domain import NewMessage, encode_cursor
from services.storage.main import Graph, compose
from services.storage.repository import COLLECTIONS, MESSAGES, message_key, new_fields, shown

_BATCH = 2000
_REPEATS = 200
_ENVELOPE = os.urandom(700)
_BODY = os.urandom(600)


def measure(small: int = 100, large: int = 1_000_000) -> dict[str, Any]:
    """Fill both mailboxes and return the median milliseconds of each read, and large over small."""
    with tempfile.TemporaryDirectory(prefix="sealpost-listing-") as folder:
        return asyncio.run(_measure(Path(folder), small, large))


async def _measure(folder: Path, small: int, large: int) -> dict[str, Any]:
    async with await SqliteStore.open(folder / "bench", COLLECTIONS) as store:
        started = time.monotonic()
        boxes = {size: await _fill(store, size) for size in (small, large)}
        filled = time.monotonic() - started
        graph = compose(store, SystemClock(), 64 * 1024 * 1024)
        result: dict[str, Any] = {"fill_rate": round((small + large) / filled)}
        for name, read in (("list_50", _list_first), ("list_50_deep", _list_deep), ("get", _get)):
            result[name] = await _compare(graph, boxes, read)
        return result


async def _fill(store: Store, count: int) -> tuple[str, list[str]]:
    mailbox, ids = new_id(), [f"{1_700_000_000 + number:010x}{os.urandom(11).hex()}" for number in range(count)]
    for first in range(0, count, _BATCH):
        await store.write_many([_insert(mailbox, one) for one in ids[first : first + _BATCH]])
    return mailbox, ids


def _insert(mailbox: str, message_id: str) -> Insert:
    message = NewMessage(mailbox, message_id, 28_000_000, 4096, "openpgp", _ENVELOPE, _BODY, key_id="f" * 40)
    fields = new_fields(message, "inbox", "", len(_BODY))
    return Insert(MESSAGES, message_key(mailbox, message_id), {**fields, **shown(fields)})


Read = Callable[[Graph, str, Sequence[str]], Awaitable[object]]


async def _list_first(graph: Graph, mailbox: str, ids: Sequence[str]) -> object:
    return await graph.parts.mailboxes.list_messages(mailbox, "inbox", 50, "")


async def _list_deep(graph: Graph, mailbox: str, ids: Sequence[str]) -> object:
    return await graph.parts.mailboxes.list_messages(mailbox, "inbox", 50, encode_cursor(ids[len(ids) * 6 // 10]))


async def _get(graph: Graph, mailbox: str, ids: Sequence[str]) -> object:
    return await graph.parts.mailboxes.get(mailbox, ids[int.from_bytes(os.urandom(4), "big") % len(ids)])


async def _compare(graph: Graph, boxes: dict[int, tuple[str, list[str]]], read: Read) -> dict[str, float]:
    times: dict[int, list[float]] = {size: [] for size in boxes}
    for _ in range(_REPEATS):
        for size, (mailbox, ids) in boxes.items():
            started = time.perf_counter()
            await read(graph, mailbox, ids)
            times[size].append((time.perf_counter() - started) * 1000)
    medians = {size: statistics.median(found) for size, found in times.items()}
    small, large = sorted(medians)
    named = {f"{size}_mails_ms": round(median, 3) for size, median in medians.items()}
    return {**named, "ratio": round(medians[large] / medians[small], 2)}
