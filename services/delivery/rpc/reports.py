"""Reports about mail that went out: which addresses take them, what comes in at them, and who clicked in a mail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc

from libs.runtime.errors import InvalidError
from libs.telemetry import metrics
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.forwards.returning import Returning
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
    # None where nothing is forwarded.
    returning: Returning | None = None


class ReportsRpc(DeliveryServicer):
    """ResolveReturnPath, TakeReport, Unsubscribe."""

    _reports: ReportParts

    async def ResolveReturnPath(
        self, request: pb.ResolveReturnPathRequest, context: _Context
    ) -> pb.ResolveReturnPathResponse:
        """Tell of each address whether reports are expected there."""
        if len(request.addresses) > MAX_ADDRESSES:
            raise InvalidError("too_many_addresses")
        found = await asyncio.gather(*map(self._resolve, request.addresses))
        return pb.ResolveReturnPathResponse(known=[known for known, _ in found], refusals=[why for _, why in found])

    async def TakeReport(self, request: pb.TakeReportRequest, context: _Context) -> pb.TakeReportResponse:
        """Take a mail that came to a return path; noise is taken as well, and counted."""
        reports, returning = self._reports.reports, self._reports.returning
        taker = returning if returning is not None and returning.is_one(request.address) else reports
        taken = await taker.take(request.address, request.content)
        _TAKEN.inc(outcome=taken.value)
        return pb.TakeReportResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: _Context) -> pb.UnsubscribeResponse:
        """Take the recipient whom a token names off the account's lists."""
        await self._reports.unsubscribing.unsubscribe(request.token)
        return pb.UnsubscribeResponse()

    async def _resolve(self, address: str) -> tuple[bool, str]:
        """Return whether something is taken at an address, and of forwarded mail why not."""
        returning = self._reports.returning
        if returning is not None and returning.is_one(address):
            why = await returning.refusal(address)
            return not why, why
        return await self._reports.reports.known(address), ""
