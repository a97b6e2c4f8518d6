"""Opens and clicks of a campaign, for whose it is: the switches, and what statistics have released about it.

A number leaves here as it was released, with the interval that holds the true one with a probability of 95 %. The sum
over days is the sum of the released numbers. Its interval is not the sum of theirs: the noise of each day is drawn by
itself, so variances add up. From the variance the normal interval is taken and widened for the heavier tails by the
fourth cumulant (Cornish and Fisher 1938); against the exact distribution it is never too narrow
(tests/unit/gateway/test_measuring.py, and test/operator-noise.test.ts of the page, which does the same).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from libs.runtime.clock import Clock, unix_seconds
from protos.analytics.v1 import analytics_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import measuring_models as models
from services.gateway.http.caller import Caller, peers_of, scoped_caller
from services.gateway.http.translate import at

router = APIRouter(prefix="/v1/campaigns", tags=["measuring"])
Sender = Annotated[Caller, Depends(scoped_caller("mail:send"))]
Days = Annotated[int, Query(ge=1, le=92, description="How many days, the present one included.")]
_DAY = 86400
_METRIC, _CUT = "campaign_responses", "by_campaign"
_Z = 1.959964


@router.get("/{campaign}/measuring")
async def get_measuring(campaign: str, caller: Sender, request: Request) -> models.Measuring:
    """Return what a campaign counts; nothing, unless it was switched on."""
    found = await _measuring(campaign, caller, request)
    return models.Measuring(opens=found.opens, clicks=found.clicks)


@router.put("/{campaign}/measuring")
async def put_measuring(
    campaign: str, measuring: models.MeasuringIn, caller: Sender, request: Request
) -> models.Measuring:
    """Switch the counting of opens and clicks on or off, for what of a campaign is sent from now on.

    Counted is mail with HTML of accounts that relay, to recipients elsewhere who have not asked not to be counted.
    """
    peers = peers_of(request)
    wanted = pb.PutMeasuringRequest(
        account_id=caller.account_id,
        campaign=campaign,
        opens=measuring.opens,
        clicks=measuring.clicks,
        terms=caller.terms,
    )
    found = await peers.delivery.PutMeasuring(wanted, timeout=peers.timeout)
    return models.Measuring(opens=found.opens, clicks=found.clicks)


@router.get("/{campaign}/responses")
async def get_responses(campaign: str, caller: Sender, request: Request, days: Days = 31) -> models.Responses:
    """Return how many recipients of a campaign opened its mails and followed its links on each day.

    Every number has random noise added once, so that it tells of no one recipient: the true one is within
    `half_width` of it with a probability of 95 %. Where there were too few to say, there is none.
    """
    found = await _measuring(campaign, caller, request)
    told = analytics_pb2.ReleasesResponse()
    if found.number:
        clock: Clock = request.app.state.clock
        now, peers = unix_seconds(clock), peers_of(request)
        wanted = analytics_pb2.KeyReleasesRequest(metric=_METRIC, cut=_CUT, key=found.number, until=now)
        setattr(wanted, "from", now - now % _DAY - (days - 1) * _DAY)
        told = await peers.analytics.KeyReleases(wanted, timeout=peers.timeout)
    rows = [_released(one) for one in told.releases]
    rows += [models.ResponseDay(day=at(one.start), state=_state(one.reason)) for one in told.missing]
    return models.Responses(
        measuring=models.Measuring(opens=found.opens, clicks=found.clicks),
        days=sorted(rows, key=lambda one: one.day),
        opens=_total(told.releases, "open"),
        clicks=_total(told.releases, "click"),
    )


def sum_half_width(scales: Sequence[float]) -> int:
    """Return what the sum of independent discrete Laplace noises stays within, either way, in 95 of 100 cases.

    `scales` has the scale of each; one alone is exact: P(|X| > t) = 2 q^(t+1) / (1 + q) with q = e^(-1/scale).
    """
    quotients = [math.exp(-1 / scale) for scale in scales if scale > 0]
    if not quotients:
        return 0
    if len(quotients) == 1:
        q = quotients[0]
        return max(0, math.ceil(math.log(0.05 * (1 + q) / 2) / math.log(q) - 1 - 1e-9))
    variance = math.fsum(2 * q / (1 - q) ** 2 for q in quotients)
    fourth = math.fsum(2 * q * (1 + 4 * q + q * q) / (1 - q) ** 4 for q in quotients)
    return math.ceil(math.sqrt(variance) * (_Z + fourth / variance**2 * (_Z**3 - 3 * _Z) / 24))


async def _measuring(campaign: str, caller: Caller, request: Request) -> pb.Measuring:
    peers = peers_of(request)
    # The account's own campaign of this name: another account's is another.
    wanted = pb.GetMeasuringRequest(account_id=caller.account_id, campaign=campaign)
    return await peers.delivery.GetMeasuring(wanted, timeout=peers.timeout)


def _released(found: analytics_pb2.Release) -> models.ResponseDay:
    return models.ResponseDay(
        day=at(found.start), state="released", opens=_count(found, "open"), clicks=_count(found, "click")
    )


def _count(found: analytics_pb2.Release, response: str) -> models.Count | None:
    for cell in found.cells:
        if list(cell.values) == [response]:
            return models.Count(value=cell.value, half_width=found.half_width)
    return None


def _total(found: Iterable[analytics_pb2.Release], response: str) -> models.Total | None:
    shown = [(one, count) for one in found if (count := _count(one, response)) is not None]
    if not shown:
        return None
    width = sum_half_width([one.scale for one, _ in shown])
    return models.Total(value=sum(count.value for _, count in shown), half_width=width, days=len(shown))


def _state(reason: str) -> models.State:
    return "open" if reason == "open" else "budget" if reason == "budget" else "lost"
