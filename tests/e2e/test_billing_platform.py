"""Billing on the whole platform, in Chromium: a month is billed, credits are bought by transfer, an invoice is saved.

The clocks of the services are moved by the test, so that a month is over in seconds; the browser's is not.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Watch
from tests.e2e.looking import look
from tests.e2e.test_access import WIDE
from tests.e2e.test_rights import go
from tests.support.amended import amended_platform
from tests.support.later import Later
from tests.support.ledger_procs import wait_for
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import PASSWORD, Sender, letter, sign_up


class Scene:
    """A platform, its clocks, a customer and an operator."""

    def __init__(self, platform: RunningPlatform, later: Later) -> None:
        self.platform, self.later = platform, later
        self.customer, self.officer = sign_up(platform, "paula"), sign_up(platform, "olga", number=2)
        make_operator(platform, self.officer.address)

    def ask(self, who: Sender, method: str, path: str, given: Any = None) -> Any:
        """Return what somebody is answered, signed in anew where the session has ended with the time that went by."""
        for _ in range(2):
            with who.http() as http:
                answer: httpx.Response = http.request(method, path, json=given)
            if answer.status_code not in (401, 404):
                break
            who.client.login(who.address, PASSWORD)
        return answer.raise_for_status().json()


@pytest.fixture(scope="module")
def scene(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A customer with a plan, whose first bill has come."""
    folder = tmp_path_factory.mktemp("billed")
    later = Later(folder / "later")
    with amended_platform(folder / "home", later) as platform:
        scene = Scene(platform, later)
        customer = scene.customer
        for number in range(3):
            with smtplib.SMTP("127.0.0.1", platform.smtp_port, timeout=20) as smtp:
                smtp.send_message(letter("a@example.org", customer.address, f"Letter {number}"))
        customer.wait_mails(3)
        who = {"name": "Paula Größe", "address_lines": ["Weg 1", "10115 Berlin"], "country": "DE", "vat_id": ""}
        scene.ask(customer, "PUT", "/v1/billing/details", who)
        scene.ask(customer, "PUT", "/v1/billing/plan", {"plan": "business"})
        later.let_pass(timedelta(days=15))
        wait_for("the trial to be over", lambda: _standing(scene)["state"] == "active", 20.0)
        month = (later.now().replace(day=1) + timedelta(days=32)).replace(day=1, hour=12)
        later.let_pass(month + timedelta(days=3) - later.now())
        wait_for("an invoice", lambda: scene.ask(customer, "GET", "/v1/billing/invoices")["invoices"], 30.0)
        yield scene
        for one in (scene.customer, scene.officer):
            one.client.close()


def _standing(scene: Scene) -> Any:
    return scene.ask(scene.customer, "GET", "/v1/billing/standing")


def test_a_customer_sees_what_he_used_buys_credits_and_saves_his_invoice(
    scene: Scene, browser: Browser, tmp_path: Path, artifacts: Path
) -> None:
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch().attach(page)
    page.goto(scene.platform.url + "/sign-in")
    page.get_by_label("Address").fill(scene.customer.address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("link", name=re.compile("Letter 2")).first).to_be_visible(timeout=30_000)
    go(page, "/settings/billing")
    used = page.get_by_role("list", name="What is used of the plan").get_by_role("listitem")
    expect(used.filter(has_text="Storage")).to_contain_text("of 107 GB")
    expect(page.get_by_role("list", name="Invoices")).to_contain_text("-000001")
    look(page, artifacts, "billing-platform")
    _saves(page, tmp_path)
    page.get_by_role("button", name="Buy €10.00").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("€11.90")
    expect(dialog).to_contain_text("Example Mail Company")
    dialog.get_by_role("button", name="Done").click()
    (waiting,) = scene.ask(scene.officer, "GET", "/v1/operator/billing/payments")["payments"]
    given = {"reference": waiting["reference"], "amount": 1190}
    scene.ask(scene.officer, "POST", "/v1/operator/billing/payments", given)
    go(page, "/settings/appearance")
    go(page, "/settings/billing")
    expect(page.get_by_role("region", name="Credits")).to_contain_text("€10.00")
    assert watch.errors == [] and watch.foreign(scene.platform.url) == []
    context.close()


def test_a_late_bill_is_said_wherever_he_is(scene: Scene, browser: Browser, artifacts: Path) -> None:
    (invoice,) = scene.ask(scene.customer, "GET", "/v1/billing/invoices")["invoices"]
    due = datetime.fromisoformat(invoice["due"]).replace(tzinfo=UTC)
    scene.later.let_pass(due + timedelta(days=1, hours=1) - scene.later.now())
    wait_for("grace", lambda: _standing(scene)["state"] == "grace", 20.0)
    # What the gateway knows of a plan it knows for a minute.
    scene.later.let_pass(timedelta(minutes=2))
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(scene.platform.url + "/sign-in")
    page.get_by_label("Address").fill(scene.customer.address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    banner = page.get_by_role("region", name="Late bill")
    expect(banner).to_contain_text("Everything works until", timeout=30_000)
    expect(page.get_by_text(" of 107 GB")).to_be_visible()
    look(page, artifacts, "billing-banner")
    banner.get_by_role("link", name="See the bill").click()
    expect(page.get_by_text("was due on")).to_be_visible()
    expect(banner).to_have_count(0)
    context.close()


def _saves(page: Page, folder: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("list", name="Invoices").get_by_role("link", name=re.compile("as PDF")).click()
    download.value.save_as(folder / "invoice.pdf")
    content = (folder / "invoice.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and b"/Title (Invoice 20" in content
