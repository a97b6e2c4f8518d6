from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.rpc import devca
from libs.rpc.channel import connect
from libs.rpc.server import Limits, RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime import errors
from libs.runtime.clock import SystemClock
from protos.storage.v1 import storage_pb2 as pb
from tests.support.rpc import certificates, serve
from tests.unit.rpc.storage import SERVICE, Storage, registration, stub

APPEND = pb.AppendRequest(deliveries=[pb.Delivery(delivery_id="1")])
SERVING = health_pb2.HealthCheckResponse.SERVING


@asynccontextmanager
async def running(servicer: object, limits: Limits | None = None) -> AsyncIterator[RpcServer]:
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates("server")), ("gateway", "ingest"), limits=limits)
    server.add(*registration(servicer))
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


def plain_channel(port: int, directory: Path | None) -> grpc.aio.Channel:
    """Return a channel without anything of ours but, perhaps, a certificate."""
    root = (certificates("server") / "ca.crt").read_bytes()
    pair = [(directory / name).read_bytes() for name in ("tls.key", "tls.crt")] if directory else [None, None]
    credentials = grpc.ssl_channel_credentials(root, pair[0], pair[1])
    return grpc.aio.secure_channel(f"localhost:{port}", credentials)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    trailing: Any = raised.value.trailing_metadata()
    return raised.value.code(), dict(trailing).get("sealpost-reason")


async def test_a_caller_that_is_not_in_the_list() -> None:
    servicer = Storage()
    async with serve(registration(servicer), caller="crypto", callers=("gateway",)) as channel:
        with pytest.raises(errors.DeniedError, match="caller"):
            await stub(channel).Append(APPEND, timeout=5)
        with pytest.raises(errors.DeniedError, match="caller"):
            await stub(channel).Stage(iter([pb.StageBlock()]), timeout=5)
        with pytest.raises(errors.DeniedError, match="caller"):
            _ = [block async for block in stub(channel).GetBody(pb.GetMessageRequest(), timeout=5)]
    assert servicer.callers == []
    assert not servicer.entered.is_set()


async def test_a_method_for_some_callers_only() -> None:
    async with running(Storage()) as server:
        server.restrict(f"/{SERVICE}/Append", ["ingest"])
        for caller, allowed in (("ingest", True), ("gateway", False)):
            async with connect("server", f"127.0.0.1:{server.port}", TlsFiles(certificates(caller))) as channel:
                if allowed:
                    await stub(channel).Append(APPEND, timeout=5)
                else:
                    with pytest.raises(errors.DeniedError, match="caller"):
                        await stub(channel).Append(APPEND, timeout=5)
                assert (await stub(channel).Stage(iter([pb.StageBlock()]), timeout=5)).size == 0


async def test_a_restriction_cannot_open_anything() -> None:
    async with running(Storage()) as server:
        for method, caller in ((f"/{SERVICE}/Append", "crypto"), (f"/{SERVICE}/Apend", "ingest")):
            with pytest.raises(ValueError, match="cannot restrict"):
                server.restrict(method, [caller])


@pytest.mark.parametrize(
    "hosts", [["localhost"], ["gateway.sealpost.internal", "ingest.sealpost.internal"], ["gateway.sealpost.internal.x"]]
)
async def test_a_certificate_that_names_not_exactly_one_service(tmp_path: Path, hosts: list[str]) -> None:
    authority = devca.ensure_authority(certificates("server").parent, clock=SystemClock())
    devca.write_leaf(tmp_path, authority, hosts, clock=SystemClock())
    async with (
        running(Storage()) as server,
        connect("server", f"127.0.0.1:{server.port}", TlsFiles(tmp_path)) as channel,
    ):
        with pytest.raises(errors.UnauthenticatedError, match="certificate"):
            await stub(channel).Append(APPEND, timeout=5)


async def test_a_common_name_is_no_identity(tmp_path: Path) -> None:
    authority = devca.ensure_authority(certificates("server").parent, clock=SystemClock())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.sealpost.internal")])
    now = SystemClock().now()
    builder = x509.CertificateBuilder(authority.certificate.subject, name, key.public_key(), 1)
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    (tmp_path / "tls.crt").write_bytes(builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM))
    (tmp_path / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    async with running(Storage()) as server, plain_channel(server.port, tmp_path) as channel:
        expected = (grpc.StatusCode.UNAUTHENTICATED, "certificate")
        assert await refusal(stub(channel).Append(APPEND, timeout=5)) == expected


async def test_no_client_certificate() -> None:
    servicer = Storage()
    async with running(servicer) as server, plain_channel(server.port, None) as channel:
        status, _ = await refusal(stub(channel).Append(APPEND, timeout=5))
    assert status is grpc.StatusCode.UNAVAILABLE
    assert servicer.callers == []


async def test_a_client_without_tls() -> None:
    async with running(Storage()) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        status, _ = await refusal(stub(channel).Append(APPEND, timeout=5))
    assert status is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("stranger", ["client", "server"])
async def test_a_certificate_of_another_authority(tmp_path: Path, stranger: str) -> None:
    foreign = devca.ensure_dev_ca(tmp_path, ["server", "gateway"])
    paths = {"server": certificates("server"), "gateway": certificates("gateway")}
    name = {"client": "gateway", "server": "server"}[stranger]
    # Trusts the right authority, shows a certificate of the wrong one.
    (foreign[name] / "ca.crt").write_bytes((certificates("server") / "ca.crt").read_bytes())
    paths[name] = foreign[name]
    servicer = Storage()
    server = RpcServer("127.0.0.1:0", TlsFiles(paths["server"]), ("gateway",))
    server.add(*registration(servicer))
    await server.start()
    async with connect("server", f"127.0.0.1:{server.port}", TlsFiles(paths["gateway"])) as channel:
        with pytest.raises(errors.UnavailableError):
            await stub(channel).Append(APPEND, timeout=5)
    await server.stop(0)
    assert servicer.callers == []


async def test_another_service_at_the_address() -> None:
    async with running(Storage()) as server:
        address = f"127.0.0.1:{server.port}"
        async with connect("storage", address, TlsFiles(certificates("gateway"))) as channel:
            with pytest.raises(errors.UnavailableError):
                await stub(channel).Append(APPEND, timeout=5)


async def test_a_call_without_deadline() -> None:
    servicer = Storage()
    async with running(servicer) as server, plain_channel(server.port, certificates("gateway")) as channel:
        expected = (grpc.StatusCode.INVALID_ARGUMENT, "deadline_missing")
        assert await refusal(stub(channel).Append(APPEND)) == expected
        assert await refusal(stub(channel).Stage(iter([pb.StageBlock()]))) == expected
        stream: Any = stub(channel).GetBody(pb.GetMessageRequest())
        assert await refusal(stream.read()) == expected
    assert servicer.callers == []


async def test_health_answers_any_service() -> None:
    async with serve(registration(Storage()), caller="retention", callers=("gateway",)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            response = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert response.status == SERVING


async def test_health_is_watched_without_deadline() -> None:
    async with running(Storage()) as server, plain_channel(server.port, certificates("gateway")) as channel:
        watch: Any = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == SERVING
        await server.set_serving(False)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_more_calls_at_once_than_the_limit() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with running(servicer, Limits(concurrent_calls=2)) as server:
        address = f"127.0.0.1:{server.port}"
        async with connect("server", address, TlsFiles(certificates("gateway"))) as channel:
            calls = [asyncio.ensure_future(stub(channel).Append(APPEND, timeout=10)) for _ in range(5)]
            done, waiting = await asyncio.wait(calls, timeout=1)
            for call in done:
                assert isinstance(call.exception(), errors.ExhaustedError)
            assert len(waiting) == 2
            servicer.hold.set()
            await asyncio.gather(*waiting)


async def test_stopping_lets_calls_finish_and_takes_no_new_ones() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with running(servicer) as server:
        address = f"127.0.0.1:{server.port}"
        async with connect("server", address, TlsFiles(certificates("gateway"))) as channel:
            call = asyncio.ensure_future(stub(channel).Append(APPEND, timeout=10))
            await asyncio.wait_for(servicer.entered.wait(), 5)
            stopping = asyncio.create_task(server.stop(5))
            await asyncio.sleep(0.1)
            with pytest.raises(errors.UnavailableError):
                await stub(channel).Append(APPEND, timeout=1)
            assert not call.done()
            servicer.hold.set()
            assert len((await call).results) == 1
            await stopping


async def test_stopping_ends_calls_that_do_not_finish() -> None:
    servicer = Storage()
    servicer.hold = asyncio.Event()
    async with running(servicer) as server:
        address = f"127.0.0.1:{server.port}"
        async with connect("server", address, TlsFiles(certificates("gateway"))) as channel:
            call = asyncio.ensure_future(stub(channel).Append(APPEND, timeout=10))
            await asyncio.wait_for(servicer.entered.wait(), 5)
            await server.stop(0.2)
            with pytest.raises(errors.UnavailableError):
                await call


async def test_a_server_that_comes_back() -> None:
    async with running(Storage()) as server:
        address = f"127.0.0.1:{server.port}"
        channel = connect("server", address, TlsFiles(certificates("gateway")))
        await stub(channel).Append(APPEND, timeout=5)
    with pytest.raises(errors.UnavailableError, match="unreachable"):
        await stub(channel).Append(APPEND, timeout=5)
    second = RpcServer(address, TlsFiles(certificates("server")), ("gateway",))
    second.add(*registration(Storage()))
    await second.start()
    await stub(channel).Append(APPEND, timeout=5, wait_for_ready=True)
    await channel.close()
    await second.stop(0)


async def test_a_slow_handshake_is_waited_for() -> None:
    async with running(Storage()) as server:

        async def pass_on_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            behind = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.sleep(0.7)
            await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

        slow = await asyncio.start_server(pass_on_late, "127.0.0.1", 0)
        port = slow.sockets[0].getsockname()[1]
        async with connect("server", f"127.0.0.1:{port}", TlsFiles(certificates("gateway"))) as channel:
            await stub(channel).Append(APPEND, timeout=5)
        slow.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_a_taken_port_is_an_error() -> None:
    async with running(Storage()) as server:
        second = RpcServer(f"127.0.0.1:{server.port}", TlsFiles(certificates("server")), ("gateway",))
        with pytest.raises(errors.UnavailableError, match="grpc_address"):
            await second.start()


async def test_no_certificates_no_server(tmp_path: Path) -> None:
    with pytest.raises(errors.UnavailableError, match="tls_files"):
        await RpcServer("127.0.0.1:0", TlsFiles(tmp_path), ("gateway",)).start()


async def test_a_servicer_that_is_not_async_is_refused() -> None:
    class Blocking(Storage):
        def Append(self, request: Any, context: Any) -> Any:
            return pb.AppendResponse()

    server = RpcServer("127.0.0.1:0", TlsFiles(certificates("server")), ("gateway",))
    with pytest.raises(TypeError, match="Append is not async"):
        server.add(*registration(Blocking()))
