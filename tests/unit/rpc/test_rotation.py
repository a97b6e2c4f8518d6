"""Certificates are replaced while calls run on both sides; no call may notice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from libs.rpc import devca
from libs.rpc.channel import PeerChannel, connect
from libs.rpc.server import Limits, RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from protos.storage.v1 import storage_pb2 as pb
from tests.unit.rpc.storage import Storage, registration, stub

CLOCK = SystemClock()


def issue(home: Path, name: str, authority: devca.Authority, *trusted: devca.Authority) -> None:
    """Replace the certificate of `name`, and what it trusts."""
    hosts = [f"{name}.sealpost.internal", "localhost", "127.0.0.1"]
    fresh = home / "fresh"
    devca.write_leaf(fresh, authority, hosts, clock=CLOCK)
    (fresh / "ca.crt").write_bytes(b"".join(one.pem() for one in trusted or (authority,)))
    (home / name).mkdir(exist_ok=True)
    for file in ("ca.crt", "tls.key", "tls.crt"):
        (fresh / file).replace(home / name / file)


@dataclass
class Load:
    """Calls of every kind, again and again, from several tasks."""

    channel: PeerChannel
    calls: int = 0
    stopping: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.tasks = [asyncio.create_task(self._run()) for _ in range(8)]

    async def _run(self) -> None:
        while not self.stopping:
            await stub(self.channel).Append(pb.AppendRequest(), timeout=10)
            assert (await stub(self.channel).Stage(iter([pb.StageBlock(data=b"ab")]), timeout=10)).size == 2
            assert len([1 async for _ in stub(self.channel).GetBody(pb.GetMessageRequest(), timeout=10)]) == 2
            self.calls += 3

    async def more(self, count: int = 60) -> None:
        """Wait until this many more calls have succeeded; raise what a call raised."""
        goal = self.calls + count
        async with asyncio.timeout(20):
            while self.calls < goal:
                for task in self.tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.gather(*self.tasks)


@asynccontextmanager
async def under_load(home: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Load, int]]:
    server = RpcServer("127.0.0.1:0", TlsFiles(home / "storage", interval=0), ("gateway",), limits=limits)
    server.add(*registration(Storage()))
    await server.start()
    async with connect("storage", f"127.0.0.1:{server.port}", TlsFiles(home / "gateway", interval=0)) as channel:
        load = Load(channel)
        load.start()
        await load.more()
        yield load, server.port
        await load.stop()
    await server.stop(5)


async def shown_by(port: int, home: Path) -> int:
    """Return the serial number of the certificate that the server shows to a new connection."""
    context = ssl.create_default_context(cafile=str(home / "gateway" / "ca.crt"))
    context.load_cert_chain(home / "gateway" / "tls.crt", home / "gateway" / "tls.key")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).serial_number


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_the_server_shows_its_new_certificate(tmp_path: Path) -> None:
    authority = devca.make_authority(clock=CLOCK)
    for name in ("storage", "gateway"):
        issue(tmp_path, name, authority)
    async with under_load(tmp_path) as (load, port):
        for _ in range(3):
            issue(tmp_path, "storage", authority)
            assert await shown_by(port, tmp_path) == serial(tmp_path / "storage" / "tls.crt")
            await load.more()


async def test_the_client_shows_its_new_certificate(tmp_path: Path) -> None:
    authority = devca.make_authority(clock=CLOCK)
    for name in ("storage", "gateway"):
        issue(tmp_path, name, authority)
    async with under_load(tmp_path) as (load, _):
        for _ in range(3):
            before = load.channel.current()
            issue(tmp_path, "gateway", authority)
            await load.more()
            assert load.channel.current() is not before


async def test_the_authority_is_replaced(tmp_path: Path) -> None:
    """Trust both, change certificates, trust the new one alone: no step happens everywhere at one instant."""
    old, new = devca.make_authority(clock=CLOCK), devca.make_authority(clock=CLOCK, name="the next one")
    for name in ("storage", "gateway"):
        issue(tmp_path, name, old)
    async with under_load(tmp_path) as (load, port):
        for signer, trusted in ((old, (old, new)), (new, (old, new)), (new, (new,))):
            for name in ("gateway", "storage"):
                issue(tmp_path, name, signer, *trusted)
                await load.more()
        assert await shown_by(port, tmp_path) == serial(tmp_path / "storage" / "tls.crt")


async def test_connections_that_grow_old_are_replaced(tmp_path: Path) -> None:
    authority = devca.make_authority(clock=CLOCK)
    for name in ("storage", "gateway"):
        issue(tmp_path, name, authority)
    limits = Limits(options=(("grpc.max_connection_age_ms", 150), ("grpc.max_connection_age_grace_ms", 5000)))
    async with under_load(tmp_path, limits) as (load, _):
        for _ in range(8):
            await asyncio.sleep(0.15)
            await load.more(10)


async def test_a_call_that_began_before_a_rotation_ends_on_its_channel(tmp_path: Path) -> None:
    authority = devca.make_authority(clock=CLOCK)
    for name in ("storage", "gateway"):
        issue(tmp_path, name, authority)
    servicer = Storage()
    servicer.hold = asyncio.Event()
    server = RpcServer("127.0.0.1:0", TlsFiles(tmp_path / "storage", interval=0), ("gateway",))
    server.add(*registration(servicer))
    await server.start()
    async with connect("storage", f"127.0.0.1:{server.port}", TlsFiles(tmp_path / "gateway", interval=0)) as channel:
        early = asyncio.ensure_future(stub(channel).Append(pb.AppendRequest(), timeout=10))
        await asyncio.wait_for(servicer.entered.wait(), 5)
        issue(tmp_path, "gateway", authority)
        late = asyncio.ensure_future(stub(channel).Append(pb.AppendRequest(), timeout=10))
        await asyncio.sleep(0.2)
        servicer.hold.set()
        await asyncio.gather(early, late)
    await server.stop(0)


async def test_closing_ends_calls_on_retired_channels_too(tmp_path: Path) -> None:
    authority = devca.make_authority(clock=CLOCK)
    for name in ("storage", "gateway"):
        issue(tmp_path, name, authority)
    servicer = Storage()
    servicer.hold = asyncio.Event()
    server = RpcServer("127.0.0.1:0", TlsFiles(tmp_path / "storage", interval=0), ("gateway",))
    server.add(*registration(servicer))
    await server.start()
    channel = connect("storage", f"127.0.0.1:{server.port}", TlsFiles(tmp_path / "gateway", interval=0))
    call = asyncio.ensure_future(stub(channel).Append(pb.AppendRequest(), timeout=30))
    await asyncio.wait_for(servicer.entered.wait(), 5)
    issue(tmp_path, "gateway", authority)
    channel.current()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await channel.close()
        await asyncio.wait([call])
        await channel.close()
    await server.stop(0)
