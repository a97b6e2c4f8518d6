"""The gRPC clients of ingest alone, against real servers: scopes, batches, isolation, a Submit that is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.runtime.errors import (
    DeniedError,
    ExhaustedError,
    InternalError,
    InvalidError,
    SealpostError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.secret import Secret
from protos.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from services.ingest.domain import Proof, Submission, Submitter
from services.ingest.peers import DeliveryClient, ProofsClient, SenderMemory
from tests.support.clock import ManualClock
from tests.support.rpc import Registration, serve

# The services have more methods than are called from here; unimplemented ones answer so by themselves.
AccountsBase: Any = accounts_pb2_grpc.AccountsServicer
DeliveryBase: Any = delivery_pb2_grpc.DeliveryServicer

SHOP = Submitter("account-shop", common_pb2.PROFILE_RELAY, True, terms=3)
PROOF = Proof("shop@relay.sealpost.test", Secret("right"))


class Accounts(AccountsBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.scopes = ["smtp:send"]
        self.failure: SealpostError | None = None
        self.profile = common_pb2.PROFILE_RELAY

    async def Authenticate(self, request: Any, context: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        assert request.WhichOneof("proof") == "app_password"
        if request.app_password.password != "right":
            raise UnauthenticatedError("credential_invalid")
        return accounts_pb2.Principal(account_id="account-shop", profile=self.profile, scopes=self.scopes, terms=3)


class Delivery(DeliveryBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.asked: list[tuple[str, list[str]]] = []
        self.reports: list[tuple[str, bytes]] = []
        self.failures: list[SealpostError] = []
        self.short = False

    async def AuthorizeSenders(self, request: Any, context: Any) -> Any:
        self.asked.append((request.account_id, list(request.addresses)))
        if self.failures:
            raise self.failures.pop(0)
        return delivery_pb2.AuthorizeSendersResponse(
            allowed=[] if self.short else [one.startswith("news@") for one in request.addresses]
        )

    async def Submit(self, request: Any, context: Any) -> Any:
        self.batches.append(list(request.items))
        await asyncio.sleep(0.05)
        if self.failures:
            raise self.failures.pop(0)
        return delivery_pb2.SubmitResponse(results=[] if self.short else [self._result(one) for one in request.items])

    @staticmethod
    def _result(item: Any) -> Any:
        if item.mail_from == "bad@shop.example":
            failure = common_pb2.Failure(code="denied", reason="from_not_allowed")
            return delivery_pb2.SubmitResult(failure=failure)
        submitted = delivery_pb2.Submitted(submission_id=item.submission_id, message_id="<1@shop.example>")
        return delivery_pb2.SubmitResult(submitted=submitted)

    async def ResolveReturnPath(self, request: Any, context: Any) -> Any:
        self.asked.append(("", list(request.addresses)))
        await asyncio.sleep(0.05)
        return delivery_pb2.ResolveReturnPathResponse(known=[one.startswith("b-") for one in request.addresses])

    async def TakeReport(self, request: Any, context: Any) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        self.reports.append((request.address, request.content))
        return delivery_pb2.TakeReportResponse()


@asynccontextmanager
async def proofs(servicer: Accounts) -> AsyncIterator[ProofsClient]:
    register = accounts_pb2_grpc.add_AccountsServicer_to_server
    registration: Registration = (register, servicer, "sealpost.accounts.v1.Accounts")
    async with serve(registration, caller="ingest", callers=("ingest",)) as channel:
        yield ProofsClient(accounts_pb2_grpc.AccountsStub(channel))


@asynccontextmanager
async def delivery(
    servicer: Delivery, clock: ManualClock | None = None, done: list[int] | None = None
) -> AsyncIterator[DeliveryClient]:
    register = delivery_pb2_grpc.add_DeliveryServicer_to_server
    registration: Registration = (register, servicer, "sealpost.delivery.v1.Delivery")
    large = done if done is not None else []
    async with serve(registration, caller="ingest", callers=("ingest",)) as channel:
        senders = SenderMemory(clock or ManualClock(), 5.0, 1.0)
        stub = delivery_pb2_grpc.DeliveryStub(channel)
        client = DeliveryClient(stub, senders, lambda: large.append(1), settle_seconds=0.5)
        yield client
        await client.close()


def submission(
    number: int = 1, sender: str = "news@shop.example", content: bytes = b"Subject: x\r\n\r\n"
) -> Submission:
    return Submission(f"{number:032x}", SHOP, sender, ["x@example.com"], bytearray(content), smtputf8=number == 2)


async def test_who_may_send_signs_in() -> None:
    servicer = Accounts()
    async with proofs(servicer) as client:
        assert await client.sign_in(PROOF) == SHOP
        servicer.profile = common_pb2.PROFILE_SEALED
        assert await client.sign_in(PROOF) == Submitter("account-shop", common_pb2.PROFILE_SEALED, False, terms=3)


@pytest.mark.parametrize("scopes", [[], ["mail:read", "mail:write"], ["smtp:send2"]])
async def test_a_proof_without_the_scope_is_none(scopes: list[str]) -> None:
    servicer = Accounts()
    servicer.scopes = scopes
    async with proofs(servicer) as client:
        with pytest.raises(UnauthenticatedError):
            await client.sign_in(PROOF)


@pytest.mark.parametrize(
    "failure",
    [UnauthenticatedError("credential_invalid"), ExhaustedError("too_many_attempts"), UnavailableError("store")],
)
async def test_what_accounts_says_is_passed_on(failure: SealpostError) -> None:
    servicer = Accounts()
    servicer.failure = failure
    async with proofs(servicer) as client:
        with pytest.raises(type(failure)) as caught:
            await client.sign_in(PROOF)
        assert caught.value.reason == failure.reason
        assert "right" not in repr(caught.value.__cause__)


async def test_senders_are_remembered_for_seconds() -> None:
    servicer, clock = Delivery(), ManualClock()
    async with delivery(servicer, clock) as client:
        for _ in range(3):
            assert await client.may_send("a", "news@shop.example")
            assert not await client.may_send("a", "other@shop.example")
        assert len(servicer.asked) == 2
        # The answer is one account's.
        await client.may_send("b", "news@shop.example")
        assert servicer.asked[-1] == ("b", ["news@shop.example"])
        clock.advance(1.5)
        await client.may_send("a", "news@shop.example")
        await client.may_send("a", "other@shop.example")
        assert servicer.asked[3:] == [("a", ["other@shop.example"])]
        clock.advance(4)
        await client.may_send("a", "news@shop.example")
        assert servicer.asked[4:] == [("a", ["news@shop.example"])]


async def test_what_is_no_sender_for_delivery_may_not_send_and_failures_are_not_remembered() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        servicer.failures = [InvalidError("address"), UnavailableError("store")]
        assert not await client.may_send("a", "news@shop.example")
        with pytest.raises(UnavailableError):
            await client.may_send("a", "news@shop.example")
        assert await client.may_send("a", "news@shop.example")


def test_the_memory_of_senders_is_bounded() -> None:
    memory = SenderMemory(ManualClock(), 5.0, 1.0)
    for number in range(10_001):
        memory.put("a", str(number), True)
    assert memory.get("a", "0") is None
    assert memory.get("a", "10000")


async def test_a_submission_is_carried_over_whole_and_emptied() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        one = submission(2)
        assert await client.submit(one) == one.submission_id
        assert one.content == b""
        ((item,),) = servicer.batches
        assert item == delivery_pb2.SubmitItem(
            submission_id=one.submission_id,
            account_id="account-shop",
            profile=common_pb2.PROFILE_RELAY,
            mail_from="news@shop.example",
            recipients=["x@example.com"],
            content=b"Subject: x\r\n\r\n",
            smtputf8=True,
            terms=3,
        )


async def test_submissions_meet_in_batches_and_one_failure_is_one_submissions() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        bad = submission(5, sender="bad@shop.example")
        given = [submission(number) for number in range(10, 50)]
        results = await asyncio.gather(*map(client.submit, [*given, bad]), return_exceptions=True)
        assert results[:-1] == [one.submission_id for one in given]
        assert isinstance(results[-1], DeniedError)
        assert results[-1].reason == "from_not_allowed"
        assert len(servicer.batches) < 10


@pytest.mark.parametrize("size", [100, 1024 * 1024])
@pytest.mark.parametrize("reason", ["unreachable", "deadline", "cancelled"])
async def test_a_submit_that_was_cut_off_is_made_again_with_the_same_ids(size: int, reason: str) -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        servicer.failures = [UnavailableError(reason)]
        one = submission(content=b"x" * size)
        assert await client.submit(one) == one.submission_id
        first, second = servicer.batches
        assert first == second
        assert len(second[0].content) == size


async def test_a_submit_that_is_cut_off_for_too_long_fails() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        servicer.failures = [UnavailableError("unreachable") for _ in range(200)]
        with pytest.raises(UnavailableError):
            await client.submit(submission())
        assert len(servicer.batches) > 1


async def test_a_submit_that_was_refused_as_a_whole_is_not_repeated() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        servicer.failures = [UnavailableError("store")]
        with pytest.raises(UnavailableError):
            await client.submit(submission())
        assert len(servicer.batches) == 1


async def test_large_submissions_go_alone_and_one_after_the_other() -> None:
    servicer, done = Delivery(), list[int]()
    async with delivery(servicer, done=done) as client:
        given = [submission(number, content=b"x" * 1024 * 1024) for number in (1, 2, 3)]
        assert await asyncio.gather(*map(client.submit, given)) == [one.submission_id for one in given]
        assert [len(batch) for batch in servicer.batches] == [1, 1, 1]
        assert len(done) == 3
        with pytest.raises(DeniedError):
            await client.submit(submission(4, "bad@shop.example", b"x" * 1024 * 1024))


async def test_an_answer_that_does_not_fit_is_a_failure() -> None:
    servicer = Delivery()
    servicer.short = True
    async with delivery(servicer) as client:
        for size in (10, 1024 * 1024):
            with pytest.raises(InternalError):
                await client.submit(submission(content=b"x" * size))
        with pytest.raises(InternalError):
            await client.may_send("a", "news@shop.example")


async def test_return_paths_meet_in_batches() -> None:
    servicer = Delivery()
    async with delivery(servicer) as client:
        addresses = [f"b-{number}@x" for number in range(20)] + ["other@x"]
        assert await asyncio.gather(*map(client.known, addresses)) == [True] * 20 + [False]
        assert len(servicer.asked) < 10


async def test_a_report_is_carried_over() -> None:
    servicer, done = Delivery(), list[int]()
    async with delivery(servicer, done=done) as client:
        await client.take("b-2@x", bytearray(b"x" * 1024 * 1024))
        assert len(servicer.reports.pop()[1]) == 1024 * 1024
        assert done
        await client.take("b-1@x", bytearray(b"Subject: x\r\n\r\n"))
        assert servicer.reports == [("b-1@x", b"Subject: x\r\n\r\n")]
        servicer.failures = [UnavailableError("unreachable")]
        with pytest.raises(UnavailableError):
            await client.take("b-1@x", bytearray(b"x"))
        assert len(servicer.reports) == 1
