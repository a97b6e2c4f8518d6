"""The storage service as a process of its own, with NATS, and those who call it."""

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

from libs.events.jetstream import EventBus
from libs.events.server_config import Rights
from libs.local.plan import free_ports
from libs.rpc.channel import connect
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_minutes
from libs.runtime.errors import SealpostError
from libs.runtime.ids import new_id, new_message_id
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from protos.storage.v1 import storage_pb2 as pb
from protos.storage.v1.storage_pb2_grpc import StorageStub
from tests.support.nats import RIGHTS, NatsProcess, run_nats

if TYPE_CHECKING:
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub

ROOT = Path(__file__).resolve().parents[2]
CLOCK = SystemClock()
BLOCK = 256 * 1024
CALLING = ("ingest", "delivery", "gateway", "billing")
# Who asks what is kept.
OWNING = "retention"


@dataclass
class StorageProcess:
    """One storage process with its files in a directory; it may be killed and started again."""

    directory: Path
    nats: NatsProcess
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; calls wait until it answers."""
        password = self.directory / "nats-password"
        password.write_text(self.nats.passwords["storage"].reveal())
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SEALPOST_GRPC_ADDRESS": f"127.0.0.1:{self.port}",
            "SEALPOST_METRICS_ADDRESS": "",
            "SEALPOST_TLS_DIR": str(self.nats.tls["storage"]),
            "SEALPOST_CALLERS": ",".join((*CALLING, OWNING)),
            "SEALPOST_NATS_URL": self.nats.url,
            "SEALPOST_NATS_USER": "storage",
            "SEALPOST_NATS_PASSWORD_FILE": str(password),
            "SEALPOST_STORE": f"sqlite:{self.directory / 'data'}",
        }
        with (self.directory / "storage.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.storage.main"], env=environment, cwd=ROOT, stdout=log, stderr=log
            )

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 30)


@dataclass
class Wire:
    """A running storage and a stub for each caller."""

    storage: StorageProcess
    ingest: StorageAsyncStub
    delivery: StorageAsyncStub
    gateway: StorageAsyncStub
    billing: StorageAsyncStub
    bus: EventBus
    owner: DataOwnerAsyncStub

    async def append(self, *deliveries: pb.Delivery, timeout: float = 20) -> list[str]:
        """Append; return "ok" or the failure as code:reason."""
        answer = await self.ingest.Append(pb.AppendRequest(deliveries=deliveries), timeout=timeout)
        return [
            "ok" if result.HasField("appended") else f"{result.failure.code}:{result.failure.reason}"
            for result in answer.results
        ]

    async def ids(self, mailbox_id: str) -> list[str]:
        """Return the ids of all messages, newest first."""
        found: list[str] = []
        cursor = ""
        while True:
            request = pb.ListRequest(mailbox_id=mailbox_id, limit=200, cursor=cursor)
            page = await self.gateway.List(request, timeout=20)
            found += [message.message_id for message in page.messages]
            cursor = page.next_cursor
            if not cursor:
                return found


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Wire]:
    """Run NATS and storage, and connect as those who call it."""
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(
            run_nats(directory / "nats", {**RIGHTS, **{name: Rights() for name in ("ingest", "delivery", OWNING)}})
        )
        storage = StorageProcess(directory, nats)
        storage.start()
        stubs = {}
        for caller in CALLING:
            channel = connect("storage", f"127.0.0.1:{storage.port}", TlsFiles(nats.tls[caller]))
            stubs[caller] = StorageStub(await stack.enter_async_context(channel))
        channel = connect("storage", f"127.0.0.1:{storage.port}", TlsFiles(nats.tls[OWNING]))
        owner = DataOwnerStub(await stack.enter_async_context(channel))
        bus = await EventBus.connect(
            nats.url, "gateway", nats.passwords["gateway"], TlsFiles(nats.tls["gateway"]), "gateway"
        )
        stack.push_async_callback(bus.close)
        callers = (stubs["ingest"], stubs["delivery"], stubs["gateway"], stubs["billing"])
        wire = Wire(storage, *callers, bus, owner)
        await answering(wire)
        yield wire
        assert await storage.end() == 0


async def answering(wire: Wire) -> None:
    """Wait until the process answers."""
    async with asyncio.timeout(30):
        while True:
            with suppress(SealpostError):
                await wire.gateway.GetMailbox(pb.GetMailboxRequest(mailbox_id="nobody"), timeout=1)
                return
            await asyncio.sleep(0.05)


def mail(*mailbox_ids: str, **fields: Any) -> pb.Delivery:
    """Return a delivery with one copy for each mailbox."""
    given = {"size": 4096, "scheme": "openpgp", "envelope": b"sealed", "body": b"sealed body", **fields}
    copies = [
        pb.NewMessage(
            mailbox_id=mailbox_id,
            message_id=new_message_id(CLOCK),
            received_minute=unix_minutes(CLOCK),
            **given,
        )
        for mailbox_id in mailbox_ids
    ]
    return pb.Delivery(delivery_id=new_id(), messages=copies)


async def staging(copy: pb.NewMessage, body: bytes) -> AsyncIterator[pb.StageBlock]:
    for start in range(0, len(body), BLOCK):
        first = start == 0
        yield pb.StageBlock(
            mailbox_id=copy.mailbox_id if first else "",
            message_id=copy.message_id if first else "",
            data=body[start : start + BLOCK],
        )
