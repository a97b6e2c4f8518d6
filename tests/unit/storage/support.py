"""What the tests of storage share: one storage on one file, mails to put into it, and a store that fails on purpose."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import (
    Collection,
    Document,
    IndexValue,
    Operation,
    PendingEvent,
    Query,
    Store,
    Written,
)
from libs.runtime.clock import unix_minutes, unix_seconds
from libs.runtime.errors import SealpostError, UnavailableError
from libs.runtime.ids import new_id, new_message_id
from services.storage.domain import Delivery, Mailbox, Message, NewMessage
from services.storage.main import Graph, compose
from services.storage.repository import COLLECTIONS, MESSAGES
from tests.support.clock import ManualClock

MAX_BODY = 4 * 1024 * 1024
BODY = b"sealed body"


@dataclass
class Storage:
    """One storage process: its objects, its store, its time."""

    store: Store
    clock: ManualClock
    graph: Graph

    async def append(self, *deliveries: Delivery) -> list[str]:
        """Append a batch; return "ok" or the reason for each delivery."""
        errors = await self.graph.parts.appender.append(deliveries)
        return ["ok" if error is None else error.reason for error in errors]

    async def listed(self, mailbox_id: str, folder: str = "") -> list[Message]:
        """Return all messages, newest first."""
        messages: list[Message] = []
        cursor = ""
        while True:
            page = await self.graph.parts.mailboxes.list_messages(mailbox_id, folder, 200, cursor)
            messages += page.messages
            cursor = page.next_cursor
            if not cursor:
                return messages

    async def ids(self, mailbox_id: str, folder: str = "") -> list[str]:
        """Return the ids of all messages, newest first."""
        return [message.message_id for message in await self.listed(mailbox_id, folder)]

    async def mailbox(self, mailbox_id: str) -> Mailbox:
        """Return the counters."""
        return await self.graph.parts.mailboxes.describe(mailbox_id)

    async def body(self, mailbox_id: str, message_id: str) -> bytes:
        """Return a body."""
        _, blocks = await self.graph.parts.mailboxes.read(mailbox_id, message_id)
        return b"".join([block async for block in blocks])

    async def events(self) -> list[PendingEvent]:
        """Return what waits to be published."""
        return await self.store.pending_events(1000)

    async def recover(self, minutes: float = 20) -> None:
        """Let recovery, sweeps and a recount of everything happen, `minutes` later."""
        await self.graph.recovery.start()
        self.clock.advance(minutes=minutes)
        for step in (self.graph.recovery.step, self.graph.parts.bodies.sweep):
            while await step():
                pass
        await self.recount()

    async def recount(self) -> None:
        """Let a day pass in which every mailbox is recounted."""
        self.clock.advance(days=1)
        for _ in range(6):
            await self.graph.recount.step()
            self.clock.advance(seconds=130)

    async def expire(self) -> int:
        """Sweep all that has expired; return how many messages went."""
        deleted, more = 0, True
        while more:
            swept = await self.graph.owner.sweep("public_mail", unix_seconds(self.clock), 10_000)
            deleted, more = deleted + swept.deleted, swept.more
        return deleted

    def message(self, mailbox_id: str = "", **fields: object) -> NewMessage:
        """Return a copy for a mailbox, as of now."""
        made = NewMessage(
            mailbox_id=mailbox_id or new_id(),
            message_id=new_message_id(self.clock),
            received_minute=unix_minutes(self.clock),
            size=1000,
            scheme="openpgp",
            key_id="f" * 40,
            envelope=b"sealed envelope",
            body=BODY,
        )
        return replace(made, **fields)  # type: ignore[arg-type]

    def mail(self, *mailbox_ids: str, **fields: object) -> Delivery:
        """Return a delivery with one copy for each mailbox, a second after the last."""
        self.clock.advance(1)
        return Delivery(new_id(), tuple(self.message(mailbox_id, **fields) for mailbox_id in mailbox_ids))

    def public_mail(self, mailbox_id: str, keep: int = 6, seconds: int = 4 * 86_400) -> Delivery:
        """Return a mail to a disposable inbox."""
        return self.mail(mailbox_id, keep_newest=keep, expires_at=unix_seconds(self.clock) + 1 + seconds)


def make_storage(store: Store, clock: ManualClock) -> Storage:
    """Return a storage process on `store`."""
    return Storage(store, clock, compose(store, clock, MAX_BODY))


@asynccontextmanager
async def open_storage(directory: Path, clock: ManualClock | None = None) -> AsyncIterator[Storage]:
    """Open the file in `directory` and give a storage on it."""
    async with SqliteStore.open(directory, COLLECTIONS) as store:
        yield make_storage(store, clock or ManualClock())


def some_bytes(size: int) -> bytes:
    """Return random bytes."""
    return secrets.token_bytes(size)


async def count_documents(store: Store, mailbox_id: str) -> int:
    """Return how many messages a mailbox lists."""
    return len(await store.find(Query(MESSAGES, "listed", (mailbox_id,), limit=1000)))


class Died(Exception):  # noqa: N818 - not an error of ours: the process is gone
    """The process was killed."""


@dataclass
class Fault:
    """What happens at the `step`-th write: nothing of it, half of it, or all of it is applied before it fails.

    `dies`: the process is gone, nothing works any more. Otherwise the store answers UnavailableError this once.
    """

    step: int
    applied: str
    dies: bool


class FaultyStore:
    """A Store that fails at one write. `half` is what a server may do when it goes away in the middle of a batch."""

    def __init__(self, inner: Store, fault: Fault) -> None:
        """Fail on the way to `inner`."""
        self._inner = inner
        self._fault = fault
        self.writes = 0
        self._dead = False

    async def _strike(self, operations: Sequence[Operation]) -> bool:
        if self._dead:
            raise Died
        self.writes += 1
        if self.writes - 1 != self._fault.step:
            return False
        share = {"nothing": 0, "half": (len(operations) + 1) // 2, "all": len(operations)}[self._fault.applied]
        if share:
            await self._inner.write_many(operations[:share])
        if self._fault.dies:
            self._dead = True
            raise Died
        raise UnavailableError("storage_unavailable")

    async def write(self, operation: Operation) -> Written:
        """Write, or fail."""
        await self._strike([operation])
        return await self._inner.write(operation)

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """Write, or fail."""
        await self._strike(operations)
        return await self._inner.write_many(operations)

    async def get(self, collection: Collection, key: str) -> Document | None:
        """Read, while alive."""
        self._check_alive()
        return await self._inner.get(collection, key)

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        """Read, while alive."""
        self._check_alive()
        return await self._inner.get_many(collection, keys)

    async def find(self, query: Query) -> list[Document]:
        """Read, while alive."""
        self._check_alive()
        return await self._inner.find(query)

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        """Count, while alive."""
        self._check_alive()
        return await self._inner.count(collection, at_most, index)

    def files(self) -> tuple[Path, ...]:
        """Return the inner store's."""
        return self._inner.files()

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        """Delete, while alive."""
        self._check_alive()
        return await self._inner.delete_range(collection, index, equal, upper, limit)

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        """Read, while alive."""
        self._check_alive()
        return await self._inner.pending_events(limit)

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        """Clear, while alive."""
        self._check_alive()
        await self._inner.clear_events(events)

    async def compact(self) -> None:
        """Compact, while alive."""
        self._check_alive()
        await self._inner.compact()

    async def close(self) -> None:
        """Leave the inner store open: the test closes it."""

    def _check_alive(self) -> None:
        if self._dead:
            raise Died


async def outcome_of(storage: Storage, *deliveries: Delivery) -> list[str] | None:
    """Append a batch; return its results, None where the process died or the call failed as a whole."""
    try:
        return await storage.append(*deliveries)
    except (Died, SealpostError):
        return None
