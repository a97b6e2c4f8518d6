"""Rights over HTTP: what goes to accounts and retention, what comes back, and who may call what."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from libs.runtime.errors import ConflictError, DeniedError, NotFoundError, UnavailableError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.retention.v1 import retention_pb2
from tests.support.fake_retention import CASE
from tests.unit.gateway.fakes import FakeAccounts, Gateway, gateway

ADA = "c" * 32
ID = "e" * 32
PROOF = {"current_authentication_key": base64.b64encode(b"k" * 32).decode()}
_CONCERN = pb.Concern(
    concern_id=ID,
    state="open",
    about="correction",
    opened_at=1_795_000_000,
    changed_at=1_795_000_001,
    entries=[pb.ConcernEntry(by_staff=False, at=1_795_000_000, text="My name is wrong.")],
    address="ada@member.test",
)
_RIGHTS = pb.Rights(
    consents=[pb.Consent(purpose="newsletter", given=True, at=1_795_000_000)],
    notice=pb.Notice(version=2, noticed_at=1_795_000_000, effective=1_797_592_000),
    terms=1,
)
_ANSWERS: dict[str, Any] = {
    "GetRights": _RIGHTS,
    "PutConsents": _RIGHTS,
    "PutContact": _RIGHTS,
    "AnswerNotice": _RIGHTS,
    "RequestErasure": pb.Erasure(asked_at=1_795_000_000, due=1_796_209_600, receipt_token="r" * 43),
    "CancelErasure": pb.CancelErasureResponse(),
    "OpenConcern": _CONCERN,
    "GetConcern": _CONCERN,
    "AddToConcern": _CONCERN,
    "CloseConcern": _CONCERN,
    "ListConcerns": pb.ListConcernsResponse(concerns=[_CONCERN]),
}


@dataclass
class Accounts(FakeAccounts):
    """Answers what is asked about rights, or fails by the name of the call; the session's account has `roles`."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)

    async def Authenticate(self, request: pb.AuthenticateRequest, timeout: float) -> pb.Principal:
        found = await super().Authenticate(request, timeout)
        found.roles.extend(self.roles)
        return found

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _ANSWERS:
            raise AttributeError(name)

        async def call(request: Any, timeout: float) -> Any:
            self.asked.append((name, request))
            if name in self.errors:
                raise self.errors[name]
            return _ANSWERS[name]

        return call


@dataclass
class Site:
    """A gateway and the fakes behind it."""

    gateway: Gateway
    accounts: Accounts

    async def ask(self, method: str, path: str, form: Any = None) -> Any:
        """Return the answer."""
        return await self.gateway.client.request(method, path, json=form)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A gateway whose client is signed in."""
    async with gateway(tmp_path) as made:
        accounts = Accounts()
        state = cast(Any, made.app).app.state
        state.peers = replace(state.peers, accounts=cast(Any, accounts))
        made.sign_in()
        yield Site(made, accounts)


async def test_rights_are_told_with_what_was_never_answered_as_off(site: Site) -> None:
    answer = (await site.ask("GET", "/v1/rights")).json()
    assert answer["consents"]["newsletter"]["given"] is True
    assert answer["consents"]["contact"] == {"given": False, "changed": None}
    assert answer["erasure"] is None
    assert (answer["notice"]["version"], answer["notice"]["answer"], answer["terms"]) == (2, "", 1)
    assert answer["notice"]["effective"].startswith("2026-12-18")


async def test_a_consent_that_is_not_named_is_not_touched(site: Site) -> None:
    assert (await site.ask("PUT", "/v1/rights/consents", {"contact": False})).status_code == 200
    ((name, request),) = site.accounts.asked
    assert name == "PutConsents"
    assert [(one.purpose, one.given) for one in request.consents] == [("contact", False)]
    assert request.account_id == ADA


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PUT", "/v1/rights/consents", {"marketing": True}),
        ("PUT", "/v1/rights/contact", {}),
        ("PUT", "/v1/rights/contact", {"contact": "x" * 321}),
        ("POST", "/v1/rights/notice", {"version": 0, "accept": True}),
        ("POST", "/v1/rights/notice", {"version": 1}),
        ("POST", "/v1/account/erasure", {}),
        ("POST", "/v1/account/erasure", {"current_authentication_key": "AAAA"}),
        ("POST", "/v1/concerns", {"about": "weather", "text": "x"}),
        ("POST", "/v1/concerns", {"about": "other", "text": ""}),
        ("POST", f"/v1/concerns/{ID}", {"text": "x" * 5001}),
    ],
)
async def test_forms_that_are_wrong_reach_nobody(site: Site, method: str, path: str, form: Any) -> None:
    answer = await site.ask(method, path, form)
    assert answer.status_code == 422
    assert site.accounts.asked == []


async def test_erasure_is_asked_for_with_the_password_and_its_receipt_found_without(site: Site) -> None:
    answer = await site.ask("POST", "/v1/account/erasure", PROOF)
    assert answer.status_code == 202
    assert answer.json()["receipt_token"] == "r" * 43
    assert site.accounts.asked[0][1].current_authentication_key == b"k" * 32
    assert (await site.ask("DELETE", "/v1/account/erasure")).status_code == 204
    letters = cast(Any, site.gateway.delivery).letters
    assert [(one.purpose, one.letter) for one in letters] == [
        ("rights", "erasure_asked"),
        ("rights", "erasure_cancelled"),
    ]
    assert letters[0].fields["due"] == "2026-12-02"
    del site.gateway.client.headers["cookie"]
    line = retention_pb2.ReceiptLine(service="storage", data_class="member_mail", count=7, kept=1, kept_until_day=20000)
    site.gateway.retention.errors.clear()
    site.gateway.retention.answers["GetReceipt"] = retention_pb2.Receipt(
        state="done", asked_at=1, due=2, keys_gone_at=3, done_at=4, lines=[line], entry=9
    )
    receipt = (await site.ask("GET", "/v1/erasures/" + "r" * 43)).json()
    assert (receipt["state"], receipt["lines"][0]["count"], receipt["ledger_entry"]) == ("done", 7, 9)
    assert receipt["lines"][0]["kept_until"].startswith("2024-10-04")


async def test_an_unknown_receipt_and_an_erasure_that_has_begun_are_told(site: Site) -> None:
    assert (await site.ask("GET", "/v1/erasures/" + "q" * 43)).status_code == 404
    site.accounts.errors["CancelErasure"] = ConflictError("erasure_begun")
    answer = await site.ask("DELETE", "/v1/account/erasure")
    assert (answer.status_code, answer.json()["reason"]) == (409, "erasure_begun")
    assert "cannot be undone" in answer.json()["detail"]


async def test_concerns_are_those_of_the_caller(site: Site) -> None:
    listed = (await site.ask("GET", "/v1/concerns")).json()["concerns"]
    opened = await site.ask("POST", "/v1/concerns", {"about": "correction", "text": "My name is wrong."})
    more = await site.ask("POST", f"/v1/concerns/{ID}", {"text": "Still."})
    closed = await site.ask("POST", f"/v1/concerns/{ID}/close")
    assert (opened.status_code, more.status_code, closed.status_code) == (201, 200, 200)
    assert listed[0]["address"] is None, "whose it is he knows"
    assert {request.account_id for _, request in site.accounts.asked} == {ADA}
    assert (await site.ask("GET", "/v1/concerns/not-an-id")).status_code == 400


STAFF = {
    "operator": [
        ("GET", "/v1/operator/policy/versions", None),
        ("POST", "/v1/operator/policy/versions/2/announce", None),
        ("POST", "/v1/operator/policy/versions/2/activate", None),
        ("POST", "/v1/operator/policy/versions/2/withdraw", None),
        ("GET", "/v1/operator/retention", None),
        ("POST", "/v1/operator/retention/clock", None),
        ("POST", "/v1/operator/retention/probes", {"clause": "E4"}),
    ],
    "support": [
        ("GET", "/v1/operator/concerns", None),
        ("GET", f"/v1/operator/concerns/{ID}", None),
        ("POST", f"/v1/operator/concerns/{ID}", {"text": "Corrected."}),
        ("POST", f"/v1/operator/concerns/{ID}/close", None),
    ],
    "disclosure": [
        ("GET", "/v1/disclosure/cases", None),
        ("GET", f"/v1/disclosure/cases/{CASE}", None),
        ("POST", f"/v1/disclosure/cases/{CASE}/approve", None),
        ("POST", f"/v1/disclosure/cases/{CASE}/refuse", {"reason": "No order."}),
        ("POST", f"/v1/disclosure/cases/{CASE}/close", None),
        ("GET", f"/v1/disclosure/cases/{CASE}/archive", None),
    ],
}


@pytest.mark.parametrize("role", STAFF)
async def test_routes_of_a_role_are_there_for_its_holders_alone(site: Site, role: str) -> None:
    for method, path, form in STAFF[role]:
        site.accounts.roles = ["statistics", "production", *(set(STAFF) - {role, "operator"})]
        hidden = await site.ask(method, path, form)
        assert (hidden.status_code, hidden.json()["reason"]) == (404, "no_such_path"), path
        site.accounts.roles = [role]
        assert (await site.ask(method, path, form)).status_code == 200, path


async def test_an_operator_sees_no_disclosure(site: Site) -> None:
    site.accounts.roles = ["operator", "support", "statistics"]
    assert (await site.ask("GET", "/v1/disclosure/cases")).status_code == 404


async def test_staff_see_whose_a_concern_is_and_ask_as_staff(site: Site) -> None:
    site.accounts.roles = ["support"]
    found = (await site.ask("GET", f"/v1/operator/concerns/{ID}")).json()
    assert found["address"] == "ada@member.test"
    assert site.accounts.asked[-1][1].account_id == ""


async def test_a_case_names_the_officer_and_the_archive_is_a_download(site: Site) -> None:
    site.accounts.roles = ["disclosure"]
    form = {
        "order_reference": "Az. 1", "legal_basis": "court_order", "address": "ada@member.test",
        "since": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:00:00Z", "data_classes": ["member_mail"],
    }  # fmt: skip
    opened = await site.ask("POST", "/v1/disclosure/cases", form)
    assert (opened.status_code, opened.json()["opened_by_me"]) == (201, True)
    request = site.gateway.retention.asked[-1][1]
    assert (request.officer, request.since, request.secret_until) == (ADA, 1790812800, 0)
    archive = await site.ask("GET", f"/v1/disclosure/cases/{CASE}/archive")
    assert archive.content.startswith(b"PK")
    assert archive.headers["content-disposition"] == f'attachment; filename="case-{CASE}.zip"'
    site.gateway.retention.errors["ExportCase"] = ConflictError("case_state")
    refused = await site.ask("GET", f"/v1/disclosure/cases/{CASE}/archive")
    assert (refused.status_code, refused.json()["reason"]) == (409, "case_state")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeniedError("notice_running"), 403),
        (ConflictError("policy_state"), 409),
        (NotFoundError("policy_version"), 404),
        (UnavailableError("storage_unavailable"), 503),
    ],
)
async def test_why_a_version_does_not_take_effect_is_told(site: Site, error: Exception, status: int) -> None:
    site.accounts.roles = ["operator"]
    site.gateway.retention.errors["ActivateVersion"] = error
    answer = await site.ask("POST", "/v1/operator/policy/versions/2/activate")
    assert answer.status_code == status
    assert answer.json()["detail"] not in ("Not allowed.", "Conflict.", "Not found.")


async def test_rights_need_a_session(site: Site) -> None:
    del site.gateway.client.headers["cookie"]
    for method, path in (("GET", "/v1/rights"), ("GET", "/v1/concerns"), ("DELETE", "/v1/account/erasure")):
        assert (await site.ask(method, path)).status_code == 401
