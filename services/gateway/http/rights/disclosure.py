"""Cases of disclosure, for officers alone; to everybody else, operators included, there is nothing at these paths.

What an order gets is made by retention: mail as it is stored, sealed, and the few facts that the policy allows. Two
different officers are needed, one who opens a case and one who approves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from protos.retention.v1 import retention_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import require_id
from services.gateway.http.openapi import binary, errors
from services.gateway.http.rights import models, translate
from services.gateway.http.roles import DisclosureRoute, Holder

router = APIRouter(prefix="/v1/disclosure/cases", tags=["disclosure"], route_class=DisclosureRoute)
Limit = Annotated[int, Query(ge=1, le=200)]
# Of an archive, from beginning to end.
_ARCHIVE_SECONDS = 3600.0


@router.get("")
async def list_cases(caller: Holder, request: Request, limit: Limit = 50) -> models.CasesOut:
    """Return cases, the newest first."""
    peers = peers_of(request)
    wanted = pb.ListCasesRequest(officer=caller.account_id, limit=limit)
    found = await peers.retention.ListCases(wanted, timeout=peers.timeout)
    return models.CasesOut(cases=[translate.case(one) for one in found.cases])


@router.post("", status_code=201, responses=errors(400, 404))
async def open_case(given: models.CaseIn, caller: Holder, request: Request) -> models.Case:
    """Open a case for an order; another officer has to approve it."""
    peers = peers_of(request)
    wanted = pb.OpenCaseRequest(
        officer=caller.account_id,
        order_reference=given.order_reference,
        legal_basis=given.legal_basis,
        address=given.address,
        since=_seconds(given.since),
        until=_seconds(given.until),
        data_classes=given.data_classes,
        secret_until=_seconds(given.secret_until) if given.secret_until else 0,
    )
    return translate.case(await peers.retention.OpenCase(wanted, timeout=peers.timeout))


@router.get("/{case_id}")
async def get_case(case_id: str, caller: Holder, request: Request) -> models.Case:
    """Return one case."""
    peers = peers_of(request)
    return translate.case(await peers.retention.GetCase(_case(caller.account_id, case_id), timeout=peers.timeout))


@router.post("/{case_id}/approve", responses=errors(403, 409))
async def approve_case(case_id: str, caller: Holder, request: Request) -> models.Case:
    """Approve what another officer has opened."""
    peers = peers_of(request)
    return translate.case(await peers.retention.ApproveCase(_case(caller.account_id, case_id), timeout=peers.timeout))


@router.post("/{case_id}/refuse", responses=errors(409))
async def refuse_case(case_id: str, given: models.RefusalIn, caller: Holder, request: Request) -> models.Case:
    """Refuse it, with a reason."""
    peers = peers_of(request)
    wanted = pb.RefuseCaseRequest(officer=caller.account_id, case_id=require_id(case_id), reason=given.reason)
    return translate.case(await peers.retention.RefuseCase(wanted, timeout=peers.timeout))


@router.post("/{case_id}/close", responses=errors(409))
async def close_case(case_id: str, caller: Holder, request: Request) -> models.Case:
    """Close it."""
    peers = peers_of(request)
    return translate.case(await peers.retention.CloseCase(_case(caller.account_id, case_id), timeout=peers.timeout))


@router.get(
    "/{case_id}/archive",
    responses=errors(409) | binary("application/zip", "What the order gets."),
    response_class=StreamingResponse,
)
async def export_case(case_id: str, caller: Holder, request: Request) -> StreamingResponse:
    """Return the archive of an approved case; each time is recorded with the hash of what it held."""
    call = peers_of(request).retention.ExportCase(_case(caller.account_id, case_id), timeout=_ARCHIVE_SECONDS)
    parts = aiter(call)
    # Before anything is answered: a refusal is an error and not a broken archive.
    first = await anext(parts, None)

    async def content() -> AsyncIterator[bytes]:
        if first is not None:
            yield first.data
        async for part in parts:
            yield part.data

    name = f'attachment; filename="case-{require_id(case_id)}.zip"'
    return StreamingResponse(content(), media_type="application/zip", headers={"Content-Disposition": name})


def _case(officer: str, case_id: str) -> pb.CaseRequest:
    return pb.CaseRequest(officer=officer, case_id=require_id(case_id))


def _seconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp()))
