"""What an account's owner sees of billing: plans, how the account stands, what it used, who pays, its book."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request

from libs.runtime.clock import Clock
from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from services.gateway.http.accounts import InSession
from services.gateway.http.billing import models, translate
from services.gateway.http.billing.peer import Cursor, Limit, account_of, billing_of
from services.gateway.http.openapi import errors

router = APIRouter(prefix="/v1/billing", tags=["billing"])
First = Annotated[
    date | None, Query(alias="from", description="The first day, UTC; 30 days before the last if left out.")
]
Last = Annotated[date | None, Query(alias="until", description="The last day, UTC; today if left out.")]
_DAYS, _MOST_DAYS = 30, 400
_FIRST_OF_ALL = date(1970, 1, 1)


@router.get("/catalogue")
async def get_catalogue(caller: InSession, request: Request) -> models.Offers:
    """Return the plans that there are for accounts of this kind, and what credits can be bought for."""
    billing, timeout = billing_of(request)
    wanted = pb.GetCatalogueRequest(profile=caller.profile)
    return translate.catalogue(await billing.GetCatalogue(wanted, timeout=timeout))


@router.get("/standing")
async def get_standing(caller: InSession, request: Request) -> models.Standing:
    """Return plan, what is used of it, credits, and what is due until when."""
    billing, timeout = billing_of(request)
    return translate.standing(await billing.GetStanding(account_of(caller), timeout=timeout))


@router.put("/plan", responses=errors(400, 409))
async def change_plan(given: models.PlanIn, caller: InSession, request: Request) -> models.Standing:
    """Change the plan: at once where there is more, at the end of the month where there is less.

    The plan that the account has takes a planned change back.
    """
    billing, timeout = billing_of(request)
    wanted = pb.ChangePlanRequest(account=account_of(caller), plan=given.plan)
    return translate.standing(await billing.ChangePlan(wanted, timeout=timeout))


@router.delete("/plan", responses=errors(409))
async def cancel_plan(caller: InSession, request: Request) -> models.Standing:
    """Go back to the plan that costs nothing, at the end of what is paid for."""
    billing, timeout = billing_of(request)
    return translate.standing(await billing.CancelPlan(account_of(caller), timeout=timeout))


@router.get("/usage", responses=errors(400))
async def get_usage(caller: InSession, request: Request, first: First = None, last: Last = None) -> models.Usage:
    """Return what was used, by day and meter; 400 days at most."""
    billing, timeout = billing_of(request)
    clock: Clock = request.app.state.clock
    last = last or clock.now().date()
    first = first or max(_FIRST_OF_ALL, last - timedelta(days=_DAYS))
    if not _FIRST_OF_ALL <= first <= last or (last - first).days >= _MOST_DAYS:
        raise InvalidError("usage_range")
    wanted = pb.GetUsageRequest(
        account=account_of(caller), first_day=translate.number_of(first), last_day=translate.number_of(last)
    )
    return translate.usage(await billing.GetUsage(wanted, timeout=timeout))


@router.get("/details")
async def get_details(caller: InSession, request: Request) -> models.Details:
    """Return who pays, as invoices name him."""
    billing, timeout = billing_of(request)
    return translate.details(await billing.GetDetails(account_of(caller), timeout=timeout))


@router.put("/details", responses=errors(400, 409))
async def put_details(given: models.DetailsIn, caller: InSession, request: Request) -> models.Details:
    """Say who pays; invoices from now on name him. Kept sealed."""
    billing, timeout = billing_of(request)
    told = pb.Details(name=given.name, address_lines=given.address_lines, country=given.country, vat_id=given.vat_id)
    wanted = pb.PutDetailsRequest(account=account_of(caller), details=told)
    return translate.details(await billing.PutDetails(wanted, timeout=timeout))


@router.get("/entries")
async def list_entries(
    caller: InSession, request: Request, limit: Limit = 50, cursor: Cursor = ""
) -> models.BookEntries:
    """Return what happened to credits and to what is due, newest first."""
    billing, timeout = billing_of(request)
    wanted = pb.ListEntriesRequest(account=account_of(caller), limit=limit, cursor=cursor)
    found = await billing.ListEntries(wanted, timeout=timeout)
    return models.BookEntries(
        entries=[translate.entry(one) for one in found.entries], next_cursor=found.next_cursor or None
    )
