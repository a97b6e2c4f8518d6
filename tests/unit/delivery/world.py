"""Everything around the queue, in memory: keys, mailboxes, the world's mail servers, customers. And nodes to run it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.envelope import open_secrets
from libs.mailbox.model import Delivery, Route, Sealed, SealTask, Standing
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from libs.telemetry.facts import Facts, NoFacts
from services.delivery.domain.model import Order, Outcome, Outgoing, Profile, QueuedMail, Result, Transport
from services.delivery.domain.ports import Happening
from services.delivery.graph import Base, Customers, Outside, QueueGraph, make_local, make_queue
from services.delivery.measuring.campaigns import MEASURED, UNCOUNTED
from services.delivery.queue.collections import COLLECTIONS, MAILS, SETTLED
from services.delivery.settings import Settings
from services.delivery.worker.local import MailboxPeers
from tests.support.clock import ManualClock

ACCOUNT = "a" * 32
SENDER = "ada@sealpost.test"
DELIVERED = Outcome(Result.DELIVERED, 250, "2.0.0", "ok", "mx.example.org")
REFUSED = Outcome(Result.PERMANENT, 550, "5.1.1", "no such user", "mx.example.org")
LATER = Outcome(Result.TEMPORARY, 451, "4.7.1", "come again", "mx.example.org")
SILENT = Outcome(Result.TEMPORARY, 0, "4.4.1", "no answer", "", elsewhere=True)
CONTENT = b"From: Ada <ada@sealpost.test>\r\nSubject: secret subject\r\n\r\nsecret words\r\n"


class FakeKeys:
    """Of crypto; a queue.keys.DataKeys."""

    def __init__(self) -> None:
        self.keys: dict[str, Secret[bytes]] = {}
        self.destroyed: list[str] = []
        self.calls = 0
        self.fault: SealpostError | None = None

    async def new(self, count: int, destroy_after: int) -> Sequence[tuple[str, Secret[bytes]]]:
        self._check()
        made = {secrets.token_hex(16): Secret(secrets.token_bytes(32)) for _ in range(count)}
        self.keys |= made
        return list(made.items())

    async def get(self, key_ids: Sequence[str]) -> Sequence[Secret[bytes] | Exception]:
        self._check()
        return [self.keys.get(key_id, NotFoundError("data_key")) for key_id in key_ids]

    async def destroy(self, key_ids: Sequence[str]) -> None:
        self._check()
        for key_id in key_ids:
            self.keys.pop(key_id, None)
            self.destroyed.append(key_id)

    def _check(self) -> None:
        self.calls += 1
        if self.fault is not None:
            raise self.fault


class FakeMailboxes:
    """accounts, crypto and storage, as far as mailboxes go. A copy is stored once for each message id."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.stored: dict[str, SealTask] = {}
        self.appends = 0
        self.fault: SealpostError | None = None
        self._sealing: dict[str, SealTask] = {}
        self.add(SENDER, ACCOUNT)

    def add(self, address: str, account_id: str) -> None:
        domain = address.partition("@")[2]
        self.routes[address] = Route(Standing.OK, f"box-{account_id[:8]}", account_id, domain)

    async def own(self) -> Collection[str]:
        return {"sealpost.test", "relay.sealpost.test", "public.sealpost.test"}

    async def address(self, account_id: str) -> str:
        for address, route in self.routes.items():
            if route.account_id == account_id:
                return address
        raise NotFoundError("account_not_found")

    async def resolve(self, address: str) -> Route:
        if address in self.routes:
            return self.routes[address]
        ours = address.partition("@")[2] in await self.own()
        return Route(Standing.UNKNOWN if ours else Standing.NOT_OURS)

    async def seal(self, task: SealTask) -> Sealed:
        self._sealing[task.message_id] = task
        return Sealed(b"envelope", b"sealed", "openpgp", "f" * 40)

    async def stage(self, mailbox_id: str, message_id: str, body: bytes) -> None:
        raise AssertionError("nothing here is so large")

    async def append(self, delivery: Delivery) -> None:
        self.appends += 1
        if self.fault is not None:
            raise self.fault
        for copy in delivery.copies:
            self.stored.setdefault(copy.message_id, self._sealing[copy.message_id])

    def bodies(self) -> list[bytes]:
        return [task.body for task in self.stored.values()]


class FakeWorld:
    """The world's mail servers; a model.Transport. `answers` decides, by default everything is delivered."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.dead: set[str] = set()
        self.answers: Callable[[Outgoing, str], Outcome] = lambda outgoing, address: DELIVERED
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most: dict[str, int] = {}
        self._now: dict[str, int] = {}

    async def send(self, outgoing: Outgoing) -> Sequence[Outcome]:
        domain = outgoing.domain
        self._now[domain] = self._now.get(domain, 0) + 1
        self.most[domain] = max(self.most.get(domain, 0), self._now[domain])
        self.under_way += 1
        try:
            self.sent.append(outgoing)
            if self.gate is not None:
                await self.gate.wait()
            else:
                await asyncio.sleep(0)
            return [self.answers(outgoing, address) for address in outgoing.recipients]
        finally:
            self.under_way -= 1
            self._now[domain] -= 1

    def busy(self, domain: str) -> bool:
        return domain in self.dead

    def addresses(self) -> list[str]:
        return [address for outgoing in self.sent for address in outgoing.recipients]


class FakeSigner:
    """A model.Signer."""

    def __init__(self) -> None:
        self.fault: SealpostError | None = None
        self.domains: list[str] = []

    async def sign(self, content: bytes, domain: str) -> bytes:
        if self.fault is not None:
            raise self.fault
        self.domains.append(domain)
        return b"DKIM-Signature: v=1\r\n" + content


class FakeCustomers:
    """limits, senders, campaigns, suppressions, happenings, unsubscribes."""

    def __init__(self) -> None:
        self.reserved: list[int] = []
        self.limit: SealpostError | None = None
        self.domains: set[tuple[str, str]] = set()
        self.stopped_ones: set[tuple[str, str]] = set()
        self.suppressed: set[str] = set()
        self.told: dict[str, Happening] = {}
        self.looking: Callable[[], None] = lambda: None
        self.telling: Callable[[], SealpostError | None] = lambda: None

    async def reserve(self, account_id: str, profile: Profile, recipients: int) -> None:
        if self.limit is not None:
            raise self.limit
        self.reserved.append(recipients)

    async def verified(self, account_id: str, domain: str) -> bool:
        return (account_id, domain) in self.domains

    async def stopped(self, account_id: str, campaign: str) -> bool:
        return (account_id, campaign) in self.stopped_ones

    async def of(self, account_id: str, addresses: Sequence[str]) -> Collection[str]:
        self.looking()
        return self.suppressed & set(addresses)

    async def note(self, happenings: Sequence[Happening]) -> None:
        fault = self.telling()
        if fault is not None:
            raise fault
        for one in happenings:
            self.told.setdefault(one.event_id, one)

    def fields(self, mail: QueuedMail, index: int) -> bytes:
        return f"List-Unsubscribe: <https://example.org/u/{index}>\r\n".encode()

    def kinds(self) -> list[str]:
        return [one.kind.value for one in self.told.values()]


@dataclass
class World:
    """All of it, shared by nodes, and the time."""

    clock: ManualClock = field(default_factory=ManualClock)
    keys: FakeKeys = field(default_factory=FakeKeys)
    mailboxes: FakeMailboxes = field(default_factory=FakeMailboxes)
    servers: FakeWorld = field(default_factory=FakeWorld)
    # Used instead of `servers` where it is set.
    transport: Transport | None = None
    signer: FakeSigner = field(default_factory=FakeSigner)
    customers: FakeCustomers = field(default_factory=FakeCustomers)
    kek: str = field(default_factory=lambda: secrets.token_hex(32))
    facts: Facts | NoFacts = field(default_factory=NoFacts)
    lookup: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def now(self) -> int:
        return unix_seconds(self.clock)

    def node(self, store: Store, clock: ManualClock | None = None, **settings: Any) -> Node:
        """Return a process's queue and worker on `store`; nothing runs until it is told to. `clock`: one of its own."""
        given = Settings(kek=Secret(self.kek), lookup_key=Secret(self.lookup), **settings)
        boxes, people = self.mailboxes, self.customers
        transport = self.transport or self.servers
        outside = Outside(self.keys, MailboxPeers(boxes, boxes, boxes, boxes, boxes), self.signer, transport)
        customers = Customers(people, people, people, people, people, people)
        base = Base(given, store, clock or self.clock, open_secrets(given.kek, given.lookup_key), self.facts)
        return Node(self, store, make_queue(base, outside, customers, make_local(base, outside)))


@dataclass
class Node:
    """One process."""

    world: World
    store: Store
    graph: QueueGraph

    async def submit(self, *recipients: str, **changes: Any) -> str:
        """Submit one mail; return its id. Raises what is refused."""
        (result,) = await self.graph.submission.submissions.submit([order(*recipients, **changes)])
        if isinstance(result, Exception):
            raise result
        return result.submission_id

    async def turn(self) -> bool:
        """Have the worker take one turn, and wait until nothing is under way."""
        more = await self.graph.worker.turn()
        await self.idle()
        return more

    async def idle(self) -> None:
        """Wait until nothing is in memory that could go on."""
        async with asyncio.timeout(20):
            while self.graph.worker.desk.entries() and not self.waits_only():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)

    def waits_only(self) -> bool:
        """Tell whether all that is in memory waits for a destination, or for the gate."""
        desk = self.graph.worker.desk
        return all(one in self.waiting() for one in desk.entries()) or self.world.servers.gate is not None

    def waiting(self) -> list[Any]:
        return self.graph.worker.lanes.waiting()

    async def states(self, mail_id: str, account_id: str = ACCOUNT) -> list[str]:
        """Return how the recipients stand."""
        entry, _ = await self.graph.submission.trails.of_account(account_id, mail_id)
        return [one.state.value for one in entry.mail.recipients]

    async def until_settled(self, mail_id: str) -> list[str]:
        """Turn until nothing is to be done for a mail any more; return how its recipients stand."""
        async with asyncio.timeout(20):
            while True:
                document = await self.store.get(MAILS, mail_id)
                if document is not None and document.body["state"] == SETTLED:
                    await self.idle()
                    return await self.states(mail_id)
                await self.turn()


def order(*recipients: str, **changes: Any) -> Order:
    """Return a submission as a member makes it."""
    given: dict[str, Any] = {
        "submission_id": new_id(),
        "account_id": ACCOUNT,
        "profile": Profile.SEALED,
        "mail_from": SENDER,
        "recipients": recipients,
        "content": CONTENT,
    }
    return Order(**(given | changes))


@asynccontextmanager
async def a_store(directory: Path) -> AsyncIterator[SqliteStore]:
    """Open the queue's store; opened again it holds the same."""
    store = await SqliteStore.open(directory / "delivery.db", (*COLLECTIONS, MEASURED, UNCOUNTED))
    try:
        yield store
    finally:
        await store.close()
