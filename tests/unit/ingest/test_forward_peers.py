"""The gRPC client of forwarding: what goes over, what a cut-off call does, and what return paths are refused for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.mail.verdict import Verdict
from libs.runtime.errors import DeniedError, InvalidError, SealpostError, UnavailableError
from protos.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from services.ingest.forwarding import ForwardCopy
from services.ingest.peers import DeliveryClient, SenderMemory
from tests.support.clock import ManualClock
from tests.support.rpc import serve

# It has more methods than are called from here.
DeliveryBase: Any = delivery_pb2_grpc.DeliveryServicer
COPY = ForwardCopy(
    account_id="a" * 32,
    domain="sealpost.test",
    sender="ada@example.org",
    recipients=("a@x.example", "b@y.example"),
    digest=b"d" * 32,
    verdict=Verdict("pass", "fail", "none", "spf=pass", "pass"),
    content=b"Subject: x\r\n\r\nText\r\n",
    smtputf8=True,
    terms=3,
)


class Delivery(DeliveryBase):  # type: ignore[misc]
    def __init__(self) -> None:
        self.forwarded: list[Any] = []
        self.withdrawn: list[Any] = []
        self.failures: list[SealpostError] = []
        self.limited = False

    async def Forward(self, request: Any, context: Any) -> Any:
        self.forwarded.append(request)
        if self.failures:
            raise self.failures.pop(0)
        return delivery_pb2.ForwardResponse(limited=self.limited)

    async def WithdrawForward(self, request: Any, context: Any) -> Any:
        self.withdrawn.append(request)
        return delivery_pb2.WithdrawForwardResponse()

    async def ResolveReturnPath(self, request: Any, context: Any) -> Any:
        known = [address.startswith("good") for address in request.addresses]
        why = ["return_path_used" if address.startswith("SRS0") else "" for address in request.addresses]
        return delivery_pb2.ResolveReturnPathResponse(known=known, refusals=why)


@asynccontextmanager
async def client_of(delivery: Delivery) -> AsyncIterator[DeliveryClient]:
    registration = (
        delivery_pb2_grpc.add_DeliveryServicer_to_server, delivery, "sealpost.delivery.v1.Delivery",
    )  # fmt: skip
    async with serve(registration, caller="ingest", callers=("ingest",)) as channel:
        stub = delivery_pb2_grpc.DeliveryStub(channel)
        client = DeliveryClient(stub, SenderMemory(ManualClock(), 5.0, 1.0), lambda: None, settle_seconds=2.0)
        yield client
        await client.close()


async def test_everything_goes_over() -> None:
    delivery = Delivery()
    async with client_of(delivery) as client:
        assert await client.forward(COPY)
        (got,) = delivery.forwarded
        assert (got.account_id, got.domain, got.mail_from) == (COPY.account_id, COPY.domain, COPY.sender)
        assert (tuple(got.recipients), got.content, got.digest) == (COPY.recipients, COPY.content, COPY.digest)
        assert got.smtputf8
        assert got.terms == COPY.terms
        checks = got.checks
        assert (checks.spf, checks.dkim, checks.dmarc, checks.arc) == ("pass", "fail", "none", "pass")
        assert checks.results == "spf=pass"
        await client.withdraw(COPY)
        assert (delivery.withdrawn[0].account_id, delivery.withdrawn[0].digest) == (COPY.account_id, COPY.digest)


async def test_used_up_for_the_day() -> None:
    delivery = Delivery()
    delivery.limited = True
    async with client_of(delivery) as client:
        assert not await client.forward(COPY)


async def test_a_call_that_is_cut_off_is_made_again() -> None:
    delivery = Delivery()
    delivery.failures = [UnavailableError("unreachable")]
    async with client_of(delivery) as client:
        assert await client.forward(COPY)
    assert len(delivery.forwarded) == 2


async def test_a_refusal_is_not() -> None:
    delivery = Delivery()
    delivery.failures = [DeniedError("caller")]
    async with client_of(delivery) as client:
        with pytest.raises(DeniedError):
            await client.forward(COPY)
    assert len(delivery.forwarded) == 1


async def test_return_paths_have_answers_of_their_own() -> None:
    async with client_of(Delivery()) as client:
        assert await client.known("good@bounces.sealpost.test")
        assert not await client.known("b-other@bounces.sealpost.test")
        with pytest.raises(InvalidError) as caught:
            await client.known("SRS0=x@bounces.sealpost.test")
        assert caught.value.reason == "return_path_used"
