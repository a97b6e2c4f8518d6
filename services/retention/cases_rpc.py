"""Disclosure and transparency on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from protos.retention.v1 import retention_pb2 as pb
from services.retention.domain.cases import Case, Order
from services.retention.domain.cases_archive import Archives
from services.retention.domain.cases_book import Cases, Tools
from services.retention.domain.transparency import HalfYear, Transparency, band


class CasesRpc:
    """rpc.CaseCalls."""

    def __init__(self, cases: Cases, tools: Tools, archives: Archives, transparency: Transparency) -> None:
        """Answer from `cases`."""
        self._cases = cases
        self._tools = tools
        self._archives = archives
        self._transparency = transparency

    async def open(self, request: pb.OpenCaseRequest) -> pb.Case:
        """See CaseCalls."""
        order = Order(
            reference=request.order_reference,
            legal_basis=request.legal_basis,
            address=request.address,
            since=request.since,
            until=request.until,
            data_classes=tuple(request.data_classes),
            secret_until=request.secret_until,
        )
        return self._answer(await self._cases.open(request.officer, order), request.officer)

    async def list(self, request: pb.ListCasesRequest) -> pb.ListCasesResponse:
        """See CaseCalls."""
        found = await self._cases.newest(request.limit)
        return pb.ListCasesResponse(cases=[self._answer(one, request.officer) for one in found])

    async def get(self, request: pb.CaseRequest) -> pb.Case:
        """See CaseCalls."""
        return self._answer(await self._cases.get(request.case_id), request.officer)

    async def approve(self, request: pb.CaseRequest) -> pb.Case:
        """See CaseCalls."""
        return self._answer(await self._cases.approve(request.officer, request.case_id), request.officer)

    async def refuse(self, request: pb.RefuseCaseRequest) -> pb.Case:
        """See CaseCalls."""
        found = await self._cases.refuse(request.officer, request.case_id, request.reason)
        return self._answer(found, request.officer)

    async def export(self, request: pb.CaseRequest) -> AsyncIterator[pb.ArchivePart]:
        """See CaseCalls."""
        allowed = await self._tools.allowed()
        async for piece in self._archives.stream(request.officer, request.case_id, allowed):
            yield pb.ArchivePart(data=piece)

    async def close(self, request: pb.CaseRequest) -> pb.Case:
        """See CaseCalls."""
        return self._answer(await self._cases.close(request.officer, request.case_id), request.officer)

    async def transparency(self) -> pb.Transparency:
        """See CaseCalls."""
        halves = await self._transparency.report(unix_seconds(self._archives.clock))
        return pb.Transparency(half_years=[_half(half) for half in halves])

    async def list_told(self, account_id: str) -> pb.ListToldResponse:
        """See CaseCalls."""
        if not is_id(account_id):
            raise InvalidError("account_id")
        return pb.ListToldResponse(told=[_told(case) for case in await self._cases.told(account_id)])

    def _answer(self, case: Case, officer: str) -> pb.Case:
        shown = self._cases.shown(case, officer)
        return pb.Case(
            case_id=case.case_id,
            state=case.state.value,
            order_reference=shown.order_reference,
            legal_basis=case.legal_basis,
            address=shown.address,
            since=case.since,
            until=case.until,
            data_classes=case.data_classes,
            secret_until=case.secret_until,
            opened_at=case.opened_at,
            decided_at=case.decided_at,
            exported_at=case.exported_at,
            told_at=case.told_at,
            opened_by_caller=shown.opened_by_caller,
            archive_hash=case.archive_hash,
            archive_size=case.archive_size,
            refusal=shown.refusal,
        )


def _half(half: HalfYear) -> pb.HalfYear:
    return pb.HalfYear(
        name=half.name,
        asked=band(half.counts.get("asked", 0)),
        granted=band(half.counts.get("granted", 0)),
        refused=band(half.counts.get("refused", 0)),
        accounts=band(half.counts.get("accounts", 0)),
        untold=band(half.counts.get("untold", 0)),
    )


def _told(case: Case) -> pb.Told:
    return pb.Told(
        case_id=case.case_id,
        decided_at=case.decided_at,
        told_at=case.told_at,
        legal_basis=case.legal_basis,
        since=case.since,
        until=case.until,
        data_classes=case.data_classes,
    )
