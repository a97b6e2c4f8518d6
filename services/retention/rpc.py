"""The gRPC edge: who may call what, and which part answers. Parts answer in messages; nothing is decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Protocol

import grpc

from libs.rpc.server import RpcServer
from libs.runtime.errors import UnavailableError
from protos.retention.v1 import retention_pb2 as pb
from protos.retention.v1.retention_pb2_grpc import RetentionServicer, add_RetentionServicer_to_server

SERVICE = "sealpost.retention.v1.Retention"
CALLERS = frozenset(("gateway",))

_Context = grpc.aio.ServicerContext[object, object]


class VersionCalls(Protocol):
    """Versions of the policy; see the RPCs of these names. Raise what retention.proto says, and UnavailableError."""

    async def list_versions(self) -> pb.ListVersionsResponse: ...
    async def get_version(self, version: int) -> pb.PolicyVersion: ...
    async def announce(self, version: int, officer: str) -> pb.PolicyVersion: ...
    async def activate(self, version: int, officer: str) -> pb.PolicyVersion: ...
    async def withdraw(self, version: int, officer: str) -> pb.PolicyVersion: ...


class CaseCalls(Protocol):
    """Disclosure, transparency; see the RPCs of these names. Raise what retention.proto says, and UnavailableError."""

    async def open(self, request: pb.OpenCaseRequest) -> pb.Case: ...
    async def list(self, request: pb.ListCasesRequest) -> pb.ListCasesResponse: ...
    async def get(self, request: pb.CaseRequest) -> pb.Case: ...
    async def approve(self, request: pb.CaseRequest) -> pb.Case: ...
    async def refuse(self, request: pb.RefuseCaseRequest) -> pb.Case: ...
    def export(self, request: pb.CaseRequest) -> AsyncIterator[pb.ArchivePart]: ...
    async def close(self, request: pb.CaseRequest) -> pb.Case: ...
    async def transparency(self) -> pb.Transparency: ...
    async def list_told(self, account_id: str) -> pb.ListToldResponse: ...


class CoreCalls(Protocol):
    """Evidence, receipts, the ledger and the state; see the RPCs of these names."""

    async def evidence(self) -> pb.Evidence: ...
    async def receipt(self, token: str) -> pb.Receipt: ...
    async def roots(self, limit: int) -> pb.ListRootsResponse: ...
    def ledger(self, first: str, last: str) -> AsyncIterator[pb.LedgerPart]: ...
    async def state(self) -> pb.State: ...
    async def confirm_clock(self, officer: str) -> pb.State: ...
    async def run_probes(self, clause: str, officer: str) -> pb.Evidence: ...


@dataclass(frozen=True)
class Parts:
    """What the servicer passes calls on to."""

    core: CoreCalls
    versions: VersionCalls | None = None
    cases: CaseCalls | None = None


def serve_retention(server: RpcServer, parts: Parts, callers: Collection[str]) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`, and restrict its methods."""
    server.add(add_RetentionServicer_to_server, RetentionRpc(parts), SERVICE)
    for method in pb.DESCRIPTOR.services_by_name["Retention"].methods:
        server.restrict(f"/{SERVICE}/{method.name}", CALLERS & set(callers))


class RetentionRpc(RetentionServicer):
    """Implements sealpost.retention.v1.Retention."""

    def __init__(self, parts: Parts) -> None:
        """Serve from `parts`."""
        self._core = parts.core
        self._parts = parts

    @property
    def _versions(self) -> VersionCalls:
        if self._parts.versions is None:
            raise UnavailableError("versions")
        return self._parts.versions

    @property
    def _cases(self) -> CaseCalls:
        if self._parts.cases is None:
            raise UnavailableError("cases")
        return self._parts.cases

    async def GetEvidence(self, request: pb.GetEvidenceRequest, context: _Context) -> pb.Evidence:
        """Return what stands beside the sentences of the public page."""
        return await self._core.evidence()

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: _Context) -> pb.Receipt:
        """Return how far an erasure is, or its receipt."""
        return await self._core.receipt(request.token)

    async def ListRoots(self, request: pb.ListRootsRequest, context: _Context) -> pb.ListRootsResponse:
        """Return signed ends of days."""
        return await self._core.roots(request.limit)

    async def ReadLedger(self, request: pb.ReadLedgerRequest, context: _Context) -> AsyncIterator[pb.LedgerPart]:
        """Give the file that the verifier reads."""
        async for part in self._core.ledger(request.first, request.last):
            yield part

    async def GetState(self, request: pb.GetStateRequest, context: _Context) -> pb.State:
        """Return how retention is."""
        return await self._core.state()

    async def ConfirmClock(self, request: pb.ConfirmClockRequest, context: _Context) -> pb.State:
        """Take the clock as right."""
        return await self._core.confirm_clock(request.officer)

    async def RunProbes(self, request: pb.RunProbesRequest, context: _Context) -> pb.Evidence:
        """Run probes now."""
        return await self._core.run_probes(request.clause, request.officer)

    async def ListVersions(self, request: pb.ListVersionsRequest, context: _Context) -> pb.ListVersionsResponse:
        """Return the versions of the policy."""
        return await self._versions.list_versions()

    async def GetVersion(self, request: pb.GetVersionRequest, context: _Context) -> pb.PolicyVersion:
        """Return one of them with its document."""
        return await self._versions.get_version(request.version)

    async def AnnounceVersion(self, request: pb.VersionRequest, context: _Context) -> pb.PolicyVersion:
        """Start its notices."""
        return await self._versions.announce(request.version, request.officer)

    async def ActivateVersion(self, request: pb.VersionRequest, context: _Context) -> pb.PolicyVersion:
        """Put it in force."""
        return await self._versions.activate(request.version, request.officer)

    async def WithdrawVersion(self, request: pb.VersionRequest, context: _Context) -> pb.PolicyVersion:
        """Take it back."""
        return await self._versions.withdraw(request.version, request.officer)

    async def OpenCase(self, request: pb.OpenCaseRequest, context: _Context) -> pb.Case:
        """Open a disclosure case."""
        return await self._cases.open(request)

    async def ListCases(self, request: pb.ListCasesRequest, context: _Context) -> pb.ListCasesResponse:
        """Return the cases, newest first."""
        return await self._cases.list(request)

    async def GetCase(self, request: pb.CaseRequest, context: _Context) -> pb.Case:
        """Return one."""
        return await self._cases.get(request)

    async def ApproveCase(self, request: pb.CaseRequest, context: _Context) -> pb.Case:
        """Approve one, by a second officer."""
        return await self._cases.approve(request)

    async def RefuseCase(self, request: pb.RefuseCaseRequest, context: _Context) -> pb.Case:
        """Refuse one."""
        return await self._cases.refuse(request)

    async def ExportCase(self, request: pb.CaseRequest, context: _Context) -> AsyncIterator[pb.ArchivePart]:
        """Give the archive of an approved one."""
        async for part in self._cases.export(request):
            yield part

    async def CloseCase(self, request: pb.CaseRequest, context: _Context) -> pb.Case:
        """Close one."""
        return await self._cases.close(request)

    async def GetTransparency(self, request: pb.GetTransparencyRequest, context: _Context) -> pb.Transparency:
        """Return counts in bands."""
        return await self._cases.transparency()

    async def ListTold(self, request: pb.ListToldRequest, context: _Context) -> pb.ListToldResponse:
        """Return the disclosures that an account's owner has been told of."""
        return await self._cases.list_told(request.account_id)
