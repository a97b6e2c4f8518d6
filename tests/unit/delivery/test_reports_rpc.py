"""Reports and clicks over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.envelope import KeyEncryptionKeys, Vault
from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from libs.runtime.secret import Secret
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1 import delivery_pb2_grpc
from services.delivery.domain.model import Profile, State
from services.delivery.domain.ports import Kind
from services.delivery.domain.unsubscribe import Subscription, UnsubscribeLinks
from services.delivery.reports.unsubscribing import Unsubscribing
from services.delivery.rpc.reports import ReportParts, ReportsRpc
from tests.support.rpc import serve
from tests.unit.delivery.bounces import dsn, group
from tests.unit.delivery.test_taking import MAIL, OTHER, Bench

LINKS = UnsubscribeLinks(Vault(KeyEncryptionKeys({1: Secret(b"1" * 32)})), "https://mail.sealpost.test")
SERVICE = "sealpost.delivery.v1.Delivery"


class OnlyReports(ReportsRpc):
    """This part of the servicer alone."""

    def __init__(self, reports: ReportParts) -> None:
        self._reports = reports


@asynccontextmanager
async def stub(bench: Bench) -> AsyncIterator[delivery_pb2_grpc.DeliveryAsyncStub]:
    parts = ReportParts(bench.reports, Unsubscribing(LINKS, bench.happenings, bench.clock))
    servicer = OnlyReports(parts)  # type: ignore[abstract]  # the other parts are not called
    async with serve(
        (delivery_pb2_grpc.add_DeliveryServicer_to_server, servicer, SERVICE), "ingest", ("ingest",)
    ) as channel:
        yield delivery_pb2_grpc.DeliveryStub(channel)


async def test_return_paths_are_resolved_in_order() -> None:
    bench = Bench()
    addresses = [bench.paths.make(MAIL, 1), bench.paths.make(OTHER, 1), "x@y", bench.paths.make(MAIL)]
    async with stub(bench) as delivery:
        answer = await delivery.ResolveReturnPath(pb.ResolveReturnPathRequest(addresses=addresses), timeout=5)
        assert list(answer.known) == [True, False, False, True]
        with pytest.raises(InvalidError):
            await delivery.ResolveReturnPath(pb.ResolveReturnPathRequest(addresses=["x"] * 1001), timeout=5)


async def test_a_report_is_taken_and_noise_is_too() -> None:
    bench = Bench()
    async with stub(bench) as delivery:
        for address in (bench.paths.make(MAIL, 1), bench.paths.make(OTHER, 1), "x@y"):
            await delivery.TakeReport(pb.TakeReportRequest(address=address, content=dsn(group())), timeout=5)
        await delivery.TakeReport(pb.TakeReportRequest(address=bench.paths.make(MAIL, 1), content=b"\0"), timeout=5)
        assert bench.told == [(Kind.BOUNCED, "bob@example.net", "5.1.1")]
        assert bench.states[1] is State.BOUNCED
        bench.trails.fault = UnavailableError("store")
        with pytest.raises(UnavailableError):
            await delivery.TakeReport(pb.TakeReportRequest(address=bench.paths.make(MAIL, 1)), timeout=5)


async def test_a_click_counts_and_a_made_up_one_is_unknown() -> None:
    bench = Bench()
    token = LINKS.token(Subscription("a" * 32, Profile.RELAY, "autumn", MAIL, 1, "bob@example.net"))
    async with stub(bench) as delivery:
        await delivery.Unsubscribe(pb.UnsubscribeRequest(token=token), timeout=5)
        assert bench.told == [(Kind.UNSUBSCRIBED, "bob@example.net", "")]
        with pytest.raises(NotFoundError):
            await delivery.Unsubscribe(pb.UnsubscribeRequest(token=token[:-1]), timeout=5)
