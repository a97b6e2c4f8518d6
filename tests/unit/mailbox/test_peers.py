"""The gRPC clients against real servers: batches, isolation, memory of routes, large bodies in blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.mailbox.model import Copy, Delivery, PublicDay, Route, Sealed, SealTask, Standing
from libs.mailbox.peers import AccountsClient, CryptoClient, StorageClient
from libs.runtime.errors import ConflictError, ExhaustedError, SealpostError, UnavailableError
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2, crypto_pb2_grpc
from protos.storage.v1 import storage_pb2, storage_pb2_grpc
from tests.support.clock import ManualClock
from tests.support.rpc import Registration, serve

# The services have more methods than are called from here; unimplemented ones answer so by themselves.
AccountsBase: Any = accounts_pb2_grpc.AccountsServicer
CryptoBase: Any = crypto_pb2_grpc.CryptoServicer
StorageBase: Any = storage_pb2_grpc.StorageServicer


class Accounts(AccountsBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failing = False

    async def Resolve(self, request: Any, context: Any) -> Any:
        self.batches.append(list(request.addresses))
        await asyncio.sleep(0.05)
        if self.failing:
            raise UnavailableError("store")
        statuses = {"bob": accounts_pb2.Route.STATUS_OK, "sam": accounts_pb2.Route.STATUS_SUSPENDED}
        return accounts_pb2.ResolveResponse(
            routes=[
                accounts_pb2.Route(
                    status=statuses.get(address, accounts_pb2.Route.STATUS_UNKNOWN),
                    mailbox_id=f"m-{address}",
                    account_id=f"a-{address}",
                    domain="sealpost.test",
                    quota_bytes=1,
                    quota_messages=2,
                    keep_newest=3,
                    retention_seconds=4,
                    terms=3,
                )
                for address in request.addresses
            ]
        )


class Crypto(CryptoBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.batches: list[list[crypto_pb2.SealItem]] = []

    async def Seal(self, request: Any, context: Any) -> Any:
        self.batches.append(list(request.items))
        await asyncio.sleep(0.05)
        return crypto_pb2.SealResponse(results=[self._one(item) for item in request.items])

    @staticmethod
    def _one(item: crypto_pb2.SealItem) -> crypto_pb2.SealResult:
        if item.target.account_id == "gone":
            return crypto_pb2.SealResult(failure=common_pb2.Failure(code="conflict", reason="poisoned"))
        sealed = crypto_pb2.Sealed(envelope=item.envelope[::-1], body=item.body[::-1], scheme="openpgp", key_id="k")
        return crypto_pb2.SealResult(sealed=sealed)


class Storage(StorageBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.batches: list[list[storage_pb2.Delivery]] = []
        self.failures: list[str] = []
        self.blocks: list[storage_pb2.StageBlock] = []

    async def Append(self, request: Any, context: Any) -> Any:
        self.batches.append(list(request.deliveries))
        await asyncio.sleep(0.05)
        if self.failures:
            raise UnavailableError(self.failures.pop(0))
        failure = storage_pb2.AppendResult(failure=common_pb2.Failure(code="exhausted", reason="quota_bytes"))
        stored = storage_pb2.AppendResult(appended=storage_pb2.Appended())
        return storage_pb2.AppendResponse(
            results=[failure if one.delivery_id == "full" else stored for one in request.deliveries]
        )

    async def Stage(self, requests: Any, context: Any) -> Any:
        self.blocks += [block async for block in requests]
        return storage_pb2.StageResponse(size=sum(len(block.data) for block in self.blocks))


@asynccontextmanager
async def channel(register: Callable[[Any, Any], None], servicer: object, service: str) -> AsyncIterator[Any]:
    registration: Registration = (register, servicer, service)
    async with serve(registration, caller="ingest", callers=("ingest",)) as made:
        yield made


@asynccontextmanager
async def accounts(servicer: Accounts, clock: ManualClock) -> AsyncIterator[AccountsClient]:
    register = accounts_pb2_grpc.add_AccountsServicer_to_server
    async with channel(register, servicer, "sealpost.accounts.v1.Accounts") as made:
        client = AccountsClient(accounts_pb2_grpc.AccountsStub(made), clock, 5.0, 1.0)
        yield client
        await client.close()


@asynccontextmanager
async def crypto(servicer: Crypto) -> AsyncIterator[CryptoClient]:
    async with channel(crypto_pb2_grpc.add_CryptoServicer_to_server, servicer, "sealpost.crypto.v1.Crypto") as made:
        client = CryptoClient(crypto_pb2_grpc.CryptoStub(made))
        yield client
        await client.close()


@asynccontextmanager
async def storage(servicer: Storage) -> AsyncIterator[StorageClient]:
    async with channel(storage_pb2_grpc.add_StorageServicer_to_server, servicer, "sealpost.storage.v1.Storage") as made:
        client = StorageClient(storage_pb2_grpc.StorageStub(made), settle_seconds=0.5)
        yield client
        await client.close()


async def test_a_route_is_read_whole() -> None:
    async with accounts(Accounts(), ManualClock()) as client:
        assert await client.resolve("bob") == Route(Standing.OK, "m-bob", "a-bob", "sealpost.test", 1, 2, 3, 4, terms=3)
        assert (await client.resolve("sam")).standing is Standing.SUSPENDED


async def test_routes_are_remembered_for_seconds() -> None:
    servicer, clock = Accounts(), ManualClock()
    async with accounts(servicer, clock) as client:
        for _ in range(3):
            await client.resolve("bob")
            await client.resolve("nobody")
        assert servicer.batches == [["bob"], ["nobody"]]
        clock.advance(1.5)
        await client.resolve("bob")
        await client.resolve("nobody")
        assert servicer.batches == [["bob"], ["nobody"], ["nobody"]]
        clock.advance(4)
        await client.resolve("bob")
        assert servicer.batches[-1] == ["bob"]


async def test_failures_are_not_remembered() -> None:
    servicer = Accounts()
    async with accounts(servicer, ManualClock()) as client:
        servicer.failing = True
        with pytest.raises(UnavailableError):
            await client.resolve("bob")
        servicer.failing = False
        assert (await client.resolve("bob")).standing is Standing.OK


async def test_recipients_of_many_sessions_are_asked_for_together() -> None:
    servicer = Accounts()
    async with accounts(servicer, ManualClock()) as client:
        await asyncio.gather(*(client.resolve(f"user{number}") for number in range(150)))
        assert len(servicer.batches) <= 3
        assert max(map(len, servicer.batches)) <= 100


async def test_the_memory_of_routes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.mailbox.peers._MAX_ROUTES", 5)
    async with accounts(Accounts(), ManualClock()) as client:
        await asyncio.gather(*(client.resolve(f"user{number}") for number in range(20)))
        assert len(client._routes) == 5


def task(owner: str | PublicDay, body: bytes = b"body") -> SealTask:
    return SealTask(owner, "0" * 32, b"envelope", body)


async def test_one_poisoned_copy_fails_alone() -> None:
    servicer = Crypto()
    async with crypto(servicer) as client:
        results = await asyncio.gather(
            *(client.seal(task("gone" if number == 7 else "bob")) for number in range(20)), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, Exception)]
        assert len(failures) == 1
        assert isinstance(failures[0], ConflictError)
        assert failures[0].reason == "poisoned"
        assert results[0] == Sealed(b"epolevne", b"ydob", "openpgp", "k")
        assert len(servicer.batches) <= 3, "copies of many sessions go together"


async def test_targets_are_told_apart() -> None:
    servicer = Crypto()
    async with crypto(servicer) as client:
        await client.seal(task("account"))
        await client.seal(task(PublicDay("public.sealpost.test", "2026-11-22", 99)))
        first, second = (batch[0].target for batch in servicer.batches)
        assert first.account_id == "account"
        assert (second.public_day.domain, second.public_day.destroy_after) == ("public.sealpost.test", 99)


async def test_a_large_copy_goes_alone_and_is_not_waited_for() -> None:
    servicer = Crypto()
    async with crypto(servicer) as client:
        large = b"x" * (1024 * 1024)
        await asyncio.gather(client.seal(task("bob", large)), *(client.seal(task("bob")) for _ in range(5)))
        assert [len(batch) for batch in servicer.batches if batch[0].body == large] == [1]
        with pytest.raises(ConflictError):
            await client.seal(task("gone", large))


def delivery(delivery_id: str, size: int = 10) -> Delivery:
    route = Route(Standing.OK, "mailbox", "account", "sealpost.test", 5, 6, 7, 8)
    sealed = Sealed(b"envelope", b"x" * size, "openpgp", "key")
    return Delivery(delivery_id, [Copy(route, "0" * 32, 1, 2, 3, sealed)])


async def test_a_delivery_is_told_whole() -> None:
    servicer = Storage()
    async with storage(servicer) as client:
        await client.append(delivery("one"))
        (message,) = servicer.batches[0][0].messages
        assert (message.mailbox_id, message.message_id, message.received_minute, message.size) == (
            "mailbox",
            "0" * 32,
            1,
            2,
        )
        assert (message.folder, message.expires_at, message.scheme, message.key_id) == ("inbox", 3, "openpgp", "key")
        assert (message.envelope, message.body, message.body_staged) == (b"envelope", b"x" * 10, False)
        assert (message.quota_bytes, message.quota_messages, message.keep_newest) == (5, 6, 7)


async def test_a_full_mailbox_fails_its_delivery_alone() -> None:
    servicer = Storage()
    async with storage(servicer) as client:
        names = ["one", "full", "two", "three"]
        results = await asyncio.gather(*(client.append(delivery(name)) for name in names), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), ExhaustedError, type(None), type(None)]
        assert len(servicer.batches) <= 2


@pytest.mark.parametrize("reason", ["unreachable", "deadline", "cancelled"])
async def test_an_append_that_was_cut_off_is_repeated_as_it_was(reason: str) -> None:
    servicer = Storage()
    servicer.failures = [reason, reason]
    async with storage(servicer) as client:
        await client.append(delivery("one"))
    assert len(servicer.batches) == 3
    assert servicer.batches[0] == servicer.batches[1] == servicer.batches[2]


async def test_an_append_that_storage_refuses_is_not_repeated() -> None:
    servicer = Storage()
    servicer.failures = ["storage_unavailable"]
    async with storage(servicer) as client:
        with pytest.raises(UnavailableError, match="storage_unavailable"):
            await client.append(delivery("one"))
    assert len(servicer.batches) == 1


async def test_a_large_body_comes_in_blocks() -> None:
    servicer = Storage()
    body = bytes(range(256)) * 4096 + b"end"
    async with storage(servicer) as client:
        await client.stage("mailbox", "0" * 32, body)
    assert b"".join(block.data for block in servicer.blocks) == body
    assert max(len(block.data) for block in servicer.blocks) <= 256 * 1024
    assert [(block.mailbox_id, block.message_id) for block in servicer.blocks[:2]] == [("mailbox", "0" * 32), ("", "")]


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    servicer = Storage()
    async with storage(servicer) as client:
        await client.append(delivery("one"))
    # The server has gone.
    with pytest.raises(SealpostError) as caught:
        await client._append([delivery("two")])
    assert caught.value.code == "unavailable"
