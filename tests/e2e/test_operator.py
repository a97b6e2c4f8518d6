"""The operators' page in Chromium: who gets it, what it shows, how it is used, and how it looks.

Each section is looked at by axe in both colour schemes and at 360 pixels; the page is served under the policy without
exceptions, so a style or a script that is not its own would fail here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from libs.runtime.errors import UnavailableError
from services.accounts.domain.model import Role
from tests.e2e.browser import PASSWORD, Watch
from tests.e2e.operating import Installation, installation
from tests.e2e.test_access import AXE, NARROW, RUN_AXE, WIDE

SECTIONS = {
    "Health": "All 7 services answer",
    "Statistics": "in 95 of 100 cases the truth lies within the band",
    "Budget": "What was spent, by cut",
    "Holders": "of at most 5",
    "Audit": "Who read what",
}
NOISY = re.compile(r"^-?[\d,]+ ± [\d,]+$")
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (box.width === 0 || getComputedStyle(e).visibility === 'hidden') return false;
  const scrolls = e.closest('.tabs, .table-scroll, .visually-hidden, .skip, .uplot');
  return !scrolls && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def site(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for this module."""
    with installation(tmp_path_factory.mktemp("operators")) as started:
        yield started


@pytest.fixture(scope="module")
def olga(site: Installation, browser: Browser) -> Iterator[Page]:
    """The page of somebody who holds both roles, signed in by its form."""
    address = site.sign_up("olga", Role.OPERATOR, Role.STATISTICS)
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", timezone_id="Europe/Berlin")  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch().attach(page)
    sign_in(page, site.url, address)
    yield page
    assert watch.errors == [] and watch.foreign(site.url) == []
    assert [line for line in watch.console if "Failed to load resource" not in line] == []
    context.close()


def sign_in(page: Page, url: str, address: str) -> None:
    page.goto(url + "/operator")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def section(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("link", name=name).click()
    expect(page.get_by_text(SECTIONS[name]).first).to_be_attached()


def test_signed_out_there_is_the_form_and_without_a_role_nothing(site: Installation, browser: Browser) -> None:
    address = site.sign_up("eve")
    with browser.new_context() as context:
        page = context.new_page()
        refused = page.goto(site.url + "/operator/statistics")
        assert refused is not None and refused.status == 200
        page.get_by_label("Address").fill(address)
        page.get_by_label("Password", exact=True).fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Address and password do not belong together.")).to_be_visible()
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
        for path in ("/operator", "/operator/health"):
            answer = page.goto(site.url + path)
            unknown = context.request.get(site.url + "/nothing")
            assert answer is not None and (answer.status, answer.text()) == (404, unknown.text())
            expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_who_sees_statistics_alone_sees_them_and_what_they_cost(site: Installation, browser: Browser) -> None:
    address = site.sign_up("stan", Role.STATISTICS)
    with browser.new_context() as context:
        page = context.new_page()
        sign_in(page, site.url, address)
        sections = page.get_by_role("navigation", name="Sections").get_by_role("link")
        expect(sections).to_have_text(["Statistics", "Budget"])
        expect(page.get_by_text(SECTIONS["Statistics"])).to_be_visible()
        page.goto(site.url + "/operator/audit")
        expect(page.get_by_role("heading", name="Statistics")).to_be_visible()


def test_health_says_in_words_how_the_services_are(site: Installation, olga: Page) -> None:
    expect(olga.get_by_role("status").get_by_text(SECTIONS["Health"])).to_be_visible()
    card = olga.get_by_role("region", name="storage")
    expect(card.get_by_text("2 of 2 processes answer")).to_be_visible()
    assert card.locator("canvas").count() >= 5
    site.analytics.down = "storage"
    olga.reload()
    expect(olga.get_by_role("status").get_by_text("storage: fails")).to_be_visible()
    site.analytics.down = ""


def test_statistics_show_numbers_with_their_bands(site: Installation, olga: Page, tmp_path: Path) -> None:
    section(olga, "Statistics")
    expect(olga.get_by_text("One address of the network counts at most 50 times a day.")).to_be_visible()
    chart = olga.get_by_role("group", name="Mails by outcome: all together")
    chart.focus()
    olga.keyboard.press("End")
    olga.keyboard.press("ArrowLeft")
    expect(olga.locator(".readout strong")).to_have_text(NOISY)
    olga.get_by_role("button", name="accepted").click()
    expect(olga.get_by_role("heading", name="Mails by outcome: accepted")).to_be_visible()
    olga.get_by_text("Show as a table").first.click()
    shown = olga.get_by_role("table", name="Mails by outcome: accepted").get_by_role("row").count()
    assert 20 <= shown <= 26
    with olga.expect_download() as download:
        olga.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "found.csv")
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text(encoding="utf-8").splitlines()))
    assert {"accepted", "refused", "deferred", "other"} <= {row["outcome"] for row in rows}
    with olga.expect_download() as picture:
        olga.get_by_role("button", name="PNG").click()
    picture.value.save_as(tmp_path / "found.png")
    assert (tmp_path / "found.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.value.suggested_filename == "mail_received-by_outcome.png"
    olga.get_by_label("Week").check(force=True)
    expect(olga.get_by_text("All 1", exact=False).first).to_be_visible()
    olga.get_by_role("button", name="Earlier week").click()
    expect(olga.get_by_role("button", name="Later week")).to_be_enabled()


def test_what_is_not_there_is_said(site: Installation, olga: Page) -> None:
    section(olga, "Statistics")
    site.analytics.begins = site.analytics.now()
    olga.reload()
    expect(olga.get_by_text("The first numbers appear after the first hour.")).to_be_visible()
    site.analytics.begins = 0
    site.analytics.error = UnavailableError("unreachable")
    olga.reload()
    expect(olga.get_by_role("alert")).to_contain_text("could not do this just now")
    site.analytics.error = None
    olga.get_by_role("button", name="Try again").click()
    expect(olga.get_by_text(SECTIONS["Statistics"])).to_be_visible()


def test_the_role_is_given_and_taken_and_all_of_it_is_in_the_audit(site: Installation, olga: Page) -> None:
    site.sign_up("bob")
    section(olga, "Holders")
    olga.get_by_label("Address of the account").fill("nobody")
    olga.get_by_role("button", name="Give the role").click()
    expect(olga.get_by_role("alert")).to_be_visible()
    olga.get_by_label("Address of the account").fill("bob")
    olga.get_by_role("button", name="Give the role").click()
    bob = olga.get_by_role("listitem").filter(has_text="bob@sealpost.test")
    bob.get_by_role("button").click()
    olga.get_by_role("dialog").get_by_role("button", name="Take the role").click()
    expect(bob).to_have_count(0)
    section(olga, "Audit")
    rows = olga.get_by_role("row").filter(has_text="olga@sealpost.test")
    expect(rows.filter(has_text="Asked to take the role")).to_have_count(1)
    expect(rows.filter(has_text="Exported statistics").filter(has_text="Mail received by outcome")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", list(SECTIONS))
def test_everybody_can_use_it(olga: Page, artifacts: Path, name: str, scheme: str) -> None:
    olga.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    section(olga, name)
    while (toast := olga.get_by_role("button", name="Dismiss")).count():
        toast.first.click()
    olga.screenshot(path=artifacts / f"operator-{name.lower()}-{scheme}.png", full_page=True)
    olga.evaluate(AXE.read_text(encoding="utf-8"))
    assert olga.evaluate(RUN_AXE) == []
    if scheme == "light":
        olga.set_viewport_size(NARROW)  # type: ignore[arg-type]
        olga.screenshot(path=artifacts / f"operator-{name.lower()}-narrow.png", full_page=True)
        assert olga.evaluate(OVERFLOWING) == []
        assert olga.evaluate(RUN_AXE) == []
        olga.set_viewport_size(WIDE)  # type: ignore[arg-type]
