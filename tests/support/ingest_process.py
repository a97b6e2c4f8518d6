"""The real MX and submission, parent and workers, as a child process; whom they call are fakes in this one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import UnauthenticatedError
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc
from protos.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from protos.storage.v1 import storage_pb2, storage_pb2_grpc
from tests.support.ingest_fakes import ADA_PASSWORD, RETURN_PATH, without_trace
from tests.support.rpc import certificates

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
# The services have more methods than are called by ingest; unimplemented ones answer so by themselves.
AccountsBase: Any = accounts_pb2_grpc.AccountsServicer
CryptoBase: Any = crypto_pb2_grpc.CryptoServicer
StorageBase: Any = storage_pb2_grpc.StorageServicer
DeliveryBase: Any = delivery_pb2_grpc.DeliveryServicer


class Accounts(AccountsBase):  # type: ignore[misc]
    """Every address at sealpost.test exists but nobody@; no other domain is served. ada@ may send."""

    async def Resolve(self, request: Any, context: Any) -> Any:
        return accounts_pb2.ResolveResponse(routes=[self._route(address) for address in request.addresses])

    async def Authenticate(self, request: Any, context: Any) -> Any:
        given = request.app_password
        if (given.address, given.password) != ("ada@sealpost.test", ADA_PASSWORD):
            raise UnauthenticatedError("credential_invalid")
        return accounts_pb2.Principal(
            account_id="ada", profile=common_pb2.PROFILE_SEALED, scopes=["smtp:send"], proof_id="p"
        )

    @staticmethod
    def _route(address: str) -> accounts_pb2.Route:
        local, _, domain = address.partition("@")
        if domain != "sealpost.test":
            return accounts_pb2.Route(status=accounts_pb2.Route.STATUS_NOT_OURS)
        if local == "nobody":
            return accounts_pb2.Route(status=accounts_pb2.Route.STATUS_UNKNOWN)
        return accounts_pb2.Route(
            status=accounts_pb2.Route.STATUS_OK, mailbox_id=local, account_id=local, domain="sealpost.test"
        )


class Crypto(CryptoBase):  # type: ignore[misc]
    """Seals nothing."""

    async def Seal(self, request: Any, context: Any) -> Any:
        return crypto_pb2.SealResponse(
            results=[
                crypto_pb2.SealResult(
                    sealed=crypto_pb2.Sealed(envelope=item.envelope, body=item.body, scheme="openpgp", key_id="k")
                )
                for item in request.items
            ]
        )


class Storage(StorageBase):  # type: ignore[misc]
    """Keeps bodies by mailbox, and envelopes."""

    def __init__(self) -> None:
        self.staged: dict[str, bytes] = {}
        self.bodies: dict[str, list[bytes]] = {}
        self.envelopes: list[dict[str, Any]] = []

    async def Append(self, request: Any, context: Any) -> Any:
        for delivery in request.deliveries:
            for message in delivery.messages:
                body = self.staged.pop(message.message_id) if message.body_staged else message.body
                self.bodies.setdefault(message.mailbox_id, []).append(body)
                self.envelopes.append(json.loads(message.envelope))
        results = [storage_pb2.AppendResult(appended=storage_pb2.Appended()) for _ in request.deliveries]
        return storage_pb2.AppendResponse(results=results)

    async def Stage(self, requests: Any, context: Any) -> Any:
        message_id, blocks = "", []
        async for block in requests:
            message_id = message_id or block.message_id
            blocks.append(block.data)
        self.staged[message_id] = b"".join(blocks)
        return storage_pb2.StageResponse(size=len(self.staged[message_id]))

    def clear(self) -> None:
        """Forget everything."""
        self.bodies.clear()
        self.envelopes.clear()

    def contents(self, mailbox: str = "bob") -> list[bytes]:
        """Return the mails of a mailbox without their trace fields."""
        return [without_trace(body) for body in self.bodies.get(mailbox, [])]

    @property
    def count(self) -> int:
        return sum(map(len, self.bodies.values()))


class Delivery(DeliveryBase):  # type: ignore[misc]
    """Keeps what is submitted and reported; ada may send as ada@sealpost.test."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.reports: list[bytes] = []

    async def AuthorizeSenders(self, request: Any, context: Any) -> Any:
        allowed = [request.account_id == "ada" and one == "ada@sealpost.test" for one in request.addresses]
        return delivery_pb2.AuthorizeSendersResponse(allowed=allowed)

    async def Submit(self, request: Any, context: Any) -> Any:
        for item in request.items:
            self.items.setdefault(item.submission_id, item)
        ids = [item.submission_id for item in request.items]
        results = [delivery_pb2.SubmitResult(submitted=delivery_pb2.Submitted(submission_id=one)) for one in ids]
        return delivery_pb2.SubmitResponse(results=results)

    async def ResolveReturnPath(self, request: Any, context: Any) -> Any:
        return delivery_pb2.ResolveReturnPathResponse(known=[one == RETURN_PATH for one in request.addresses])

    async def TakeReport(self, request: Any, context: Any) -> Any:
        self.reports.append(request.content)
        return delivery_pb2.TakeReportResponse()

    @property
    def submitted(self) -> list[Any]:
        """What was submitted, in order."""
        return list(self.items.values())


class Mx:
    """A running MX, and submission."""

    def __init__(self, process: asyncio.subprocess.Process, storage: Storage, delivery: Delivery) -> None:
        self.process = process
        self.storage = storage
        self.delivery = delivery
        self.ports: dict[str, int] = {}
        self.lines: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        """That of the MX."""
        return self.ports["smtp"]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        return [line for line in self.lines if line["event"] == name]

    @property
    def workers(self) -> dict[int, int]:
        """The newest process id of each worker."""
        return {line["worker"]: line["pid"] for line in self.events("worker_started")}

    async def follow(self) -> None:
        """Read the log to its end."""
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = json.loads(raw)
            self.lines.append(line)
            if line["event"] == "listening":
                self.ports[line["listener"]] = line["port"]

    async def metrics(self) -> str:
        """Return what /metrics shows."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["metrics"])
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return text


@asynccontextmanager
async def run_mx(**settings: object) -> AsyncIterator[Mx]:
    """Run the MX with these settings (lower-case names) until the block is left; then it is told to stop, and must."""
    storage, delivery = Storage(), Delivery()
    async with AsyncExitStack() as stack:
        peers = {
            "delivery": await _serve(stack, delivery_pb2_grpc.add_DeliveryServicer_to_server, delivery, "delivery"),
            "accounts": await _serve(stack, accounts_pb2_grpc.add_AccountsServicer_to_server, Accounts(), "accounts"),
            "crypto": await _serve(stack, crypto_pb2_grpc.add_CryptoServicer_to_server, Crypto(), "crypto"),
            "storage": await _serve(stack, storage_pb2_grpc.add_StorageServicer_to_server, storage, "storage"),
        }
        given = {
            "smtp_address": "127.0.0.1:0",
            "submission_address": "127.0.0.1:0",
            "submissions_address": "127.0.0.1:0",
            "bounce_domain": "bounces.sealpost.test",
            "smtp_tls_dir": certificates("smtp"),
            "tls_dir": certificates("ingest"),
            "peers": ",".join(f"{name}={address}" for name, address in peers.items()),
            "grpc_address": "",
            "drain_seconds": 5,
            # Nobody answers there, at once: no test waits for the network of this machine.
            "resolvers": "127.0.0.1:9",
        } | settings
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SEALPOST_")}
        environ |= {f"SEALPOST_{name.upper()}": str(value) for name, value in given.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.ingest.main", cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
        )
        mx = Mx(process, storage, delivery)
        follow = asyncio.create_task(mx.follow())
        stack.push_async_callback(_end, mx, follow)
        async with asyncio.timeout(START_SECONDS):
            while "submissions" not in mx.ports and process.returncode is None:  # noqa: ASYNC110 - the log is what we wait for
                await asyncio.sleep(0.02)
        assert "submissions" in mx.ports, f"the MX did not start: {mx.lines[-5:]}"
        yield mx


async def run_client(*command: str, stdin: bytes = b"") -> tuple[int, str]:
    """Run a client; return its exit code and what it said."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(120):
        output, _ = await process.communicate(stdin)
    return process.returncode or 0, output.decode("utf-8", "replace")


async def _serve(stack: AsyncExitStack, register: Any, servicer: object, name: str) -> str:
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates(name)), ("ingest",))
    server.add(register, servicer, f"sealpost.{name}.v1.{name.capitalize()}")
    await server.start()
    stack.push_async_callback(server.stop, 0)
    return f"127.0.0.1:{server.port}"


async def _end(mx: Mx, follow: asyncio.Task[None]) -> None:
    if mx.process.returncode is None:
        mx.process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(20):
            await mx.process.wait()
            await follow
    finally:
        if mx.process.returncode is None:
            mx.process.kill()
            await mx.process.wait()
