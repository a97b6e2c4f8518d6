"""Statistics for those who hold the role: what analytics has released, and what it has cost.

The gateway computes nothing: a number leaves here as it was released, with its interval, as JSON or as CSV. Who read
what is written down by analytics, with the read itself.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, NotFoundError
from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http import operator_models as models
from services.gateway.http import operator_translate as translate
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors
from services.gateway.http.operator_csv import MEDIA_TYPE, table_of
from services.gateway.http.roles import Holder, StaffRoute, StatisticsRoute
from services.gateway.http.translate import at

router = APIRouter(prefix="/v1/operator", tags=["statistics"], route_class=StatisticsRoute)
staff_router = APIRouter(prefix="/v1/operator", tags=["statistics"], route_class=StaffRoute)
From = Annotated[AwareDatetime | None, Query(alias="from", description="A day before `until` if left out.")]
Until = Annotated[AwareDatetime | None, Query(description="Now if left out; itself not included.")]
Days = Annotated[int, Query(ge=1, le=92)]
_USUAL, _LONGEST = 86400, 400 * 86400
_JSON = "application/json"
_CSV: dict[str, Any] = {"description": "The releases.", "content": {"text/csv": {"schema": {"type": "string"}}}}


@router.get("/statistics")
async def list_statistics(caller: Holder, request: Request) -> models.Catalogue:
    """Return what is counted, and in which cuts it is released."""
    peers = peers_of(request)
    found = await peers.analytics.Catalogue(pb.CatalogueRequest(), timeout=peers.timeout)
    return models.Catalogue(metrics=[translate.metric(one) for one in found.metrics])


@router.get("/statistics/{metric}/{cut}", response_model=models.Statistics, responses=errors(400, 404) | {200: _CSV})
async def read_statistics(
    metric: str,
    cut: str,
    caller: Holder,
    request: Request,
    since: From = None,
    until: Until = None,
    format: Literal["json", "csv"] | None = None,
) -> Response:
    """Return the releases of one cut whose windows begin within [from, until), as JSON, or CSV by `format` or Accept.

    Each is the true count with random noise added once, kept, and the same whenever it is read.
    """
    as_csv = format == "csv" or (format is None and _wants_csv(request.headers.get("accept", "")))
    begin, end = _range(request.app.state.clock, since, until)
    peers = peers_of(request)
    declared = _declared(await peers.analytics.Catalogue(pb.CatalogueRequest(), timeout=peers.timeout), metric, cut)
    wanted = pb.ReleasesRequest(metric=metric, cut=cut, reader=caller.account_id, export=as_csv)
    setattr(wanted, "from", begin)
    wanted.until = end
    found = await peers.analytics.Releases(wanted, timeout=peers.timeout)
    if not as_csv:
        # Aside, as the table below: a long range is work for a second, and others are served meanwhile.
        return Response(await asyncio.to_thread(translate.statistics, metric, declared, found), media_type=_JSON)
    # The names are analytics' own by now, not the path's.
    name = f"{metric}-{declared.name}-{at(begin):%Y%m%d}-{at(end):%Y%m%d}.csv"
    return Response(
        await asyncio.to_thread(table_of, declared, found),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@staff_router.get("/budget")
async def read_budget(caller: Holder, request: Request, days: Days = 31) -> models.Budget:
    """Return what each day has spent of its privacy budget, the present day first."""
    peers = peers_of(request)
    wanted = pb.BudgetRequest(days=days, reader=caller.account_id)
    found = await peers.analytics.Budget(wanted, timeout=peers.timeout)
    return models.Budget(days=[translate.budget_day(one) for one in found.days])


def _range(clock: Clock, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    end = unix_seconds(clock) if until is None else int(until.timestamp())
    begin = end - _USUAL if since is None else int(since.timestamp())
    if not 0 <= begin < end <= begin + _LONGEST:
        raise InvalidError("range_invalid")
    return begin, end


def _declared(catalogue: pb.CatalogueResponse, metric: str, cut: str) -> pb.Cut:
    for one in catalogue.metrics:
        for declared in one.cuts:
            if (one.name, declared.name) == (metric, cut):
                return declared
    raise NotFoundError("cut_unknown")


def _wants_csv(accepted: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accepted.split(",")[:16]]
    return "text/csv" in kinds and "application/json" not in kinds
