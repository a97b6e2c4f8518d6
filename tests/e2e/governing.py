"""What retention would answer to operators, officers and readers of the policy: invented, changed by what is asked.

Versions 1 (in force) and 2 (proposed, keeping public mail for longer); evidence with one promise that does not hold and
one class past its time; cases that need two officers.
"""

from __future__ import annotations

import copy
import hashlib
import io
import zipfile
from typing import Any

from libs.policy import load_policy
from libs.policy.document import document, encoded
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import DeniedError, NotFoundError
from libs.runtime.ids import new_id
from protos.retention.v1 import retention_pb2 as pb
from tests.support.fake_retention import FakeRetention

DAY = 86_400
ARCHIVE = "mail/sealed.mbox"
LONGER = 7 * DAY


class Governing:
    """Puts its answers in the place of those of `retention`."""

    def __init__(self, retention: FakeRetention) -> None:
        self.now = unix_seconds(SystemClock())
        policy = load_policy()
        self.documents = {1: document(policy, 1), 2: document(policy, 2, {"public_mail_seconds": LONGER})}
        self.versions = {1: self._version(1, "active"), 2: self._version(2, "proposed")}
        self.cases: dict[str, pb.Case] = {}
        self._opened_by: dict[str, str] = {}
        self.evidence, self.state = self._evidence(), self._state()
        retention.errors.pop("GetReceipt", None)
        retention.answers |= {
            "GetVersion": lambda request: self._found(request.version or 1),
            "ListVersions": lambda _: pb.ListVersionsResponse(versions=[self.versions[2], self.versions[1]]),
            "AnnounceVersion": lambda request: self._step(request.version, "announced"),
            "ActivateVersion": lambda request: self._step(request.version, "active"),
            "WithdrawVersion": lambda request: self._step(request.version, "withdrawn"),
            "GetEvidence": lambda _: self.evidence,
            "RunProbes": self._look,
            "GetState": lambda _: self.state,
            "ConfirmClock": lambda _: self._confirmed(),
            "GetTransparency": pb.Transparency(
                half_years=[
                    pb.HalfYear(name="2026-H2", asked="1-9", granted="1-9", refused="0", accounts="1-9", untold="0")
                ]
            ),
            "GetReceipt": self._receipt,
            "OpenCase": self._open,
            "ListCases": lambda request: pb.ListCasesResponse(
                cases=[self._seen(one, request.officer) for one in reversed(self.cases.values())]
            ),
            "GetCase": lambda request: self._seen(self.cases[request.case_id], request.officer),
            "ApproveCase": self._approve,
            "RefuseCase": lambda request: self._decide(request, "refused", refusal=request.reason),
            "CloseCase": lambda request: self._decide(request, "closed"),
            "ExportCase": self._export,
            "ListTold": lambda _: pb.ListToldResponse(told=[self._told()]),
        }

    def _version(self, number: int, state: str) -> pb.PolicyVersion:
        known = pb.PolicyVersion(
            version=number,
            state=state,
            proposed_at=self.now - 40 * DAY // number,
            document=encoded(self.documents[number]),
        )
        if number == 1:
            known.activated_at = self.now - 39 * DAY
            return known
        known.material, known.replaces = True, 1
        before, after = (self.documents[one]["classes"]["public_mail"]["retention"]["text"] for one in (1, 2))
        known.changes.extend(
            [
                pb.Change(
                    kind="retention",
                    subject="public_mail",
                    material=True,
                    before=before,
                    after=after,
                    profiles=["public"],
                ),
                pb.Change(
                    kind="clause",
                    subject="E1",
                    before="Nothing is sold.",
                    after="Nothing is sold or rented.",
                    profiles=["sealed", "public"],
                ),
            ]
        )
        return known

    def _found(self, number: int) -> pb.PolicyVersion:
        if number not in self.versions:
            raise NotFoundError("policy_version")
        return self.versions[number]

    def _step(self, number: int, state: str) -> pb.PolicyVersion:
        known = self.versions[number]
        known.state = state
        if state == "announced":
            known.announced_at, known.earliest, known.noticed = self.now, self.now + 30 * DAY, 1204
        return known

    def _evidence(self) -> pb.Evidence:
        text = self.documents[1]
        standing = [one for one in text["clauses"] if not one["pending"]]
        clauses = [
            pb.ClauseEvidence(clause=one["id"], result="pass", at=self.now - 240 - 60 * i, since=self.now - 9 * DAY)
            for i, one in enumerate(standing)
        ]
        clauses[3].result, clauses[3].detail = "fail", "canary_missed"
        classes = []
        for i, (name, one) in enumerate(text["classes"].items()):
            limits = [value for rule, value in one["retention"]["rules"].items() if rule.endswith("_seconds")]
            left = max(limits) * (i * 37 % 100) // 100 if limits else 0
            classes.append(
                pb.ClassEvidence(
                    data_class=name,
                    count=i * i * 311 % 9001,
                    first_due=self.now + left if limits else 0,
                    at=self.now - 30,
                    last_sweep=self.now - 40,
                )
            )
        next(one for one in classes if one.data_class == "public_mail").overdue = 7200
        canaries = [
            pb.Canary(data_class=name, planted=self.now - 5 * DAY, due=self.now - DAY, state=state)
            for name, state in (("public_mail", "gone"), ("public_mail", "missed"), ("preferences", "waiting"))
        ]
        return pb.Evidence(clauses=clauses, classes=classes, canaries=canaries, version=1)

    def _state(self) -> pb.State:
        sweeps = [
            pb.Sweep(service=one["service"], data_class=name, at=self.now - 40, deleted=len(name) % 5 * 120)
            for name, one in self.documents[1]["classes"].items()
        ]
        return pb.State(
            leader=True, clock_held=True, clock_moved=3 * DAY, sweeps=sweeps, erasures_waiting=3, last_round=40
        )

    def _confirmed(self) -> pb.State:
        self.state.clock_held = False
        return self.state

    def _look(self, request: pb.RunProbesRequest) -> pb.Evidence:
        for one in self.evidence.clauses:
            if request.clause in ("", one.clause):
                one.result, one.detail, one.at = "pass", "", self.now
        return self.evidence

    def _receipt(self, _: Any) -> pb.Receipt:
        lines = [
            pb.ReceiptLine(service="storage", data_class="member_mail", count=3),
            pb.ReceiptLine(service="crypto", data_class="account_key", count=1, keys=1),
        ]
        return pb.Receipt(
            state="done",
            asked_at=self.now - 15 * DAY,
            due=self.now - DAY,
            keys_gone_at=self.now - DAY,
            done_at=self.now - DAY + 60,
            lines=lines,
            entry=412,
        )

    def _open(self, request: pb.OpenCaseRequest) -> pb.Case:
        case = pb.Case(
            case_id=new_id(),
            state="open",
            order_reference=request.order_reference,
            legal_basis=request.legal_basis,
            address=request.address,
            since=request.since,
            until=request.until,
            data_classes=request.data_classes,
            secret_until=request.secret_until,
            opened_at=self.now,
        )
        self.cases[case.case_id], self._opened_by[case.case_id] = case, request.officer
        return self._seen(case, request.officer)

    def _seen(self, case: pb.Case, officer: str) -> pb.Case:
        seen = copy.deepcopy(case)
        seen.opened_by_caller = self._opened_by[case.case_id] == officer
        return seen

    def _approve(self, request: pb.CaseRequest) -> pb.Case:
        if self._opened_by[request.case_id] == request.officer:
            raise DeniedError("same_officer")
        return self._decide(request, "approved")

    def _decide(self, request: Any, state: str, refusal: str = "") -> pb.Case:
        case = self.cases[request.case_id]
        case.state, case.decided_at, case.refusal = state, self.now, refusal
        return self._seen(case, request.officer)

    def _export(self, request: pb.CaseRequest) -> list[pb.ArchivePart]:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(ARCHIVE, "sealed")
        case, data = self.cases[request.case_id], packed.getvalue()
        case.state, case.exported_at = "exported", self.now
        case.archive_hash, case.archive_size = hashlib.sha256(data).digest(), len(data)
        return [pb.ArchivePart(data=data)]

    def _told(self) -> pb.Told:
        return pb.Told(
            case_id="c" * 32,
            decided_at=self.now - 90 * DAY,
            told_at=self.now - 2 * DAY,
            legal_basis="court_order",
            since=self.now - 120 * DAY,
            until=self.now - 100 * DAY,
            data_classes=["member_mail"],
        )
