"""The outward ledger within one process: real queues and workers on one real store, a real transport, real servers.

Time alone is not real, so a server can be away for minutes, and a worker can sleep through its lease. What the whole
platform's ledger says of kills and disks (tests/flow) is said here of time, by the same rules (outward_check).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from libs.docstore.store import Document, Operation, Patch, Query, Replace, Store, Written
from libs.runtime.errors import NotFoundError
from services.delivery.domain.model import Outcome as Attempted
from services.delivery.domain.model import Outgoing, Profile, Transport
from services.delivery.queue.collections import MAILS, SETTLED
from services.delivery.transport import make_transport
from tests.support.dns import serve_dns
from tests.support.ledger_check import StoredCopy
from tests.support.ledger_journal import Ledger, Outcome
from tests.support.ledger_mail import Shape, Transaction
from tests.support.outward_check import Found, Reckoning, judge_outward
from tests.support.outward_mail import RELAYS, SESSIONS, OutwardRun
from tests.support.outward_world import Arrival, Watch
from tests.support.remote_mta import RemoteMta, serve_mta
from tests.unit.delivery.transport.site import FakeSettings
from tests.unit.delivery.world import FakeSigner, Node, World, a_store

_SHAPES = tuple(Shape)


class TwoSignatures(FakeSigner):
    """Signs as crypto does: twice."""

    async def sign(self, content: bytes, domain: str) -> bytes:
        return await super().sign(await super().sign(content, domain), domain)


class UnfencedStore:
    """A Store that writes whatever the version is: the lease of a mail keeps nobody from it any more."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, operation: Operation) -> Written:
        return await self._store.write(await self._forced(operation))

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        return await self._store.write_many([await self._forced(one) for one in operations])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _forced(self, operation: Operation) -> Operation:
        if isinstance(operation, Patch):
            return replace(operation, version=None)
        if isinstance(operation, Replace):
            found = await self._store.get(operation.collection, operation.key)
            if found is None:
                raise NotFoundError("absent")
            return replace(operation, version=found.version)
        return operation


class MeetingStore:
    """A Store where two that look for mails find them at the same time, whoever asked first: once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._meeting: asyncio.Barrier | None = asyncio.Barrier(2)

    async def find(self, query: Query) -> list[Document]:
        found = await self._store.find(query)
        if self._meeting is not None:
            await self._meeting.wait()
            self._meeting = None
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class SleepyTransport:
    """A Transport of a process that hears what came of a mail, and can say so only when it is awake again."""

    transport: Transport
    awake: asyncio.Event

    async def send(self, outgoing: Outgoing) -> Sequence[Attempted]:
        outcomes = await self.transport.send(outgoing)
        await self.awake.wait()
        return outcomes

    def busy(self, domain: str) -> bool:
        return self.transport.busy(domain)


@dataclass
class Server:
    """The server of one domain, that can go away and come back to the same place. `says`: its next answers to mails."""

    domain: str
    address: str
    now: Callable[[], float]
    port: int = 0
    mta: RemoteMta | None = None
    says: deque[str] = field(default_factory=deque)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _watches: list[Watch] = field(default_factory=list)

    async def wake(self) -> RemoteMta:
        """Take mail."""
        self.mta = await self._running.enter_async_context(serve_mta(self.address, self.port, name=f"mx.{self.domain}"))
        self.port = self.mta.port
        self._watches.append(Watch(self.mta, lambda _: self.says.popleft() if self.says else None, self.now))
        return self.mta

    async def sleep(self) -> None:
        """Break all connections and refuse new ones."""
        await self._running.aclose()

    @property
    def mails(self) -> int:
        """How many mails have been brought since it woke, those too that it has not taken."""
        return 0 if self.mta is None else len(self.mta.mails)

    def arrivals(self) -> list[Arrival]:
        """Return the mails it has taken: those it has answered otherwise are not its own."""
        return [one for watch in self._watches for one in watch.arrivals() if one.mail.accepted]


@dataclass
class Nodes:
    """A run: the time, the nodes' store, the world's servers by domain, and the record of what was accepted."""

    world: World
    store: Store
    servers: dict[str, Server]
    run: OutwardRun = field(default_factory=OutwardRun.fresh)
    ledger: Ledger = field(default_factory=Ledger)
    ids: dict[int, str] = field(default_factory=dict)

    def node(self, *, fenced: bool = True, **settings: Any) -> Node:
        """Return one process's queue and worker, with the settings of production but for these."""
        store: Any = self.store if fenced else UnfencedStore(self.store)
        return self.world.node(store, **settings)

    def sleeper(self, **settings: Any) -> tuple[Node, asyncio.Event]:
        """Return a process that falls asleep whenever a server has answered, and what wakes it."""
        awake, transport = asyncio.Event(), self.world.transport
        assert transport is not None
        self.world.transport = SleepyTransport(transport, awake)
        try:
            return self.node(**settings), awake
        finally:
            self.world.transport = transport

    async def submit(self, node: Node, *domains: str, send_at: int = 0) -> str:
        """Submit a mail to one recipient at each of these domains, and record it; return its id."""
        number = len(self.ledger.transactions)
        to = tuple(self.run.recipient(number, domain) for domain in domains)
        transaction = Transaction(number, number, _SHAPES[number % len(_SHAPES)], 2000, to)
        account = self.run.account_of(number % SESSIONS)
        self.ledger.transactions[number] = transaction
        mail_id = self.ids[number] = await node.submit(
            *to,
            account_id=_account_id(account),
            profile=Profile.RELAY if account < RELAYS else Profile.SEALED,
            mail_from=self.run.sender(transaction),
            content=transaction.content(self.run),
            send_at=send_at,
        )
        self.ledger.outcomes[number] = Outcome(250, "content")
        return mail_id

    async def unsettled(self) -> int:
        """Return how many mails are not done."""
        found = await self.store.get_many(MAILS, list(self.ids.values()))
        return sum(one.body["state"] != SETTLED for one in found.values())

    def arrivals(self) -> list[Arrival]:
        """Return what the world has taken, in the order of its coming."""
        found = [one for server in self.servers.values() for one in server.arrivals()]
        return sorted(found, key=lambda one: one.at)

    def reckon(self) -> Reckoning:
        """Judge everything."""
        owners = {_account_id(number): address for number, address in enumerate(self.run.accounts())}
        stored = self.world.mailboxes.stored
        reports = [StoredCopy(owners[str(one.owner)], name, {}, one.body) for name, one in stored.items()]
        return judge_outward(self.run, self.ledger, Found(self.arrivals(), reports))


@asynccontextmanager
async def ledger_nodes(folder: Path, *domains: str) -> AsyncIterator[Nodes]:
    """Have a store, a server for each of `domains`, and what looks them up."""
    world = World(signer=TwoSignatures())
    async with AsyncExitStack() as stack:
        servers: dict[str, Server] = {}
        zone: dict[tuple[str, str], list[str]] = {}
        port = 0
        for number, domain in enumerate(domains, 2):
            server = servers[domain] = Server(domain, f"127.0.0.{number}", world.clock.monotonic, port)
            stack.push_async_callback(server.sleep)
            port = (await server.wake()).port
            zone[domain, "MX"] = [f"10 mx.{domain}."]
            zone[f"mx.{domain}", "A"] = [server.address]
        dns = stack.enter_context(serve_dns(zone))
        store = await stack.enter_async_context(a_store(folder))
        nodes = Nodes(world, store, servers)
        settings = FakeSettings(resolvers=(dns.address,), mx_port=port)
        transport = make_transport(settings, world.clock)
        stack.push_async_callback(transport.aclose)
        world.transport = transport
        for number, address in enumerate(nodes.run.accounts()):
            world.mailboxes.add(address, _account_id(number))
        yield nodes


def _account_id(number: int) -> str:
    return f"{number + 1:032x}"


async def soon(condition: Callable[[], bool]) -> None:
    """Wait, in real time, until something holds that is under way."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
