"""The storage service as a process: who may call what, streams, events over NATS, and SIGKILL under load."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from libs.docstore.store import Event
from libs.events.jetstream import EventBus
from libs.events.server_config import Rights
from libs.local.plan import free_ports
from libs.rpc.channel import connect
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_minutes, unix_seconds
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import new_id, new_message_id
from protos.events.v1.events_pb2 import MailStored
from protos.storage.v1 import storage_pb2 as pb
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.storage.rpc import CALLERS
from tests.support.nats import RIGHTS, NatsProcess, run_nats

if TYPE_CHECKING:
    from protos.storage.v1.storage_pb2_grpc import StorageAsyncStub

ROOT = Path(__file__).resolve().parents[2]
CLOCK = SystemClock()
BLOCK = 256 * 1024


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
            "SEALPOST_CALLERS": "ingest,gateway",
            "SEALPOST_NATS_URL": self.nats.url,
            "SEALPOST_NATS_USER": "storage",
            "SEALPOST_NATS_PASSWORD_FILE": str(password),
            "SEALPOST_STORE": f"sqlite:{self.directory / 'data'}",
            "SEALPOST_EXPIRY_SECONDS": "0.2",
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
    gateway: StorageAsyncStub
    bus: EventBus

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
        nats = await stack.enter_async_context(run_nats(directory / "nats", {**RIGHTS, "ingest": Rights()}))
        storage = StorageProcess(directory, nats)
        storage.start()
        stubs = {}
        for caller in ("ingest", "gateway"):
            channel = connect("storage", f"127.0.0.1:{storage.port}", TlsFiles(nats.tls[caller]))
            stubs[caller] = StorageStub(await stack.enter_async_context(channel))
        bus = await EventBus.connect(
            nats.url, "gateway", nats.passwords["gateway"], TlsFiles(nats.tls["gateway"]), "gateway"
        )
        stack.push_async_callback(bus.close)
        wire = Wire(storage, stubs["ingest"], stubs["gateway"], bus)
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


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with running(tmp_path) as running_wire:
        yield running_wire


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


async def test_each_method_is_for_its_caller(wire: Wire) -> None:
    async def nothing() -> AsyncIterator[pb.StageBlock]:
        return
        yield pb.StageBlock()

    descriptor = pb.DESCRIPTOR.services_by_name["Storage"]
    assert {method.name for method in descriptor.methods} == CALLERS.keys()
    for name, callers in CALLERS.items():
        other = {"ingest": wire.gateway, "gateway": wire.ingest}[callers[0]]
        method = descriptor.methods_by_name[name]
        request = nothing() if method.client_streaming else GetMessageClass(method.input_type)()
        call = getattr(other, name)(request, timeout=5)
        with pytest.raises(DeniedError, match=r"^caller$"):
            await (anext(aiter(call)) if method.server_streaming else call)


async def test_a_large_mail_comes_in_and_out_in_blocks_and_is_announced(wire: Wire) -> None:
    heard: asyncio.Queue[MailStored] = asyncio.Queue()

    async def hear(event: Event) -> None:
        heard.put_nowait(MailStored.FromString(event.payload))

    await wire.bus.subscribe_all("mail.stored.v1", hear)
    alice, bob = new_id(), new_id()
    body = secrets.token_bytes(3 * 1024 * 1024 + 17)
    delivery = mail(alice, bob, body=b"", body_staged=True, size=len(body))
    for copy in delivery.messages:
        assert (await wire.ingest.Stage(staging(copy, body), timeout=20)).size == len(body)
    assert await wire.append(delivery, mail(alice, envelope=b""), mail(alice)) == ["ok", "invalid:envelope", "ok"]

    message_id = delivery.messages[0].message_id
    # Of two mails in one second, either may be the first: the times that are kept are no finer.
    page = await wire.gateway.List(pb.ListRequest(mailbox_id=alice), timeout=5)
    entries = {one.message_id: one for one in page.messages}
    large = entries.pop(message_id)
    (small,) = entries.values()
    assert (large.body_size, small.body_size) == (len(body), 11)
    request = pb.GetMessageRequest(mailbox_id=alice, message_id=message_id)
    blocks = [block async for block in wire.gateway.GetBody(request, timeout=20)]
    assert blocks[0].message == await wire.gateway.GetMessage(request, timeout=5) == large
    assert max(len(block.data) for block in blocks) <= BLOCK
    assert b"".join(block.data for block in blocks) == body
    async with asyncio.timeout(20):
        told = [await heard.get() for _ in range(3)]
    assert {one.message_id for one in told} == {small.message_id, *[copy.message_id for copy in delivery.messages]}
    assert heard.empty()


async def test_a_mail_is_moved_and_deleted(wire: Wire) -> None:
    alice, bob = new_id(), new_id()
    delivery = mail(alice, bob)
    message_id = delivery.messages[0].message_id
    assert await wire.append(delivery, mail(alice)) == ["ok", "ok"]
    folder = await wire.gateway.PutFolder(pb.PutFolderRequest(mailbox_id=alice, sealed_name=b"name"), timeout=5)
    change = pb.UpdateMessagesRequest(
        mailbox_id=alice, message_ids=[message_id, new_id()], add_flags=["seen"], move_to=folder.folder_id
    )
    assert len((await wire.gateway.UpdateMessages(change, timeout=5)).not_found) == 1
    assert await counts(wire, alice) == {"inbox": (1, 1), folder.folder_id: (1, 0)}
    gone = pb.DeleteFolderRequest(mailbox_id=alice, folder_id=folder.folder_id)
    assert (await wire.gateway.DeleteFolder(gone, timeout=5)).moved == 1
    removal = pb.DeleteMessagesRequest(mailbox_id=alice, message_ids=[message_id])
    assert not (await wire.gateway.DeleteMessages(removal, timeout=5)).not_found
    with pytest.raises(NotFoundError, match=r"^message$"):
        await wire.gateway.GetMessage(pb.GetMessageRequest(mailbox_id=alice, message_id=message_id), timeout=5)
    assert await counts(wire, alice) == {"inbox": (1, 1)}
    assert len(await wire.ids(bob)) == 1


async def counts(wire: Wire, mailbox_id: str) -> dict[str, tuple[int, int]]:
    mailbox = await wire.gateway.GetMailbox(pb.GetMailboxRequest(mailbox_id=mailbox_id), timeout=5)
    return {folder.folder_id: (folder.messages, folder.unseen) for folder in mailbox.folders if folder.messages}


async def test_a_disposable_inbox_keeps_its_newest_for_its_time(wire: Wire) -> None:
    inbox = new_id()
    expires_at = unix_seconds(CLOCK) + 3
    for _ in range(10):
        assert await wire.append(mail(inbox, keep_newest=2, expires_at=expires_at)) == ["ok"]
    for most in (2, 0):
        async with asyncio.timeout(15):
            while len(await wire.ids(inbox)) > most:  # noqa: ASYNC110 - another process is at work
                await asyncio.sleep(0.05)


async def test_what_cannot_be_is_refused(wire: Wire) -> None:
    with pytest.raises(InvalidError, match=r"^cursor$"):
        await wire.gateway.List(pb.ListRequest(mailbox_id="a", cursor="nonsense"), timeout=5)
    with pytest.raises(InvalidError, match=r"^flag$"):
        await wire.gateway.UpdateMessages(pb.UpdateMessagesRequest(mailbox_id="a", add_flags=["x"]), timeout=5)
    with pytest.raises(InvalidError, match=r"^deliveries$"):
        await wire.append(*[pb.Delivery()] * 1001)
    with pytest.raises(InvalidError, match=r"^mailbox_id$"):
        await wire.ingest.Stage(staging(pb.NewMessage(), b"x"), timeout=5)


async def test_killed_under_load_it_loses_nothing_and_doubles_nothing(wire: Wire) -> None:
    boxes = [new_id() for _ in range(4)]
    waiting = [mail(*boxes[: 1 + number % 3], quota_messages=1000) for number in range(300)]
    stored: list[pb.Delivery] = []

    async def send() -> None:
        while waiting:
            delivery = waiting.pop()
            try:
                outcome = await wire.append(delivery, timeout=3)
            except SealpostError:
                outcome = ["unknown"]
                await asyncio.sleep(0.1)
            (stored if outcome == ["ok"] else waiting).append(delivery)

    senders = [asyncio.create_task(send()) for _ in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        assert await wire.storage.end(signal.SIGKILL) == -signal.SIGKILL
        wire.storage.start()
        await answering(wire)
    await asyncio.gather(*senders)
    assert len(stored) == 300
    expected = sorted(copy.message_id for delivery in stored for copy in delivery.messages)
    assert await listed(wire, boxes) == expected


async def listed(wire: Wire, boxes: Iterable[str]) -> list[str]:
    return sorted([message_id for box in boxes for message_id in await wire.ids(box)])
