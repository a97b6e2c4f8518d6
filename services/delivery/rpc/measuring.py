"""Opens and clicks: what a campaign counts, links that are followed, and who is not to be counted."""

from __future__ import annotations

import grpc

from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.measuring.campaigns import Measuring
from services.delivery.measuring.measure import Measure
from services.delivery.rpc.customers import account_of

_Context = grpc.aio.ServicerContext[object, object]


class MeasuringRpc(DeliveryServicer):
    """GetMeasuring, PutMeasuring, FollowLink, CountNoMore."""

    _measure: Measure

    async def GetMeasuring(self, request: pb.GetMeasuringRequest, context: _Context) -> pb.Measuring:
        """Tell what a campaign counts."""
        return _measuring(await self._measure.campaigns.get(account_of(request.account_id), request.campaign))

    async def PutMeasuring(self, request: pb.PutMeasuringRequest, context: _Context) -> pb.Measuring:
        """Set what a campaign counts."""
        account_id, campaigns = account_of(request.account_id), self._measure.campaigns
        return _measuring(
            await campaigns.put(
                account_id, request.campaign, opens=request.opens, clicks=request.clicks, terms=request.terms
            )
        )

    async def FollowLink(self, request: pb.FollowLinkRequest, context: _Context) -> pb.FollowLinkResponse:
        """Tell where a link leads, and count it."""
        return pb.FollowLinkResponse(target=self._measure.follow(request.token, count=request.count).target)

    async def CountNoMore(self, request: pb.CountNoMoreRequest, context: _Context) -> pb.CountNoMoreResponse:
        """Note that a recipient does not want to be counted."""
        await self._measure.count_no_more(request.token)
        return pb.CountNoMoreResponse()


def _measuring(one: Measuring) -> pb.Measuring:
    return pb.Measuring(opens=one.opens, clicks=one.clicks, number=one.number)
