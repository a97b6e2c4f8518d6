"""Billing over HTTP: plans, usage, details and invoices; who may call what, and what is told without billing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from libs.runtime.errors import ConflictError
from protos.billing.v1 import billing_pb2 as pb
from protos.common.v1 import common_pb2
from tests.support.fake_billing import DAY, PDF
from tests.unit.gateway.billing_site import ADA, EVE, ID, Site, answering, billed

SESSION: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/billing/catalogue", None),
    ("GET", "/v1/billing/standing", None),
    ("PUT", "/v1/billing/plan", {"plan": "personal"}),
    ("DELETE", "/v1/billing/plan", None),
    ("GET", "/v1/billing/usage", None),
    ("GET", "/v1/billing/details", None),
    ("PUT", "/v1/billing/details", {"name": "", "address_lines": [], "country": ""}),
    ("GET", "/v1/billing/invoices", None),
    ("GET", "/v1/billing/invoices/2026-000001", None),
    ("GET", "/v1/billing/entries", None),
    ("POST", "/v1/billing/payments", {"request_id": ID, "credits": 1000}),
    ("GET", f"/v1/billing/payments/{ID}", None),
    ("POST", "/v1/billing/portal", None),
)
STAFF: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/operator/billing/payments", None),
    ("POST", "/v1/operator/billing/payments", {"reference": "SP-0001-7K3Q", "amount": 1190}),
    ("POST", f"/v1/operator/billing/payments/{ID}/reversal", None),
    ("POST", f"/v1/operator/billing/payments/{ID}/reversal/confirm", None),
    ("GET", "/v1/operator/billing/invoices", None),
    ("POST", "/v1/operator/billing/invoices/2026-000001/credit", {"request_id": ID, "amount": 119}),
    ("GET", "/v1/operator/billing/reconciliations", None),
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One for each test."""
    async with billed(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("method", "path", "form"), SESSION)
async def test_only_a_session_sees_an_account(site: Site, method: str, path: str, form: Any) -> None:
    del site.gateway.client.headers["cookie"]
    assert await site.refused(method, path, form, 401) == "session_missing"
    site.gateway.client.headers["authorization"] = "Bearer sp_read"
    assert await site.refused(method, path, form, 401) == "session_missing"
    assert site.billing.asked == []


@pytest.mark.parametrize(("method", "path", "form"), STAFF)
async def test_to_others_than_operators_there_is_nothing(site: Site, method: str, path: str, form: Any) -> None:
    for role in ("", "statistics", "support", "disclosure"):
        site.accounts.role = role
        assert await site.refused(method, path, form, 404) == "no_such_path"
        # Not even that something is missing here.
        assert await site.refused(method, path, {"nonsense": 1}, 404) == "no_such_path"
    assert site.billing.asked == []


@pytest.mark.parametrize(("method", "path", "form"), [*SESSION, *STAFF])
async def test_without_billing_each_says_so(site: Site, method: str, path: str, form: Any) -> None:
    site.accounts.role = "operator"
    assert (await site.ask("GET", "/v1/info"))["billing"] is True
    await site.without_billing()
    assert await site.refused(method, path, form, 503) == "billing_unavailable"
    assert (await site.gateway.client.post("/v1/billing/webhook", content=b"{}")).status_code == 503


async def test_the_page_is_told_whether_there_is_billing(site: Site) -> None:
    await site.without_billing()
    assert (await site.ask("GET", "/v1/info"))["billing"] is False


async def test_the_catalogue_is_of_the_callers_kind_and_has_no_limit_where_there_is_none(site: Site) -> None:
    found = await site.ask("GET", "/v1/billing/catalogue")
    assert site.last("GetCatalogue").profile == common_pb2.PROFILE_SEALED
    assert (found["currency"], found["digits"], found["provider"]) == ("EUR", 2, "manual")
    assert found["credit_packs"] == [1000, 2500, 5000, 10000]
    free, _, business = found["plans"]
    assert (free["price"], business["price"], business["trial_days"]) == (0, 900, 14)
    assert business["allowances"][3] == {
        "meter": "api_operations", "title": "API operations", "per": "day", "included": None, "unit": "operation",
        "tiers": [],
    }  # fmt: skip
    assert business["allowances"][2]["tiers"][1] == {"above": 100_000, "price": 50, "per_units": 1000}


async def test_a_standing_has_no_times_where_nothing_ends(site: Site) -> None:
    found = await site.ask("GET", "/v1/billing/standing")
    assert (found["plan"], found["state"]) == ("free", "free")
    ends = ("state_until", "next_plan", "next_plan_at", "due_at")
    assert [found[name] for name in ends] == [None] * 4
    wanted = site.last("GetStanding")
    assert (wanted.account_id, wanted.mailbox_id, wanted.profile) == (ADA, "a" * 32, common_pb2.PROFILE_SEALED)


async def test_plans_change_and_are_cancelled(site: Site) -> None:
    more = await site.ask("PUT", "/v1/billing/plan", {"plan": "personal"})
    assert (more["plan"], more["state"]) == ("personal", "trial") and more["state_until"].endswith("Z")
    site.billing.account(ADA).standing.state = "active"
    less = await site.ask("DELETE", "/v1/billing/plan")
    assert (less["plan"], less["next_plan"]) == ("personal", "free") and less["next_plan_at"].endswith("T00:00:00Z")
    same = await site.ask("PUT", "/v1/billing/plan", {"plan": "personal"})
    assert same["next_plan"] is None
    assert await site.refused("PUT", "/v1/billing/plan", {"plan": "golden"}, 400) == "plan"
    for wrong in ({"plan": "P!"}, {"plan": "free", "price": 0}, {}):
        assert await site.refused("PUT", "/v1/billing/plan", wrong, 422) == "fields"
    site.billing.errors["ChangePlan"] = ConflictError("read_only")
    assert await site.refused("PUT", "/v1/billing/plan", {"plan": "business"}, 409) == "read_only"


async def test_a_statement_is_of_days(site: Site) -> None:
    found = (await site.ask("GET", "/v1/billing/usage?from=2026-11-01&until=2026-11-30"))["days"]
    assert found[0]["day"].startswith("2026-11-") and set(found[0]["units"]) == {
        "sends", "api_operations", "mails_stored"
    }  # fmt: skip
    wanted = site.last("GetUsage")
    assert wanted.last_day - wanted.first_day == 29
    await site.ask("GET", "/v1/billing/usage")
    wanted = site.last("GetUsage")
    today = int(site.gateway.clock.now().timestamp()) // DAY
    assert (wanted.first_day, wanted.last_day) == (today - 30, today)
    for query in ("from=2026-11-02&until=2026-11-01", "from=2024-01-01&until=2026-01-01", "from=1969-01-01"):
        assert await site.refused("GET", f"/v1/billing/usage?{query}", None, 400) == "usage_range"
    assert await site.refused("GET", "/v1/billing/usage?from=yesterday", None, 422) == "fields"


async def test_who_pays_is_told_and_kept(site: Site) -> None:
    told = {"name": "Ann Example", "address_lines": ["Street 1", "12345 Town"], "country": "DE", "vat_id": "DE1"}
    assert await site.ask("PUT", "/v1/billing/details", told) == told
    assert await site.ask("GET", "/v1/billing/details") == told
    assert await site.refused("PUT", "/v1/billing/details", told | {"name": "4111 1111 1111 1111"}, 400)
    for wrong in ({"country": "Germany"}, {"address_lines": ["x"] * 7}, {"name": "x" * 121}, {"card": "1"}):
        assert await site.refused("PUT", "/v1/billing/details", told | wrong, 422) == "fields"


async def test_invoices_are_listed_and_saved(site: Site) -> None:
    for number in range(3):
        site.billing.issue(ADA, 357 + number)
    site.billing.issue(EVE, 357)
    page = await site.ask("GET", "/v1/billing/invoices?limit=2")
    assert [one["gross"] for one in page["invoices"]] == [359, 358]
    rest = await site.ask("GET", f"/v1/billing/invoices?limit=2&cursor={page['next_cursor']}")
    (last,) = rest["invoices"]
    assert rest["next_cursor"] is None and last["net"] + last["tax"] == last["gross"]
    saved = await site.gateway.client.get(f"/v1/billing/invoices/{last['number']}?format=pdf")
    assert (saved.headers["content-type"], saved.content) == ("application/pdf", PDF)
    assert saved.headers["content-disposition"] == f'attachment; filename="invoice-{last["number"]}.pdf"'
    assert await site.ask("GET", f"/v1/billing/invoices/{last['number']}") == {"number": last["number"]}
    for other in ("2026-000004", "..%2F", "a b", "x" * 80):
        assert (await site.gateway.client.get(f"/v1/billing/invoices/{other}")).status_code == 404
    assert await site.refused("GET", "/v1/billing/invoices/2026-000001?format=exe", None, 422) == "fields"


async def test_the_name_of_a_file_is_never_more_than_one(site: Site) -> None:
    site.billing.issue(ADA, 357)
    odd = pb.InvoiceFile(name='a"\r\nset-cookie: b', media_type="text/html", content=PDF)
    cast(Any, site.billing).GetInvoice = answering(odd)
    saved = await site.gateway.client.get("/v1/billing/invoices/2026-000001?format=pdf")
    assert saved.headers["content-disposition"] == 'attachment; filename="2026-000001.pdf"'
    assert saved.headers["content-type"] == "application/pdf" and "set-cookie" not in saved.headers
