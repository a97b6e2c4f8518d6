"""Disclosure in Chromium: one officer opens a case, another approves it, and what the order gets is saved."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from services.accounts.domain.model import Role
from tests.e2e.browser import PASSWORD
from tests.e2e.governing import ARCHIVE, Governing
from tests.e2e.looking import dismiss, look
from tests.e2e.operating import Installation
from tests.e2e.test_access import WIDE

Governed = tuple[Installation, Governing]
ORDER = "12 Gs 345/26"


def _officer(site: Installation, browser: Browser, name: str) -> Page:
    address = site.sign_up(name, Role.DISCLOSURE)
    page = browser.new_context(viewport=WIDE, reduced_motion="reduce").new_page()  # type: ignore[arg-type]
    page.goto(site.url + "/operator")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Disclosure")).to_be_visible()
    return page


@pytest.fixture(scope="module")
def officers(governed: Governed, browser: Browser) -> Iterator[tuple[Page, Page]]:
    """The pages of two officers."""
    site, _ = governed
    pages = _officer(site, browser, "first.officer"), _officer(site, browser, "second.officer")
    yield pages
    for page in pages:
        page.context.close()


def _case(page: Page, reference: str = ORDER) -> Locator:
    return page.get_by_role("region", name=f"Case {reference}")


def _open(page: Page, reference: str) -> None:
    form = page.get_by_role("region", name="Open a case")
    form.get_by_label("Reference of the order").fill(reference)
    form.get_by_label("Legal basis").select_option(label="A search warrant")
    form.get_by_label("Address of the account").fill("ada@sealpost.test")
    form.get_by_label("From").fill("2026-01-01")
    form.get_by_label("Until, this day included").fill("2026-03-31")
    form.get_by_label("Your mail").check()
    form.get_by_role("button", name="Open the case").click()
    expect(_case(page, reference)).to_be_visible()


def test_an_officer_sees_nothing_else(officers: tuple[Page, Page]) -> None:
    first, _ = officers
    expect(first.get_by_role("navigation", name="Sections").get_by_role("link")).to_have_text(["Disclosure"])
    expect(first.get_by_role("heading", name="There is no case")).to_be_visible()


def test_a_case_needs_two_officers(
    governed: Governed, officers: tuple[Page, Page], artifacts: Path, tmp_path: Path
) -> None:
    _, governing = governed
    first, second = officers
    _open(first, ORDER)
    (case,) = governing.cases.values()
    assert list(case.data_classes) == ["member_mail"] and case.until - case.since == 90 * 86_400
    expect(_case(first).get_by_text("Another officer has to approve")).to_be_visible()
    expect(_case(first).get_by_role("button", name="Approve")).to_have_count(0)
    second.reload()
    expect(_case(second).get_by_text("January 1, 2026 to March 31, 2026")).to_be_visible()
    look(second, artifacts, "operator-disclosure")
    _case(second).get_by_role("button", name="Approve").click()
    second.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(_case(second).get_by_text("Approved", exact=True)).to_be_visible()
    with second.expect_download() as download:
        _case(second).get_by_role("link", name="Save the archive").click()
    download.value.save_as(tmp_path / "case.zip")
    assert zipfile.ZipFile(tmp_path / "case.zip").namelist() == [ARCHIVE]
    expect(_case(second).get_by_text("Handed over", exact=True)).to_be_visible()
    expect(_case(second).get_by_text("SHA-256 of the archive")).to_be_visible()
    _case(second).get_by_role("button", name="Close the case").click()
    second.get_by_role("dialog").get_by_role("button", name="Close it").click()
    expect(_case(second).get_by_text("Closed", exact=True).first).to_be_visible()
    dismiss(second)


def test_a_refusal_has_a_reason_and_the_keyboard_suffices(officers: tuple[Page, Page]) -> None:
    first, second = officers
    _open(first, "without basis")
    second.reload()
    refuse = _case(second, "without basis").get_by_role("button", name="Refuse")
    refuse.focus()
    second.keyboard.press("Enter")
    second.get_by_role("dialog").get_by_label("Why").fill("No signature of a judge.")
    second.keyboard.press("Tab")
    second.keyboard.press("Tab")
    second.keyboard.press("Enter")
    expect(_case(second, "without basis").get_by_text("No signature of a judge.")).to_be_visible()
