"""retention as processes of its own, and in this process the services that it calls, keeping things in SQLite.

The owners are the real ones (libs.owner over real stores); what they keep is made up: things with a time, of accounts,
and one key for each account.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Delete, Index, Insert, Store
from libs.local.plan import free_ports
from libs.owner.classes import Due, Owned, StoredClass
from libs.owner.model import Subject
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import TERMS, StoredTerms
from libs.policy import load_policy
from libs.policy.terms import Terms
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, SealpostError
from protos.accounts.v1 import accounts_pb2 as accounts_pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer, add_AccountsServicer_to_server
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer, add_DeliveryServicer_to_server
from protos.retention.v1 import retention_pb2 as pb
from protos.retention.v1.retention_pb2_grpc import RetentionStub
from tests.support.rpc import certificates

if TYPE_CHECKING:
    from protos.retention.v1.retention_pb2_grpc import RetentionAsyncStub

ROOT = Path(__file__).resolve().parents[2]
CLOCK = SystemClock()
OWNERS = ("accounts", "crypto", "storage", "delivery", "analytics", "billing")
THINGS = Collection(
    "thing", (Index("due", ("due",)), Index("account", ("account", "due"))), fields=("due", "account", "content")
)
KEYS = Collection("key", fields=("key",))
_PAGE = 500


class _Things(StoredClass):
    """The things of one owner; a key for each account goes first."""

    def __init__(self, store: Store) -> None:
        owned = {"thing": Owned("account", lambda subject: subject.account_id)}
        super().__init__("things", store, [THINGS], due={"thing": Due("due")}, owned=owned)
        self.keys = store

    async def erase_keys(self, subject: Subject) -> int:
        """Delete the key."""
        try:
            await self.keys.write(Delete(KEYS, subject.account_id))
        except NotFoundError:
            return 0
        return 1


@dataclass
class Keeping:
    """One owner, its store and its server."""

    name: str
    store: Store
    terms: Terms
    port: int
    directory: Path

    async def plant(self, account: str, count: int, due: int = 1 << 40) -> None:
        """Keep `count` things of an account whose time is over at `due`, and its key."""
        with suppress(ConflictError):
            await self.store.write(Insert(KEYS, account, {"key": f"key of {account}"}))
        for start in range(0, count, _PAGE):
            inserts = [
                Insert(THINGS, f"{account}-{due}-{number}", {"due": due, "account": account, "content": "x" * 100})
                for number in range(start, min(start + _PAGE, count))
            ]
            for result in await self.store.write_many(inserts):
                assert not isinstance(result, Exception), result

    async def left(self) -> int:
        """Return how many things are left."""
        return await self.store.count(THINGS)

    async def has_key(self, account: str) -> bool:
        """Tell whether an account's key is there."""
        return await self.store.get(KEYS, account) is not None


@dataclass
class Accounts(AccountsServicer):
    """As much of accounts as erasures need, in memory."""

    waiting: dict[str, accounts_pb.DueErasure] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def ask(self, account: str, receipt: bytes = b"", due: int = 0) -> None:
        """Have an erasure be asked for."""
        due = due or unix_seconds(CLOCK) - 1
        self.waiting[account] = accounts_pb.DueErasure(account_id=account, receipt=receipt, asked_at=due - 60, due=due)

    async def ListDueErasures(self, request: Any, context: Any) -> accounts_pb.ListDueErasuresResponse:
        """See accounts.proto."""
        due = sorted((one for one in self.waiting.values() if one.due <= request.until), key=lambda one: one.due)
        return accounts_pb.ListDueErasuresResponse(due=due[: request.limit])

    async def BeginErasure(self, request: Any, context: Any) -> accounts_pb.BeginErasureResponse:
        """See accounts.proto."""
        if request.account_id not in self.waiting:
            raise ConflictError("erasure_not_due")
        self.begun.append(request.account_id)
        return accounts_pb.BeginErasureResponse()

    async def GetNoticeState(self, request: Any, context: Any) -> accounts_pb.NoticeState:
        """See accounts.proto."""
        return accounts_pb.NoticeState(complete=True)

    async def ListUnnoticed(self, request: Any, context: Any) -> accounts_pb.ListUnnoticedResponse:
        """See accounts.proto."""
        return accounts_pb.ListUnnoticedResponse()


@dataclass
class Retention:
    """One retention process; it may be killed and started again."""

    directory: Path
    peers: str
    name: str = "retention"
    rules: dict[str, int] = field(default_factory=lambda: {"sweep_seconds": 1})
    settings: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("services.retention.main",)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    metrics_port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def register(self) -> Path:
        """Where the register is."""
        return self.directory / "register"

    @property
    def log(self) -> Path:
        """What it has said."""
        return self.directory / f"{self.name}.log"

    def start(self) -> None:
        """Start it; calls wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, digits in (("kek", "11" * 32), ("evidence_key", "22" * 32)):
            (self.directory / name).write_text(digits)
        overrides = self.directory / "overrides.yaml"
        overrides.write_text(yaml.safe_dump({"rules": self.rules}))
        told = {
            "GRPC_ADDRESS": f"127.0.0.1:{self.port}",
            "METRICS_ADDRESS": f"127.0.0.1:{self.metrics_port}",
            "TLS_DIR": str(certificates("retention")),
            "CALLERS": "gateway",
            "PEERS": self.peers,
            "STORE": f"sqlite:{self.directory / 'data'}",
            "KEK_FILE": str(self.directory / "kek"),
            "EVIDENCE_KEY_FILE": str(self.directory / "evidence_key"),
            "REGISTER_DIR": str(self.register),
            "POLICY_OVERRIDES": str(overrides),
            "LEASE": "1",
            "TICK": "0.1",
            "DRAIN_SECONDS": "2",
        } | self.settings
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        environment |= {f"SEALPOST_{name}": text for name, text in told.items()}
        environment |= {name: text for name, text in os.environ.items() if name == "LATER_FILE"}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", *self.program]
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 30)

    @asynccontextmanager
    async def called(self) -> AsyncIterator[RetentionAsyncStub]:
        """Call it as the gateway does."""
        channel = connect("retention", f"127.0.0.1:{self.port}", TlsFiles(certificates("gateway")))
        async with channel:
            yield RetentionStub(channel)

    async def answering(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(30), self.called() as stub:
            while True:
                assert self.process is not None and self.process.poll() is None, self.log.read_text()
                with suppress(SealpostError):
                    await stub.ListRoots(pb.ListRootsRequest(), timeout=1)
                    return
                await asyncio.sleep(0.05)

    async def state(self) -> pb.State:
        """Return what it says of itself."""
        async with self.called() as stub:
            return await stub.GetState(pb.GetStateRequest(), timeout=5)

    async def ledger(self) -> bytes:
        """Return the file of its ledger."""
        async with self.called() as stub:
            parts = stub.ReadLedger(pb.ReadLedgerRequest(), timeout=10)
            return b"".join([part.data async for part in parts])


@dataclass
class World:
    """The owners and accounts, and the addresses of all of them."""

    owners: dict[str, Keeping]
    accounts: Accounts
    peers: str

    async def left(self) -> int:
        """Return how many things are left everywhere."""
        return sum([await one.left() for one in self.owners.values()])


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """Serve the services that retention calls."""
    accounts = Accounts()  # type: ignore[abstract]
    nobody = DeliveryServicer()  # type: ignore[abstract]
    owners: dict[str, Keeping] = {}
    async with AsyncExitStack() as stack:
        for name in OWNERS:
            store = await SqliteStore.open(directory / name / "store.db", (THINGS, KEYS, TERMS))
            stack.push_async_callback(store.close)
            terms = Terms(load_policy())
            callers = ("retention", "gateway")
            server = RpcServer("127.0.0.1:0", TlsFiles(certificates(name)), callers)
            serve_owner(
                server, Owner([_Things(store)], store, CLOCK), StoredTerms(store, terms), ("retention", "gateway")
            )
            if name == "accounts":
                server.add(add_AccountsServicer_to_server, accounts, "sealpost.accounts.v1.Accounts")
            if name == "delivery":
                server.add(add_DeliveryServicer_to_server, nobody, "sealpost.delivery.v1.Delivery")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            owners[name] = Keeping(name, store, terms, server.port, directory / name)
        peers = ",".join(f"{name}=127.0.0.1:{one.port}" for name, one in owners.items())
        yield World(owners, accounts, peers)


@asynccontextmanager
async def running(directory: Path, scene: World, **given: Any) -> AsyncIterator[Retention]:
    """Run one retention process, and end it however it goes."""
    retention = Retention(directory / "retention", scene.peers, **given)
    retention.start()
    try:
        await retention.answering()
        yield retention
    finally:
        process = retention.process
        if process is not None and process.poll() is None:
            retention.send(signal.SIGCONT)
            await retention.end(signal.SIGKILL)


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
