"""The operators' page on the whole platform: a user without the role meets 404, a holder sees what was released."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from libs.client.api import Client
from libs.runtime.clock import SystemClock, unix_seconds
from tests.e2e.browser import PASSWORD, Watch
from tests.e2e.test_access import WIDE
from tests.e2e.test_operator import sign_in
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform, running_platform
from tests.support.releases import HOUR, plant

PATHS = ("statistics", "statistics/mail_received/by_outcome", "budget", "health", "audit", "holders")


def open_page(browser: Browser, platform: RunningPlatform, name: str, *roles: str) -> tuple[Page, Watch]:
    """Sign somebody up who holds `roles`, and give the page that he has signed in at."""
    address = f"{name}@{platform.member_domain}"
    with Client(platform.url) as client:
        client.signup(address, PASSWORD)
    for role in roles:
        make_operator(platform, address, role)
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch().attach(page)
    sign_in(page, platform.url, address)
    return page, watch


def test_a_holder_sees_what_was_released_and_nobody_else_anything(
    built_page: Path, browser: Browser, tmp_path: Path, artifacts: Path
) -> None:
    with running_platform(tmp_path) as platform:
        this_hour = unix_seconds(SystemClock()) // HOUR * HOUR
        hours = [[9000 + 1000 * (i % 6), 2000 - 40 * i, 30 * i - 100, -12] for i in range(20)]
        plant(platform, ("mail_received", "by_outcome"), this_hour - 22 * HOUR, hours)
        stranger, _ = open_page(browser, platform, "eve")
        _is_not_there(stranger, platform)
        page, watch = open_page(browser, platform, "olga", "operator", "statistics")
        expect(page.get_by_role("region", name="storage").get_by_text("1 of 1 process answers")).to_be_visible()
        page.get_by_role("link", name="Statistics").click()
        page.get_by_role("button", name="accepted").click()
        expect(page.get_by_role("heading", name="Mails by outcome: accepted")).to_be_visible()
        page.get_by_text("Show as a table").first.click()
        # Another hour may be released meanwhile; those that were planted stay.
        expect(page.get_by_role("row").filter(has_text="10,000").first).to_contain_text("9,251")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=artifacts / "operator-platform.png", full_page=True)
        page.get_by_role("link", name="Audit").click()
        reads = page.get_by_role("row").filter(has_text="olga@").filter(has_text="Read statistics")
        expect(reads.filter(has_text="Mail received by outcome")).to_have_count(1)
        page.get_by_role("link", name="Budget").click()
        expect(page.get_by_text("of 8 spent")).to_be_visible()
        assert watch.errors == [] and watch.foreign(platform.url) == []
        for shown in (stranger, page):
            shown.context.close()


def _is_not_there(page: Page, platform: RunningPlatform) -> None:
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    answer = page.goto(platform.url + "/operator")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    unknown = page.request.get(platform.url + "/v1/nothing")
    for path in PATHS:
        found = page.request.get(f"{platform.url}/v1/operator/{path}")
        assert (found.status, found.text()) == (404, unknown.text()), path
