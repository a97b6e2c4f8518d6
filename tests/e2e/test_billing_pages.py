"""Billing in Chromium: an owner chooses, buys, sees what was used and saves an invoice; operators record and take back.

Each section is looked at by axe in both colour schemes and at 360 pixels, and kept as a picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.errors import UnavailableError
from services.accounts.domain.model import Role
from tests.e2e.browser import PASSWORD, Watch, sign_up
from tests.e2e.governing import Governing
from tests.e2e.looking import dismiss, look
from tests.e2e.operating import Installation, installation
from tests.e2e.test_access import WIDE
from tests.e2e.test_rights import go
from tests.support.fake_billing import DAY, PDF, FakeBilling, reconciled

REFERENCE = "SP-0001-7K3Q"
# Where the fake sends a browser that is to pay.
PROVIDERS = ("https://checkout.stripe.com/c/pay/cs_test_1", "https://billing.stripe.com/p/session/test")


@pytest.fixture(scope="module")
def billing() -> FakeBilling:
    """What stands for billing in this module."""
    now = unix_seconds(SystemClock())
    return FakeBilling(now=lambda: now, reconciliations=reconciled(now // DAY))


@pytest.fixture(scope="module")
def site(built_page: Path, tmp_path_factory: pytest.TempPathFactory, billing: FakeBilling) -> Iterator[Installation]:
    """One installation for this module."""
    with installation(tmp_path_factory.mktemp("billed")) as started:
        started.bill(billing)
        yield started


@pytest.fixture(scope="module")
def paula(site: Installation, browser: Browser) -> Iterator[Page]:
    """The page of a member who pays."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    page = context.new_page()
    watch = Watch().attach(page)
    sign_up(page, site.url, "paula")
    go(page, "/settings/billing")
    yield page
    foreign = [url for url in watch.foreign(site.url) if url not in PROVIDERS]
    assert watch.errors == [] and foreign == []
    context.close()


def owner_of(page: Page) -> str:
    """Return the id of the account that is signed in."""
    answer = page.evaluate("fetch('/v1/session').then(answer => answer.json())")
    return str(answer["account"]["id"])


def again(page: Page) -> None:
    """Leave the section and come back, so that it asks anew."""
    go(page, "/settings/appearance")
    expect(page.get_by_role("heading", name="Appearance", level=1)).to_be_visible()
    go(page, "/settings/billing")
    expect(page.get_by_role("region", name="Who pays")).to_be_visible()


def test_the_plan_stands_with_what_is_used_of_it(paula: Page, artifacts: Path) -> None:
    expect(paula.get_by_role("link", name="Plan and usage")).to_have_attribute("aria-current", "page")
    used = paula.get_by_role("list", name="What is used of the plan").get_by_role("listitem")
    expect(used.filter(has_text="Storage")).to_contain_text("451 MB of 1.1 GB")
    expect(used.filter(has_text="Mails sent")).to_contain_text("145 of 150")
    expect(used.filter(has_text="Mails sent")).to_contain_text("96 % is used")
    expect(paula.get_by_role("group", name=re.compile("Mails sent by day"))).to_be_visible()
    look(paula, artifacts, "billing-plan")


def test_a_plan_is_chosen_cancelled_and_kept_in_one_click_each(
    paula: Page, billing: FakeBilling, artifacts: Path
) -> None:
    personal = paula.get_by_role("listitem", name=re.compile("^Personal"))
    expect(personal).to_contain_text("At once. Your first trial is free for 14 days, then €3.00 a month before tax.")
    personal.get_by_role("button", name="Choose Personal").focus()
    paula.keyboard.press("Enter")
    expect(paula.get_by_role("heading", name=re.compile("Personal Free until"))).to_be_visible()
    free = paula.get_by_role("listitem", name=re.compile("^Free"))
    expect(free).to_contain_text("At once. Your trial ends, and nothing is to be paid.")
    standing = billing.account(owner_of(paula)).standing
    standing.state, standing.state_until = "active", 0
    again(paula)
    expect(free).to_contain_text("Until then you keep Personal.")
    expect(free).to_contain_text("Nothing is deleted")
    free.get_by_role("button", name="Cancel, back to Free").click()
    expect(free).to_contain_text("your plan becomes this one")
    dismiss(paula)
    look(paula, artifacts, "billing-cancelled")
    personal.get_by_role("button", name="Keep Personal").click()
    expect(free.get_by_role("button", name="Cancel, back to Free")).to_be_visible()
    dismiss(paula)


def test_credits_are_bought_by_transfer(paula: Page, artifacts: Path) -> None:
    paula.get_by_role("button", name="Buy €10.00").click()
    dialog = paula.get_by_role("dialog")
    expect(dialog).to_contain_text("€11.90")
    expect(dialog).to_contain_text(REFERENCE)
    dialog.get_by_role("button", name="Copy reference").click()
    assert paula.evaluate("navigator.clipboard.readText()") == REFERENCE
    dialog.get_by_role("button", name="Copy amount").click()
    assert paula.evaluate("navigator.clipboard.readText()") == "11.90"
    look(paula, artifacts, "billing-transfer")
    paula.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    paula.get_by_role("button", name="Buy €10.00").click()
    expect(dialog).to_contain_text(REFERENCE)
    dialog.get_by_role("button", name="Done").click()


def test_an_operator_records_what_has_come(
    site: Installation, browser: Browser, paula: Page, billing: FakeBilling, artifacts: Path
) -> None:
    billing.issue(owner_of(paula), 357, overdue_days=3)
    page = operator(site, browser, "olga")
    page.get_by_role("button", name=f"It has come: {REFERENCE}").click()
    expect(page.get_by_label("Reference")).to_have_value(REFERENCE)
    amount = page.get_by_label("Amount in EUR")
    amount.fill("1.190,00")
    expect(page.get_by_text("An amount like 11.90")).to_be_visible()
    amount.fill("11,91")
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the amount that is asked for.")
    amount.fill("11,90")
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_role("list", name="Recorded")).to_contain_text(REFERENCE)
    expect(page.get_by_text("Nothing is waited for.")).to_be_visible()
    expect(page.get_by_role("table", name="Open invoices")).to_contain_text("2026-000001")
    expect(page.get_by_text("1 comparison does not agree")).to_be_visible()
    dismiss(page)
    look(page, artifacts, "operator-billing")
    again(paula)
    expect(paula.get_by_role("region", name="Credits")).to_contain_text("€10.00")
    page.context.close()


def test_a_payment_is_taken_back_by_two(
    site: Installation, browser: Browser, paula: Page, billing: FakeBilling, artifacts: Path
) -> None:
    page = operator(site, browser, "otto")
    page.get_by_role("button", name=f"Ask to take it back: {REFERENCE}").click()
    back = page.get_by_role("list", name="To be taken back")
    back.get_by_role("button", name=f"Confirm for {REFERENCE}").click()
    page.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("another operator has to confirm it").last).to_be_visible()
    page.context.close()
    other = operator(site, browser, "oscar")
    other.get_by_role("button", name=f"Confirm for {REFERENCE}").click()
    look(other, artifacts, "operator-billing-reversal")
    other.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    expect(other.get_by_text("Nobody has asked for a payment to be taken back.")).to_be_visible()
    other.context.close()
    again(paula)
    expect(paula.get_by_role("region", name="Credits")).to_contain_text("€0.00")
    paula.get_by_text("What happened to credits and bills").click()
    book = paula.get_by_role("region", name="Book").get_by_role("row")
    expect(book.filter(has_text="Taken back")).to_contain_text("\N{MINUS SIGN}€10.00")
    expect(book.filter(has_text="Credits bought")).to_contain_text("+€10.00")


def test_invoices_are_saved_and_paid(paula: Page, tmp_path: Path, artifacts: Path) -> None:
    expect(paula.get_by_text("€3.57 to pay")).to_be_visible()
    invoices = paula.get_by_role("list", name="Invoices")
    with paula.expect_download() as download:
        invoices.get_by_role("link", name="Invoice 2026-000001 as PDF").click()
    download.value.save_as(tmp_path / "invoice.pdf")
    assert (tmp_path / "invoice.pdf").read_bytes() == PDF
    assert download.value.suggested_filename == "invoice-2026-000001.pdf"
    with paula.expect_download() as plain:
        invoices.get_by_role("link", name="Invoice 2026-000001 as JSON").click()
    plain.value.save_as(tmp_path / "invoice.json")
    assert json.loads((tmp_path / "invoice.json").read_bytes()) == {"number": "2026-000001"}
    invoices.get_by_role("button", name="Pay Invoice 2026-000001").click()
    expect(paula.get_by_role("dialog")).to_contain_text("€3.57")
    paula.keyboard.press("Escape")
    look(paula, artifacts, "billing-invoice")


def test_who_pays_is_kept_and_no_card_number(paula: Page) -> None:
    form = paula.get_by_role("region", name="Who pays")
    form.get_by_label("Name or company").fill("4111 1111 1111 1111")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("This looks like the number of a card.")
    form.get_by_label("Name or company").fill("Paula Example")
    form.get_by_label("Address").fill("Street 1\n12345 Town")
    form.get_by_label("Country").select_option(label="Germany")
    form.get_by_role("button", name="Save").click()
    expect(paula.get_by_text("Saved", exact=True).last).to_be_visible()
    again(paula)
    expect(form.get_by_label("Address")).to_have_value("Street 1\n12345 Town")
    expect(form.get_by_label("Country")).to_have_value("DE")
    dismiss(paula)


def test_usage_is_read_by_keyboard_and_as_a_table(paula: Page) -> None:
    chart = paula.get_by_role("group", name=re.compile("Mails sent by day"))
    chart.focus()
    paula.keyboard.press("End")
    expect(paula.locator(".day-readout", has_text=" on ")).to_have_count(1)
    paula.keyboard.press("ArrowLeft")
    paula.get_by_text("Show as a table").click()
    rows = paula.get_by_role("region", name="Table of usage by day").get_by_role("row")
    expect(rows).to_have_count(32)
    paula.get_by_label("A year").check(force=True)
    expect(paula.locator(".day-plot").first).to_contain_text("in 366 days")


def test_what_is_late_is_said_kindly(paula: Page, billing: FakeBilling, artifacts: Path) -> None:
    standing = billing.account(owner_of(paula)).standing
    standing.state, standing.state_until = "grace", billing.now() + 11 * DAY
    changes = [
        "the price of a month: 3.50 EUR instead of 3.00 EUR",
        "mails sent, included: 100 a day instead of 150 a day",
    ]
    standing.coming.add(plan=standing.plan, since=1_798_761_600, changes=changes)
    again(paula)
    expect(paula.get_by_text("changes on 1 January 2027 at the earliest.")).to_be_visible()
    expect(paula.get_by_text("The price of a month: 3.50 EUR instead of 3.00 EUR")).to_be_visible()
    expect(paula.get_by_text("€3.57 was due on")).to_be_visible()
    expect(paula.get_by_text("Everything works until")).to_contain_text("nothing is deleted")
    look(paula, artifacts, "billing-grace")
    standing.state, standing.state_until = "read_only", 0
    del standing.coming[:]
    again(paula)
    expect(paula.get_by_text("sending is paused")).to_be_visible()
    paula.get_by_role("button", name="Choose Business").click()
    expect(paula.get_by_role("alert")).to_contain_text("A bill is unpaid for long; pay it first.")
    billing.errors["GetStanding"] = UnavailableError("unreachable")
    go(paula, "/settings/appearance")
    go(paula, "/settings/billing")
    expect(paula.get_by_role("alert")).to_contain_text("could not do this just now")
    del billing.errors["GetStanding"]
    paula.get_by_role("button", name="Try again").click()
    expect(paula.get_by_role("heading", name=re.compile("Read only"))).to_be_visible()


def test_an_invoice_is_taken_back_by_a_credit_note(
    site: Installation, browser: Browser, paula: Page, artifacts: Path
) -> None:
    page = operator(site, browser, "oda")
    card = page.get_by_role("region", name="Take an invoice back")
    submit = card.get_by_role("button", name="Take it back")
    expect(submit).to_be_disabled()
    card.get_by_label("Invoice").fill("2026-000001")
    amount = card.get_by_label("Amount to take back")
    amount.fill("a lot")
    expect(card.get_by_text("An amount like 11.90")).to_be_visible()
    expect(submit).to_be_disabled()
    dialog = page.get_by_role("dialog")
    amount.fill("9.99")
    submit.click()
    dialog.get_by_role("button", name="Issue a credit note").click()
    expect(card.get_by_role("alert")).to_contain_text("There is not so much left of this invoice.")
    amount.fill("1.19")
    submit.click()
    look(page, artifacts, "operator-billing-credit")
    dialog.get_by_role("button", name="Issue a credit note").click()
    expect(page.get_by_text("€1.19 of 2026-000001 taken back")).to_be_visible()
    expect(card.get_by_label("Invoice")).to_have_value("")
    page.context.close()
    again(paula)
    notes = paula.get_by_role("list", name="Invoices").get_by_role("listitem").filter(has_text="Credit note")
    expect(notes).to_contain_text("2026-000002")
    expect(notes).to_contain_text("€1.19")


def test_with_a_provider_the_page_is_left_for_its_own(site: Installation, paula: Page, billing: FakeBilling) -> None:
    billing.provider = "stripe"
    standing = billing.account(owner_of(paula)).standing
    standing.state, standing.state_until = "active", 0
    try:
        again(paula)
        for name, url in (
            ("Buy €25.00", PROVIDERS[0]),
            ("Choose Business", PROVIDERS[0]),
            ("Cards and standing orders", PROVIDERS[1]),
        ):
            # Without content, the browser stays where it is.
            paula.route(url, lambda route: route.fulfill(status=204))
            with paula.expect_request(url):
                paula.get_by_role("button", name=name).click()
        payment = next(one for _, one in billing.payments.values() if one.url)
        paula.goto(f"{site.url}/settings/billing?payment={payment.payment_id}")
        paula.get_by_label("Password", exact=True).fill(PASSWORD)
        paula.get_by_role("button", name="Unlock").click()
        expect(paula.get_by_text("Your payment is not confirmed yet.")).to_be_visible()
        payment.state = "paid"
        expect(paula.get_by_text("Thank you, your payment is here.")).to_be_visible()
        assert paula.url == f"{site.url}/settings/billing"
    finally:
        billing.provider = "manual"


def test_without_billing_nothing_is_shown(governed: tuple[Installation, Governing], browser: Browser) -> None:
    bare, _ = governed
    with browser.new_context() as context:
        page = context.new_page()
        sign_up(page, bare.url, "nina")
        go(page, "/settings/billing")
        expect(page.get_by_role("link", name="Account and key")).to_be_visible()
        expect(page.get_by_role("link", name="Plan and usage")).to_have_count(0)


def operator(site: Installation, browser: Browser, name: str) -> Page:
    """Return the section of an operator who has just signed in."""
    address = site.sign_up(name, Role.OPERATOR)
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(site.url + "/operator/billing")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Billing", level=1)).to_be_visible()
    expect(page.get_by_role("heading", name="Counted against held")).to_be_visible()
    return page
