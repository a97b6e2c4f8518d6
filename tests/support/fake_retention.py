"""The service retention in memory, in the place of a stub or of a servicer: each RPC answers what it was told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from libs.policy import load_policy
from libs.policy.document import document, encoded
from libs.runtime.errors import NotFoundError
from protos.retention.v1 import retention_pb2 as pb

CASE = "d" * 32


def _version() -> pb.PolicyVersion:
    change = pb.Change(
        kind="retention",
        subject="public_mail",
        material=True,
        before="4 days",
        after="7 days",
        profiles=["public"],
    )
    return pb.PolicyVersion(
        version=2,
        state="proposed",
        proposed_at=1_795_000_000,
        material=True,
        changes=[change],
        replaces=1,
        document=b'{"version": 2}',
    )


def _in_force() -> pb.PolicyVersion:
    text = encoded(document(load_policy(), 1))
    return pb.PolicyVersion(version=1, state="active", activated_at=1_795_000_000, document=text)


def _case() -> pb.Case:
    return pb.Case(
        case_id=CASE,
        state="open",
        order_reference="Az. 1",
        legal_basis="court_order",
        address="ada@member.test",
        since=1_790_000_000,
        until=1_795_000_000,
        data_classes=["member_mail"],
        opened_at=1_795_000_000,
        opened_by_caller=True,
    )


def _evidence() -> pb.Evidence:
    return pb.Evidence(
        clauses=[pb.ClauseEvidence(clause="E4", result="pass", at=1_795_000_000, since=1_794_000_000)],
        classes=[pb.ClassEvidence(data_class="public_mail", count=3, first_due=1_795_100_000, at=1_795_000_000)],
        canaries=[pb.Canary(data_class="public_mail", planted=1_794_000_000, due=1_795_000_000, state="gone")],
        version=1,
    )


@dataclass(eq=False)
class FakeRetention:
    """`answers` by name of the RPC, or what makes one of the request; `errors` are raised instead.

    `asked` is every call with its request.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Answer everything with something plausible."""
        for name in ("OpenCase", "GetCase", "ApproveCase", "RefuseCase", "CloseCase"):
            self.answers.setdefault(name, _case())
        for name in ("AnnounceVersion", "ActivateVersion", "WithdrawVersion"):
            self.answers.setdefault(name, _version())
        self.answers.setdefault("GetVersion", _in_force())
        for name in ("GetEvidence", "RunProbes"):
            self.answers.setdefault(name, _evidence())
        for name in ("GetState", "ConfirmClock"):
            self.answers.setdefault(name, pb.State(leader=True))
        self.answers.setdefault("ListVersions", pb.ListVersionsResponse(versions=[_version()]))
        self.answers.setdefault("ListCases", pb.ListCasesResponse(cases=[_case()]))
        self.answers.setdefault("ListTold", pb.ListToldResponse())
        self.answers.setdefault("ListRoots", pb.ListRootsResponse())
        self.answers.setdefault("GetTransparency", pb.Transparency())
        self.answers.setdefault("ExportCase", [pb.ArchivePart(data=b"PK\x05\x06" + bytes(18))])
        self.answers.setdefault("ReadLedger", [pb.LedgerPart(data=b"{}\n")])
        self.errors.setdefault("GetReceipt", NotFoundError("receipt"))

    def __getattr__(self, name: str) -> Any:
        """Return the RPC of this name."""
        if name not in self.answers and name not in self.errors:
            raise AttributeError(name)

        async def stream(request: Any, context: Any = None, timeout: float = 0.0) -> AsyncIterator[Any]:
            for part in self._take(name, request):
                yield part

        if isinstance(self.answers.get(name), list):
            return stream

        async def call(request: Any, context: Any = None, timeout: float = 0.0) -> Any:
            return self._take(name, request)

        return call

    def _take(self, name: str, request: Any) -> Any:
        self.asked.append((name, request))
        if name in self.errors:
            raise self.errors[name]
        answer = self.answers[name]
        return answer(request) if callable(answer) else answer
