"""Reports about mail that went out: which addresses take them, what comes in at them, and who clicked in a mail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc

from libs.runtime.errors import InvalidError
from libs.telemetry import metrics
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.reports.taking import Reports, Taken
from services.delivery.reports.unsubscribing import Unsubscribing

MAX_ADDRESSES = 1000

_TAKEN = metrics.counter(
    "sealpost_delivery_reports_total",
    "Mails that came to return paths, by what they were.",
    {"outcome": tuple(taken.value for taken in Taken)},
)

_Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class ReportParts:
    """What this part of the servicer works with."""

    reports: Reports
    unsubscribing: Unsubscribing


class ReportsRpc(DeliveryServicer):
    """ResolveReturnPath, TakeReport, Unsubscribe."""

    _reports: ReportParts

    async def ResolveReturnPath(
        self, request: pb.ResolveReturnPathRequest, context: _Context
    ) -> pb.ResolveReturnPathResponse:
        """Tell of each address whether reports are expected there."""
        if len(request.addresses) > MAX_ADDRESSES:
            raise InvalidError("too_many_addresses")
        known = await asyncio.gather(*map(self._reports.reports.known, request.addresses))
        return pb.ResolveReturnPathResponse(known=known)

    async def TakeReport(self, request: pb.TakeReportRequest, context: _Context) -> pb.TakeReportResponse:
        """Take a mail that came to a return path; noise is taken as well, and counted."""
        taken = await self._reports.reports.take(request.address, request.content)
        _TAKEN.inc(outcome=taken.value)
        return pb.TakeReportResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: _Context) -> pb.UnsubscribeResponse:
        """Take the recipient whom a token names off the account's lists."""
        await self._reports.unsubscribing.unsubscribe(request.token)
        return pb.UnsubscribeResponse()
