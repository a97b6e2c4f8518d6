"""What a mail that is due costs the queue while many others wait: with 1,000 deferred mails, and with 1,000,000.

Measured at the level of the repository: mails are found due in batches, claimed, opened and settled as the worker does
it, without SMTP in between. The deferred ones have documents of the size that sealed mails of 4 KB have, due in the
days to come. Both queues are worked on in turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert, Store, Value
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault, new_data_key
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.delivery.domain.model import Order, Profile, QueuedMail, Recipient
from services.delivery.domain.queue import Facts
from services.delivery.queue.codec import Hashes, MailCodec, seal_content
from services.delivery.queue.collections import COLLECTIONS, MAILS
from services.delivery.queue.entry import Entry
from services.delivery.queue.keys import KeyRing
from services.delivery.queue.repository import QueueRepository
from services.delivery.queue.shredder import Shredder

_DAY = 86400
_BATCH = 100
_FILL = 1000
_DUE = 500
_LEASE = 300
_CONTENT = os.urandom(2048).hex().encode()


class _Keys:
    """Data keys as crypto gives them, at once and in memory: what they cost is measured elsewhere."""

    def __init__(self) -> None:
        self._held: dict[str, Secret[bytes]] = {}

    async def new(self, count: int, destroy_after: int) -> Sequence[tuple[str, Secret[bytes]]]:
        made = [(new_id(), new_data_key()) for _ in range(count)]
        self._held.update(made)
        return made

    async def get(self, key_ids: Sequence[str]) -> Sequence[Secret[bytes] | Exception]:
        return [self._held[key_id] for key_id in key_ids]

    async def destroy(self, key_ids: Sequence[str]) -> None:
        for key_id in key_ids:
            self._held.pop(key_id, None)


@dataclass(frozen=True)
class _Queue:
    store: Store
    ring: KeyRing
    mails: QueueRepository


def measure(large: int = 1_000_000, small: int = 1000, rounds: int = 9) -> dict[str, Any]:
    """Return the median milliseconds for a due mail in both queues, and large over small."""
    with tempfile.TemporaryDirectory(prefix="sealpost-queue-") as folder:
        return asyncio.run(_measure(Path(folder), (min(small, large // 2), large), rounds))


async def _measure(folder: Path, sizes: tuple[int, int], rounds: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        queues, started = {}, time.monotonic()
        for size in sizes:
            queues[size] = await _open(stack, folder / f"{size}.db")
            await _fill(queues[size], size)
        filled = sum(sizes) / (time.monotonic() - started)
        found: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size, queue in queues.items():
                await _submit(queue, _DUE)
                found[size].append(await _work(queue))
        report: dict[str, Any] = {"fill_rate": round(filled), "due_at_a_time": _DUE, "batch": _BATCH}
        for size, times in found.items():
            report[f"{size}_deferred"] = {
                name: round(statistics.median(one[name] for one in times), 3) for name in times[0]
            }
        small, large = (report[f"{size}_deferred"]["ms_per_due_mail"] for size in sizes)
        return report | {"ratio": round(large / small, 2)}


async def _open(stack: AsyncExitStack, path: Path) -> _Queue:
    clock, keys = SystemClock(), _Keys()
    store = await stack.enter_async_context(SqliteStore.open(path, COLLECTIONS))
    ring = KeyRing(keys, clock)
    stack.push_async_callback(ring.close)
    codec = MailCodec(Hashes(KeyedHash(Secret(os.urandom(32)))), Vault(KeyEncryptionKeys({1: Secret(os.urandom(32))})))
    mails = QueueRepository(store, codec, ring, Shredder(store, keys, clock), clock)
    stack.push_async_callback(mails.close)
    return _Queue(store, ring, mails)


async def _fill(queue: _Queue, count: int) -> None:
    """Write deferred mails, spread over the days to come, with the sizes of real ones."""
    now = unix_seconds(SystemClock())
    pattern = dict(queue.mails.codec.new(await _entry(queue), now, now + 5 * _DAY))
    for first in range(0, count, _FILL):
        numbers = range(first, min(first + _FILL, count))
        await queue.store.write_many([_deferred(pattern, now + _DAY + number % (4 * _DAY)) for number in numbers])


def _deferred(pattern: dict[str, Value], due: int) -> Insert:
    return Insert(MAILS, new_id(), pattern | {"due": due, "account": os.urandom(16), "key_id": new_id()})


async def _entry(queue: _Queue) -> Entry:
    now, mail_id = unix_seconds(SystemClock()), new_id()
    key_id, key = await queue.ring.take()
    recipient = f"{new_id()}@{os.urandom(3).hex()}.test"
    order = Order(mail_id, "a" * 32, Profile.RELAY, "sender@relay.sealpost.test", (recipient,), b"")
    mail = QueuedMail(mail_id, order, now, [Recipient(recipient, due=now)])
    entry = Entry(
        mail, Facts(f"<{mail_id}@relay.sealpost.test>", "relay.sealpost.test", False), key_id, key, None, 4096
    )
    entry.sealed_content, _ = seal_content(mail_id, key, _CONTENT)
    return entry


async def _submit(queue: _Queue, count: int) -> None:
    now = unix_seconds(SystemClock())
    entries = [await _entry(queue) for _ in range(count)]
    await asyncio.gather(*(queue.mails.insert(one, (), now - 1, now + 5 * _DAY, None) for one in entries))


async def _work(queue: _Queue) -> dict[str, float]:
    """Settle what is due; return milliseconds for a mail, on the clock and of CPU."""
    done, started, cpu = 0, time.perf_counter(), time.process_time()
    now = unix_seconds(SystemClock())
    while documents := await queue.mails.due(now, _BATCH):
        claimed = await queue.mails.claim(documents, {one.key: now + _LEASE for one in documents})
        entries = await asyncio.gather(*(queue.mails.open(one) for one in claimed))
        await asyncio.gather(*(queue.mails.settle(one, now + 30 * _DAY) for one in entries))
        done += len(entries)
    took, used = time.perf_counter() - started, time.process_time() - cpu
    return {"ms_per_due_mail": took / done * 1000, "cpu_ms_per_due_mail": used / done * 1000}
