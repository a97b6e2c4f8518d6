"""The operators' API and page: what holders get, and that for everybody else nothing is there."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from libs.runtime.errors import ExhaustedError, NotFoundError, UnavailableError
from protos.accounts.v1 import accounts_pb2
from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http import operator_models as models
from services.gateway.http.openapi import api_routes
from services.gateway.http.operator_csv import table_of
from services.gateway.http.roles import RoleRoute
from tests.unit.gateway import test_billing_api, test_rights_api
from tests.unit.gateway.fakes import FakeAccounts, Gateway, gateway

ADA = "c" * 32
CUT = "/v1/operator/statistics/mail_received/by_outcome"
STATISTICS = [("GET", "/v1/operator/statistics"), ("GET", CUT), ("GET", CUT + "?format=csv"), ("GET", CUT + "?from=x")]
OPERATOR: list[tuple[str, str]] = [
    ("GET", "/v1/operator/health"),
    ("GET", "/v1/operator/audit"),
    ("GET", "/v1/operator/holders"),
    ("POST", "/v1/operator/holders"),
    ("DELETE", f"/v1/operator/holders/{ADA}"),
]
EITHER = [("GET", "/v1/operator/budget"), ("GET", "/v1/operator/budget?days=0")]
GONE = b'"reason":"no_such_path"'


class StaffAccounts(FakeAccounts):
    """The session's account has `roles`; grants are kept."""

    roles: list[str]
    holders: dict[str, str]
    grant_error: Exception | None = None
    error: Exception | None = None

    async def Authenticate(self, request: accounts_pb2.AuthenticateRequest, timeout: float) -> accounts_pb2.Principal:
        if self.error is not None:
            raise self.error
        found = await super().Authenticate(request, timeout)
        found.roles.extend(self.roles)
        return found

    async def GetAccount(self, request: accounts_pb2.GetAccountRequest, timeout: float) -> accounts_pb2.Account:
        if request.account_id != ADA:
            raise NotFoundError("account_not_found")
        return await super().GetAccount(request, timeout)

    async def ListHolders(self, request: accounts_pb2.ListHoldersRequest, timeout: float) -> Any:
        assert request.role == "statistics"
        rows = [accounts_pb2.Holder(account_id=i, address=a, since_day=20_000) for i, a in self.holders.items()]
        return accounts_pb2.ListHoldersResponse(holders=rows, most=5)

    async def GrantRole(self, request: accounts_pb2.GrantRoleRequest, timeout: float) -> Any:
        if self.grant_error is not None:
            raise self.grant_error
        self.holders["d" * 32] = request.address
        return accounts_pb2.GrantRoleResponse()

    async def RevokeRole(self, request: accounts_pb2.RevokeRoleRequest, timeout: float) -> Any:
        self.holders.pop(request.account_id, None)
        return accounts_pb2.RevokeRoleResponse()


class Staff:
    """A gateway whose caller holds what the test says."""

    def __init__(self, site: Gateway) -> None:
        self.site = site
        self.client = site.client
        self.accounts = StaffAccounts()
        self.accounts.roles, self.accounts.holders = [], {ADA: "ada@member.test"}
        peers = site.app.app.state.peers
        object.__setattr__(peers, "accounts", self.accounts)

    def holds(self, *roles: str) -> None:
        self.site.sign_in()
        self.accounts.roles = list(roles)

    async def get(self, path: str, **more: Any) -> Any:
        answer = await self.client.get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def staff(web: Path) -> AsyncIterator[Staff]:
    (web / "operator.html").write_text("<!doctype html><title>Operators</title>")
    async with gateway(web) as site:
        yield Staff(site)


def told(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, {k: v for k, v in answer.headers.items() if k != "date"}, answer.content


@pytest.mark.parametrize(("method", "path"), [*STATISTICS, *OPERATOR, *EITHER])
async def test_without_the_role_there_is_nothing(staff: Staff, method: str, path: str) -> None:
    unknown = told(await staff.client.request(method, "/v1/operator/nothing", content=b"{"))
    assert unknown[0] == 404 and GONE in unknown[2]
    others = {"disclosure", "support", "production"}
    if (method, path) in STATISTICS:
        others |= {"operator"}
    if (method, path) in OPERATOR:
        others |= {"statistics"}
    assert told(await staff.client.request(method, path, content=b"{")) == unknown
    key = {"authorization": "Bearer sp_read"}
    assert told(await staff.client.request(method, path, content=b"{", headers=key)) == unknown
    staff.holds(*others)
    for wrong in (method, "PUT", "PATCH"):
        assert told(await staff.client.request(wrong, path, content=b"{")) == unknown, wrong
    assert staff.site.analytics.asked == []


async def test_every_route_of_roles_is_in_the_table(staff: Staff) -> None:
    routes = [route for route in api_routes(staff.site.app.app.routes) if isinstance(route, RoleRoute)]
    paths = {(method, path.partition("?")[0]) for method, path in [*STATISTICS, *OPERATOR, *EITHER]}
    paths |= {(method, path) for rows in test_rights_api.STAFF.values() for method, path, _ in rows}
    paths |= {("POST", "/v1/disclosure/cases")}
    paths |= {(method, path) for method, path, _ in test_billing_api.STAFF}
    for route in routes:
        hits = [path for method, path in paths if method in (route.methods or ()) and route.path_regex.match(path)]
        assert hits, route.path
    assert len(routes) == 8 + 7 + 4 + 7 + 7


async def test_the_catalogue_is_the_policy(staff: Staff) -> None:
    staff.holds("statistics")
    metrics = (await staff.get("/v1/operator/statistics"))["metrics"]
    mail = next(one for one in metrics if one["name"] == "mail_received")
    assert (mail["unit"], mail["per_unit"]) == ("ip", 50)
    assert mail["cuts"][0] == {
        "name": "by_outcome", "title": "Mails by outcome", "dimensions": ["outcome"], "window": "hour",
        "epsilon": 0.2, "delta": 0.0,
    }  # fmt: skip


async def test_releases_come_with_what_says_how_exact_they_are(staff: Staff) -> None:
    staff.holds("statistics")
    found = await staff.get(CUT, params={"from": "2026-11-21T00:00:00Z", "until": "2026-11-23T00:00:00Z"})
    assert (found["dimensions"], found["window"], found["confidence"]) == (["outcome"], "hour", 0.95)
    first = found["releases"][0]
    assert (first["epsilon"], first["scale"], first["threshold"]) == (0.2, 250.0, 0)
    assert first["half_width"] >= 700 and first["cells"][0]["values"] == ["accepted"]
    assert first["cells"][0]["key"] is None
    assert {one["reason"] for one in found["missing"]} >= {"open"}
    models.Statistics.model_validate(found)
    again = await staff.get(CUT, params={"from": "2026-11-21T00:00:00Z", "until": "2026-11-23T00:00:00Z"})
    assert again == found
    asked = staff.site.analytics.asked[-1]
    assert (asked.reader, asked.export) == (ADA, False)


async def test_the_usual_range_is_the_last_day(staff: Staff) -> None:
    staff.holds("statistics")
    await staff.get(CUT)
    asked, now = staff.site.analytics.asked[-1], int(staff.site.clock.now().timestamp())
    assert (getattr(asked, "from"), asked.until) == (now - 86400, now)


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({"from": "2026-11-22T00:00:00Z", "until": "2026-11-22T00:00:00Z"}, 400, "range_invalid"),
        ({"from": "2020-11-22T00:00:00Z", "until": "2026-11-22T00:00:00Z"}, 400, "range_invalid"),
        ({"from": "2026-11-22T00:00:00"}, 422, "fields"),
        ({"from": "yesterday"}, 422, "fields"),
        ({"format": "xls"}, 422, "fields"),
        ({"from": "0001-01-01T00:00:00+14:00"}, 400, "range_invalid"),
        ({"until": "0001-01-01T00:00:00Z"}, 400, "range_invalid"),
    ],
)
async def test_ranges_that_cannot_be(staff: Staff, query: dict[str, str], status: int, reason: str) -> None:
    staff.holds("statistics")
    answer = await staff.client.get(CUT, params=query)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.parametrize("path", ["mail_received/by_moon", "moons/by_outcome", "mail_received/in_hour"])
async def test_cuts_that_are_not_declared(staff: Staff, path: str) -> None:
    staff.holds("statistics")
    answer = await staff.client.get("/v1/operator/statistics/" + path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "cut_unknown")


@pytest.mark.parametrize("by", ["format", "accept"])
async def test_csv_holds_what_the_json_holds(staff: Staff, by: str) -> None:
    staff.holds("statistics")
    query = {"from": "2026-11-22T00:00:00Z", "until": "2026-11-22T17:00:00Z"}
    asked: dict[str, Any] = {"params": query | {"format": "csv"}} if by == "format" else {"params": query}
    answer = await staff.client.get(CUT, **asked, headers={"accept": "text/csv" if by == "accept" else "*/*"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="mail_received-by_outcome-20261122-20261122.csv"'
    )
    assert staff.site.analytics.noted[0].what == "export"
    found = await staff.get(CUT, params=query)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    cells = [(one["start"], cell) for one in found["releases"] for cell in one["cells"]]
    values = [(row["start"], row["outcome"], int(row["value"])) for row in rows if row["value"]]
    assert values == [(start, cell["values"][0], cell["value"]) for start, cell in cells]
    assert [row["missing"] for row in rows if row["missing"]] == [one["reason"] for one in found["missing"]]
    assert b"\r\n" in answer.content and rows[0]["scale"] == "250.0"


def test_nothing_in_a_table_is_a_formula() -> None:
    words = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", 'a"b,c', "plain"]
    cells = [pb.Cell(values=[word], key=171, value=-7) for word in words]
    found = pb.ReleasesResponse(releases=[pb.Release(start=7, end=9, cells=cells)])
    rows = list(csv.reader(io.StringIO(table_of(pb.Cut(dimensions=["=d"]), found).decode(), newline="")))
    assert rows[0][2:5] == ["'=d", "key", "value"]
    assert [row[2] for row in rows[1:]] == ["'" + word for word in words[:6]] + words[6:]
    assert {row[4] for row in rows[1:]} == {"-7"}


@pytest.mark.parametrize("role", ["operator", "statistics"])
async def test_the_budget_is_for_both(staff: Staff, role: str) -> None:
    staff.holds(role)
    days = (await staff.get("/v1/operator/budget?days=5"))["days"]
    assert len(days) == 5 and days[0]["day"] == "2026-11-22T00:00:00Z"
    assert 0 < days[0]["epsilon_spent"] < days[1]["epsilon_spent"] < days[3]["epsilon_spent"] <= 8
    assert {"metric": "visitors", "cut": "in_hour", "epsilon": 0.3, "delta": 0.0} in days[0]["debits"]
    assert staff.site.analytics.noted[0].reader == ADA


async def test_health_has_no_numbers_that_are_none(staff: Staff) -> None:
    staff.holds("operator")
    found = await staff.get("/v1/operator/health?minutes=10")
    assert len(found["times"]) == 20
    series = next(one for one in found["services"] if one["service"] == "analytics")["series"][0]
    assert series["values"][0] is None and series["values"][-1] > 0


async def test_who_read_what_is_paged_without_losing_any(staff: Staff) -> None:
    staff.holds("operator")
    noted = staff.site.analytics.noted
    times = [100, 100, 99, 98, 98, 98, 97, 97, 90]
    noted.extend(pb.AuditEntry(at=at, reader=ADA, what="releases", metric=str(i)) for i, at in enumerate(times))
    seen, before = [], "1970-01-01T00:02:00Z"
    for _ in range(10):
        page = await staff.get("/v1/operator/audit", params={"limit": 4, "before": before})
        seen += [one["metric"] for one in page["entries"]]
        assert len(page["entries"]) <= 4 and page["entries"][0]["address"] == "ada@member.test"
        if page["next_before"] is None:
            break
        before = page["next_before"]
    assert seen == [str(i) for i in range(9)]
    assert noted[0].what == "audit"


async def test_more_in_one_second_than_a_page_does_not_go_round_in_circles(staff: Staff) -> None:
    staff.holds("operator")
    staff.site.analytics.noted.extend(pb.AuditEntry(at=at, reader="e" * 32, what="budget") for at in [50] * 5 + [49])
    page = await staff.get("/v1/operator/audit", params={"limit": 3, "before": "1970-01-01T00:02:00Z"})
    assert [one["address"] for one in page["entries"]] == [""] * 3
    assert page["next_before"] == "1970-01-01T00:00:50Z" and page["entries"][0]["from"] is None
    rest = await staff.get("/v1/operator/audit", params={"limit": 3, "before": page["next_before"]})
    assert [one["at"] for one in rest["entries"]] == ["1970-01-01T00:00:49Z"]


async def test_holders_are_granted_and_revoked_and_all_of_it_is_noted(staff: Staff) -> None:
    staff.holds("operator")
    listed = await staff.get("/v1/operator/holders")
    assert listed == {
        "role": "statistics",
        "most": 5,
        "holders": [{"account_id": ADA, "address": "ada@member.test", "since": "2024-10-04T00:00:00Z"}],
    }
    granted = await staff.client.post("/v1/operator/holders", json={"address": "bob@member.test"})
    assert [one["address"] for one in granted.json()["holders"]] == ["ada@member.test", "bob@member.test"]
    revoked = await staff.client.delete(f"/v1/operator/holders/{ADA}")
    assert [one["address"] for one in revoked.json()["holders"]] == ["bob@member.test"]
    assert [one.what for one in staff.site.analytics.noted] == ["holder_revoked", "holder_granted", "holders"]
    assert (await staff.client.delete("/v1/operator/holders/x")).json()["reason"] == "id"


async def test_the_maximum_of_holders_is_told(staff: Staff) -> None:
    staff.holds("operator")
    staff.accounts.grant_error = ExhaustedError("too_many_holders")
    answer = await staff.client.post("/v1/operator/holders", json={"address": "bob@member.test"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "too_many_holders")


async def test_without_an_audit_nobody_gets_the_role(staff: Staff) -> None:
    staff.holds("operator")
    staff.site.analytics.error = UnavailableError("unreachable")
    for method, path in OPERATOR:
        answer = await staff.client.request(
            method, path, json={"address": "bob@member.test"} if method == "POST" else None
        )
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable"), path
    assert list(staff.accounts.holders) == [ADA]
    staff.holds("statistics")
    for path in ("/v1/operator/statistics", CUT, "/v1/operator/budget"):
        assert (await staff.client.get(path)).status_code == 503


@pytest.mark.parametrize("path", ["/operator", "/operator/", "/operator/statistics", "/operator/x/y.z"])
async def test_the_page_is_for_those_who_hold_a_role_or_may_turn_out_to(staff: Staff, path: str) -> None:
    signed_out = await staff.client.get(path)
    assert signed_out.status_code == 200 and "Operators" in signed_out.text
    expired = await staff.client.get(path, headers={"cookie": "__Host-session=" + "x" * 43})
    assert expired.status_code == 200 and "Operators" in expired.text
    for role in ("operator", "statistics", "support", "disclosure"):
        staff.holds(role)
        assert "Operators" in (await staff.client.get(path)).text
    for roles in ([], ["production"]):
        staff.holds(*roles)
        unknown = told(await staff.client.get(path.replace("operator", "nothing")))
        known = signed_out.headers["etag"]
        assert told(await staff.client.get(path, headers={"if-none-match": known})) == unknown
        assert unknown[0] == 404
    staff.accounts.error = UnavailableError("unreachable")
    assert (await staff.client.get(path)).status_code == 200


async def test_the_file_of_the_page_is_not_another_way_in(staff: Staff) -> None:
    for path in ("/operator.html", "//operator.html"):
        assert "Operators" not in (await staff.client.get(path)).text
    assert (await staff.client.get("/operator.html")).status_code == 404
    assert cast(Any, (await staff.client.get("/operators"))).status_code == 404
