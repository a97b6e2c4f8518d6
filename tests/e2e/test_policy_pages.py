"""The policy as its readers see it, and versions, retention and promises as operators do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.accounts.domain.model import Role
from tests.e2e.browser import PASSWORD, Watch
from tests.e2e.governing import Governing
from tests.e2e.looking import dismiss, look
from tests.e2e.operating import Installation
from tests.e2e.test_access import WIDE

Governed = tuple[Installation, Governing]
PAGES = {
    "privacy": ("/privacy", "What we promise, and whether it holds"),
    "diff": ("/privacy/diff?from=1&to=2", "What changes from version 1 to version 2"),
    "versions": ("/privacy/versions", "Versions of the policy"),
    "transparency": ("/transparency", "Orders to disclose"),
    "receipt": ("/erasure/" + "a" * 32, "erased"),
}


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Page]:
    """The page of somebody who has no account and lets no script run of the site's."""
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def oscar(governed: Governed, browser: Browser) -> Iterator[Page]:
    """The page of an operator."""
    site, _ = governed
    address = site.sign_up("oscar", Role.OPERATOR)
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch().attach(page)
    page.goto(site.url + "/operator/policy")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    yield page
    assert watch.errors == [] and watch.foreign(site.url) == []
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_can_be_read_by_everybody(name: str, governed: Governed, reader: Page, artifacts: Path) -> None:
    site, _ = governed
    path, heading = PAGES[name]
    answer = reader.goto(site.url + path)
    assert answer is not None and answer.status == 200
    expect(reader.get_by_role("heading", level=1)).to_contain_text(heading)
    # A value that is not one shows as what Python calls it.
    assert "built-in" not in reader.content()
    look(reader, artifacts, f"policy-{name}")


def test_evidence_stands_beside_the_sentences_and_the_keyboard_opens_how(governed: Governed, reader: Page) -> None:
    site, governing = governed
    reader.goto(site.url + "/")
    reader.get_by_role("link", name="the privacy policy").click()
    expect(reader.get_by_role("heading", name="What we promise, and whether it holds")).to_be_visible()
    expect(reader.get_by_text("does not hold", exact=True)).to_have_count(1)
    expect(reader.locator("#class-public_mail").get_by_text("oldest is 2 hours past its time")).to_be_visible()
    first = reader.locator("article.clause").first
    first.locator("summary").focus()
    reader.keyboard.press("Enter")
    expect(first.get_by_text("Proved by")).to_be_visible()
    reader.get_by_role("navigation", name="Whose policy").get_by_role("link", name="Public").click()
    assert "profile=public" in reader.url
    assert governing.documents[1]["version"] == 1


def test_it_prints_with_everything_open(governed: Governed, reader: Page, artifacts: Path) -> None:
    site, _ = governed
    reader.goto(site.url + "/privacy?profile=public")
    reader.emulate_media(media="print", color_scheme="dark")
    expect(reader.get_by_role("navigation", name="Whose policy")).to_be_hidden()
    reader.set_viewport_size({"width": 760, "height": 1000})
    reader.screenshot(path=artifacts / "policy-print.png")
    reader.pdf(path=artifacts / "policy.pdf")
    reader.emulate_media(media="screen")


def test_the_diff_marks_what_is_new(governed: Governed, reader: Page) -> None:
    site, _ = governed
    reader.goto(site.url + "/privacy/diff?from=1&to=2")
    change = reader.locator("article.change.material").filter(has_text="public")
    expect(change.locator("del").first).to_have_text("4")
    expect(change.locator("ins").first).to_have_text("7")


def test_an_operator_announces_a_version(governed: Governed, oscar: Page, artifacts: Path) -> None:
    card = oscar.get_by_role("region", name="Version 2")
    expect(card.get_by_text("Proposed", exact=True).first).to_be_visible()
    expect(card.locator("ins").first).to_have_text("7")
    card.get_by_role("button", name="Announce").click()
    oscar.get_by_role("dialog").get_by_role("button", name="Announce").click()
    expect(card.get_by_role("button", name="Put in force")).to_be_disabled()
    expect(card.get_by_text("Notices run until")).to_be_visible()
    dismiss(oscar)
    look(oscar, artifacts, "operator-policy")


def test_an_operator_sees_what_is_late_and_looks_again(governed: Governed, oscar: Page, artifacts: Path) -> None:
    oscar.get_by_role("navigation", name="Sections").get_by_role("link", name="Retention").click()
    expect(
        oscar.get_by_role("status").get_by_text("1 promise does not hold, 1 class is past the limit")
    ).to_be_visible()
    late = oscar.locator(".held li").first
    expect(late.get_by_text("2 hours past its time")).to_be_visible()
    look(oscar, artifacts, "operator-retention")
    oscar.get_by_role("button", name="The clock is right").click()
    expect(oscar.get_by_role("heading", name="The clock has moved")).to_have_count(0)
    broken = oscar.locator(".probes li").filter(has_text="Does not hold")
    broken.get_by_role("button").focus()
    oscar.keyboard.press("Enter")
    expect(broken).to_have_count(0)
    dismiss(oscar)
