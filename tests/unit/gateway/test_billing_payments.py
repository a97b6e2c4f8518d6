"""Payments over HTTP: how they start, how they are recorded and taken back, and what the provider tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from libs.runtime.errors import UnavailableError
from protos.billing.v1 import billing_pb2 as pb
from tests.support.fake_billing import DAY, SIGNED, reconciled
from tests.unit.gateway.billing_site import ADA, EVE, ID, Site, answering, billed


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One for each test."""
    async with billed(tmp_path) as made:
        yield made


async def test_credits_are_bought_by_transfer_and_the_same_request_is_one(site: Site) -> None:
    form = {"request_id": ID, "credits": 1000}
    first = await site.ask("POST", "/v1/billing/payments", form, 201)
    assert (first["state"], first["amount"], first["url"]) == ("waiting", 1190, None)
    assert first["reference"] and "IBAN" in first["instructions"]
    assert await site.ask("POST", "/v1/billing/payments", form, 201) == first
    assert await site.ask("GET", f"/v1/billing/payments/{first['id']}") == first
    site.accounts.account_id = EVE
    assert await site.refused("GET", f"/v1/billing/payments/{first['id']}", None, 404) == "payment"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"credits": 1000, "plan": "personal"},
        {"credits": 0},
        {"credits": 10.5},
        {"credits": "1000"},
        {"credits": True},
        {"invoice": "1"},
        {"credits": 1000, "card": "4111"},
    ],
)
async def test_a_payment_is_for_one_thing_in_whole_units(site: Site, wrong: Any) -> None:
    assert await site.refused("POST", "/v1/billing/payments", {"request_id": ID} | wrong, 422) == "fields"
    assert site.billing.asked == []


async def test_an_invoice_and_a_plan_can_be_paid(site: Site) -> None:
    number = site.billing.issue(ADA, 357).number
    paid = await site.ask("POST", "/v1/billing/payments", {"request_id": ID, "invoice": number}, 201)
    assert paid["amount"] == 357 and site.last("StartPayment").WhichOneof("what") == "invoice"
    form = {"request_id": "f" * 32, "plan": "personal"}
    assert await site.refused("POST", "/v1/billing/payments", form, 409) == "not_needed"
    site.billing.provider = "stripe"
    assert (await site.ask("POST", "/v1/billing/payments", form, 201))["url"].startswith("https://checkout.stripe.com/")


async def test_a_browser_is_sent_nowhere_but_to_https(site: Site) -> None:
    assert await site.refused("POST", "/v1/billing/portal", None, 409) == "no_portal"
    site.billing.provider = "stripe"
    assert (await site.ask("POST", "/v1/billing/portal"))["url"] == "https://billing.stripe.com/p/session/test"
    for url in ("javascript:alert(1)", "http://evil.example/", "//evil.example", "https:///x", ""):
        cast(Any, site.billing).OpenPortal = answering(pb.Portal(url=url))
        assert await site.refused("POST", "/v1/billing/portal", None, 500) == "internal"


async def test_a_webhook_passes_as_it_came(site: Site) -> None:
    del site.gateway.client.headers["cookie"], site.gateway.client.headers["origin"]
    body = b'{ "id": "evt_1",\r\n "\xff" : 1 }'
    post = site.gateway.client.post
    answer = await post("/v1/billing/webhook", content=body, headers={"stripe-signature": SIGNED})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (site.last("TakeWebhook").body, site.last("TakeWebhook").signature) == (body, SIGNED)
    assert (await post("/v1/billing/webhook", content=body)).json()["reason"] == "signature"
    long = await post("/v1/billing/webhook", content=body, headers={"stripe-signature": "v1=" * 2000})
    assert (long.status_code, long.json()["reason"]) == (400, "webhook")
    site.billing.errors["TakeWebhook"] = UnavailableError("unreachable")
    assert (await post("/v1/billing/webhook", content=body)).status_code == 503


@pytest.mark.parametrize(("size", "status"), [(256 * 1024, 204), (256 * 1024 + 1, 413)])
async def test_a_webhook_is_bounded(site: Site, size: int, status: int) -> None:
    post = site.gateway.client.post
    signed = {"stripe-signature": SIGNED}
    assert (await post("/v1/billing/webhook", content=b"x" * size, headers=signed)).status_code == status

    async def unsized() -> AsyncIterator[bytes]:
        for start in range(0, size, 60_000):
            yield b"x" * min(60_000, size - start)

    assert (await post("/v1/billing/webhook", content=unsized(), headers=signed)).status_code == status


async def test_an_operator_records_and_two_take_back(site: Site) -> None:
    started = await site.ask("POST", "/v1/billing/payments", {"request_id": ID, "credits": 1000}, 201)
    site.accounts.role, site.accounts.account_id = "operator", EVE
    (waiting,) = (await site.ask("GET", "/v1/operator/billing/payments"))["payments"]
    assert waiting == started
    transfer = {"reference": started["reference"], "amount": 1190}
    root = "/v1/operator/billing/payments"
    assert await site.refused("POST", root, transfer | {"amount": 1189}, 409) == "amount"
    assert await site.refused("POST", root, transfer | {"reference": "SP-9"}, 404) == "payment"
    assert (await site.ask("POST", root, transfer))["state"] == "paid"
    assert site.last("RecordPayment").officer == EVE
    assert site.billing.account(ADA).standing.credits == 1000
    (paid,) = (await site.ask("GET", f"{root}?state=paid"))["payments"]
    reversal = f"{root}/{paid['id']}/reversal"
    assert (await site.ask("POST", reversal))["state"] == "reversal_asked"
    assert await site.refused("POST", f"{reversal}/confirm", None, 403) == "same_officer"
    site.accounts.account_id = "f" * 32
    assert (await site.ask("POST", f"{reversal}/confirm"))["state"] == "reversed"
    assert site.billing.account(ADA).standing.credits == 0
    assert await site.refused("GET", f"{root}?state=failed", None, 422) == "fields"


async def test_a_book_is_told_newest_first(site: Site) -> None:
    site.billing.issue(ADA, 357)
    (entry,) = (await site.ask("GET", "/v1/billing/entries"))["entries"]
    assert (entry["kind"], entry["due"], entry["reference"]) == ("invoiced", 357, "invoice/2026-000001")


async def test_an_operator_takes_an_invoice_back(site: Site) -> None:
    site.accounts.role, site.accounts.account_id = "operator", EVE
    site.billing.issue(ADA, 357)
    route = "/v1/operator/billing/invoices/2026-000001/credit"
    wanted = {"request_id": ID, "amount": 119}
    assert (await site.ask("POST", route, wanted))["state"] == "open"
    asked = site.last("CreditInvoice")
    assert (asked.officer, asked.number, asked.amount, asked.request_id) == (EVE, "2026-000001", 119, ID)
    assert await site.refused("POST", route, wanted | {"amount": 358}, 409) == "nothing_left"
    for wrong in ({"amount": 0}, {"amount": "1"}, {"amount": 1.5}, {"request_id": "x"}):
        assert await site.refused("POST", route, wanted | wrong, 422) == "fields"
    assert (await site.ask("POST", route, {"request_id": ID}))["state"] == "credited"
    assert site.last("CreditInvoice").amount == 0
    missing = "/v1/operator/billing/invoices/2026-000009/credit"
    assert await site.refused("POST", missing, wanted, 404) == "invoice"


async def test_operators_see_open_invoices_and_reconciliations(site: Site) -> None:
    site.accounts.role = "operator"
    site.billing.issue(EVE, 700)
    site.billing.issue(ADA, 357, overdue_days=3)
    found = (await site.ask("GET", "/v1/operator/billing/invoices"))["invoices"]
    assert [one["open"] for one in found] == [357, 700]
    assert ADA not in str(found)
    site.billing.reconciliations = reconciled(site.billing.now() // DAY)
    rows = (await site.ask("GET", "/v1/operator/billing/reconciliations?days=7"))["reconciliations"]
    assert len(rows) == 14 and sum(one["owned"] != one["counted"] for one in rows) == 1
