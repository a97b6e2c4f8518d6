"""An accounts service without a wire: on a SQLite store in a folder of the test, with a clock that the test moves."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

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
from libs.owner.model import Subject
from libs.owner.owner import Erasing, Owner
from libs.policy import Terms, Version, load_policy
from libs.runtime.errors import SealpostError, UnavailableError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from protos.events.v1.events_pb2 import RoleChanged
from services.accounts.domain.model import Account, Kdf
from services.accounts.domain.registration import NewRecovery, SignUp
from services.accounts.graph import Graph, make_graph
from services.accounts.held.graph import make_owner
from services.accounts.settings import Settings
from tests.support.clock import ManualClock

T = TypeVar("T")

KDF = Kdf(salt=b"0123456789abcdef", memory_kib=65536, iterations=3, parallelism=1)


def make_terms(rules: Mapping[str, int] | None = None) -> Terms:
    """Return the numbers of the policy, with other values for `rules`."""
    terms = Terms(load_policy())
    if rules:
        terms.put([Version(1, rules, active=True)])
    return terms


def make_settings(**changes: Any) -> Settings:
    """Return settings with fixed keys, changed as told."""
    fixed: dict[str, Any] = {"kek": Secret("11" * 32), "lookup_key": Secret(b"\x22" * 32)}
    return Settings(**(fixed | changes))


def wrapped_key(size: int = 200) -> bytes:
    """Return something of the form of a wrapped private key."""
    return b"\x01" + secrets.token_bytes(size - 1)


def make_wish(address: str = "ada@sealpost.test", **changes: Any) -> SignUp:
    """Return a sign-up that is valid unless changed."""
    wish = SignUp(
        account_id=new_id(),
        address=address,
        kdf=KDF,
        authentication_key=secrets.token_bytes(32),
        wrapped_private_key=wrapped_key(),
        fingerprint=secrets.token_hex(20),
        recovery=None,
    )
    return replace(wish, **changes)


def make_recovery() -> NewRecovery:
    """Return a recovery code as a client announces it."""
    return NewRecovery(secrets.token_bytes(32), wrapped_key())


@dataclass
class Platform:
    """One running service: what a test needs of it. `again` is the process after a restart, on the same store."""

    graph: Graph
    store: WatchedStore
    clock: ManualClock
    settings: Settings
    path: Path

    @property
    def owner(self) -> Owner:
        """What retention talks to."""
        return make_owner(self.graph, self.store, self.clock)

    async def erase(self, account: Account) -> dict[str, int]:
        """Erase an account as retention does; return how many documents of each class went."""
        subject, done = Subject(account.account_id, account.mailbox_id), dict[str, int]()
        owner = self.owner
        await self.published()
        while True:
            step: Erasing = await owner.erase(subject, 10)
            for name, one in step.classes.items():
                done[name] = done.get(name, 0) + one.deleted
            if not step.more:
                return done

    async def published(self) -> list[RoleChanged]:
        """Return what was announced since the last time, as if the broker had taken it."""
        pending = await self.store.pending_events(1000)
        await self.store.clear_events(pending)
        assert all(one.event.subject == "role.changed.v1" for one in pending)
        return [RoleChanged.FromString(one.event.payload) for one in pending]

    async def swept(self, name: str) -> int:
        """Sweep a class until nothing is left to sweep; return how many went."""
        owner, deleted, more = self.owner, 0, True
        while more:
            one = await owner.sweep(name, self.now, 100)
            deleted, more = deleted + one.deleted, one.more
        return deleted

    async def sign_up(self, wish: SignUp) -> Account:
        """Sign somebody up."""
        return await self.graph.registration.sign_up(wish, self.clock)

    def again(self, rules: Mapping[str, int] | None = None, **changes: Any) -> Platform:
        """Return a new process on the same store, with settings and rules of the policy changed as told."""
        settings = replace(self.settings, **changes)
        store = WatchedStore(self.store.inner)
        graph = make_graph(settings, store, self.clock, make_terms(rules))
        return Platform(graph, store, self.clock, settings, self.path)

    def keys(self, collection: str) -> set[str]:
        """Return the keys of all documents of a collection, as they stand in the file."""
        with sqlite3.connect(self.path) as connection:
            keys = {row[0] for row in connection.execute(f"SELECT key FROM c_{collection}")}  # noqa: S608
        connection.close()
        return keys

    @property
    def now(self) -> int:
        """The time of the clock in Unix seconds."""
        return int(self.clock.now().timestamp())


def make_platform(inner: Store, clock: ManualClock, settings: Settings, path: Path) -> Platform:
    """Compose a service on `inner`, which keeps its file at `path`."""
    store = WatchedStore(inner)
    return Platform(make_graph(settings, store, clock), store, clock, settings, path)


@contextmanager
def refused(kind: type[SealpostError], reason: str) -> Iterator[pytest.ExceptionInfo[SealpostError]]:
    """Expect an error of the tree with this reason, whose text says nothing else."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.reason == str(caught.value) == reason


class Crash(BaseException):
    """The process ends here: nothing in the code under test may catch it."""


Hook = Callable[[str, Collection], Awaitable[None]]


@dataclass
class WatchedStore:
    """A libs.docstore.store.Store around a real one: keeps a list of calls, and can fail or die at any of them.

    `before` and `after` are called with the kind of each operation and its collection; what they raise is raised.
    """

    inner: Store
    calls: list[tuple[str, str]] = field(default_factory=list)
    before: Hook | None = None
    after: Hook | None = None

    async def _around(self, kind: str, collection: Collection, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append((kind, collection.name))
        if self.before:
            await self.before(kind, collection)
        result = await call()
        if self.after:
            await self.after(kind, collection)
        return result

    async def write(self, operation: Operation) -> Written:
        kind = type(operation).__name__.lower()
        return await self._around(kind, operation.collection, lambda: self.inner.write(operation))

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        results: list[Written | Exception] = []
        for operation in operations:
            kind = type(operation).__name__.lower()
            results += await self._around(kind, operation.collection, partial(self.inner.write_many, [operation]))
        return results

    async def get(self, collection: Collection, key: str) -> Document | None:
        return await self._around("get", collection, lambda: self.inner.get(collection, key))

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        return await self._around("get_many", collection, lambda: self.inner.get_many(collection, keys))

    async def find(self, query: Query) -> list[Document]:
        return await self._around("find", query.collection, lambda: self.inner.find(query))

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        return await self._around(
            "delete_range", collection, lambda: self.inner.delete_range(collection, index, equal, upper, limit)
        )

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        return await self.inner.pending_events(limit)

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        await self.inner.clear_events(events)

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        return await self._around("count", collection, lambda: self.inner.count(collection, at_most, index))

    async def compact(self) -> None:
        await self.inner.compact()

    def files(self) -> tuple[Path, ...]:
        return self.inner.files()

    async def close(self) -> None:
        await self.inner.close()


async def down(kind: str, collection: Collection) -> None:
    """A hook: the engine does not answer."""
    raise UnavailableError("storage_unavailable")


WRITES = ("insert", "patch", "replace", "delete", "increment")


def die_at(number: int) -> Hook:
    """Return a hook that ends the process at the write of this number, counted from 1, and at every call after it."""
    seen = 0

    async def hook(kind: str, collection: Collection) -> None:
        nonlocal seen
        seen += kind in WRITES
        if seen >= number:
            raise Crash

    return hook
