"""A business sends by program, and looks after it in the page, against the whole platform and a world on the loopback.

It signs up, proves its domain by records that it takes from the page, sends over HTTP with a key made in the page, and
finds there what became of the mail. Each section is looked at by axe, in both colour schemes, and at 360 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from libs.runtime.clock import SystemClock
from tests.e2e import forwarding, measuring
from tests.e2e.browser import PASSWORD, Watch, sign_up
from tests.e2e.relaying import DOMAIN, Business
from tests.e2e.test_access import AXE, NARROW, RUN_AXE, WIDE
from tests.support.operators import make_operator
from tests.support.outside import outside
from tests.support.platform import running_platform
from tests.support.remote_steps import RCPT

STORED = "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (box.width === 0 || getComputedStyle(e).visibility === 'hidden') return false;
  const scrolls = e.closest('.settings-nav ul, .visually-hidden, .skip, pre');
  return !scrolls && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""
SECTIONS = {
    "How sending stands": "left until midnight UTC",
    "What became of mail": "Recipients a day",
    "Opens and clicks": "Nothing is counted until",
    "Sender domains": "Verified",
    "SMTP and API": "STARTTLS",
    "Webhooks": "Add a webhook",
    "Not written to": "newest first",
}


@pytest.fixture(scope="module")
def business(built_page: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Business]:
    """Sign a business up, once for this module; the tests tell its story in their order."""
    home = tmp_path_factory.mktemp("relay")
    with outside("remote.test", "refusing.test") as world, running_platform(home, **world.settings) as platform:
        world.mtas["refusing.test"].says(RCPT, "550 5.1.1 no such mailbox here")
        context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        watch = Watch().attach(page)
        sign_up(page, platform.url, "shop", path="/sign-up/business")
        yield Business(page, watch, platform, world, f"shop@{platform.relay_domain}")
        context.close()


def test_a_business_signs_up_and_sees_how_its_sending_stands(business: Business, artifacts: Path) -> None:
    page = business.page
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Sending").click()
    expect(page.get_by_text("0 of 5,000")).to_be_visible()
    expect(page.get_by_text("0 % · fine")).to_have_count(2)
    expect(page.get_by_role("heading", name="To send by program")).to_be_visible()
    expect(page.get_by_role("link", name="This installation")).to_have_count(0)
    page.screenshot(path=artifacts / "sending.png", full_page=True)


def test_a_domain_is_verified_by_the_records_that_the_page_tells(business: Business, artifacts: Path) -> None:
    page = business.page
    business.section("Sender domains")
    page.get_by_label("Domain").fill("co.uk")
    page.get_by_role("button", name="Add domain").click()
    expect(page.get_by_text("Domains are registered under this name by many")).to_be_visible()
    page.get_by_label("Domain").fill(DOMAIN)
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name=DOMAIN)
    expect(card.get_by_text("Not verified")).to_be_visible()
    expect(card.get_by_text("Not checked").first).to_be_visible()
    card.get_by_role("button", name="Check now").click()
    expect(card.get_by_text("Missing").first).to_be_visible()
    page.screenshot(path=artifacts / "sender-domain-missing.png")

    records = business.records()
    assert {name for _, name, _ in records} >= {f"_sealpost.{DOMAIN}", DOMAIN, f"_dmarc.{DOMAIN}"}
    card.get_by_role("button", name=f"Copy the value of _sealpost.{DOMAIN}").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied in {value for _, _, value in records} and copied.startswith("sealpost-verify=")
    for kind, name, value in records:
        # One of them is published wrongly, as happens.
        business.world.publish(name, kind, "v=spf1 -all" if "spf1" in value else value)
    card.get_by_role("button", name="Check now").click()
    expect(card.get_by_text("Verified", exact=True)).to_be_visible()
    expect(card.get_by_role("row", name="SPF TXT")).to_contain_text("Wrong")
    expect(card.get_by_role("row", name="DMARC")).to_contain_text("OK")
    page.screenshot(path=artifacts / "sender-domain.png")


def test_programs_are_told_where_and_given_keys(business: Business, artifacts: Path) -> None:
    page = business.page
    business.section("SMTP and API")
    main = page.get_by_role("main")
    for text in ("127.0.0.1", str(business.platform.submission_port), str(business.platform.submissions_port)):
        expect(main.get_by_text(text, exact=True)).to_be_visible()
    expect(main.locator("dd").get_by_text(business.address)).to_be_visible()
    expect(page.get_by_label("example with curl", exact=True)).to_contain_text("/v1/send")
    page.screenshot(path=artifacts / "sending-programs.png")
    for name, prefix in (("app password", ""), ("API key", "sp_")):
        page.get_by_role("button", name=f"Make an {name}").click()
        business.dialog(f"Make an {name}").get_by_label("Label").fill("the shop")
        page.keyboard.press("Enter")
        secret = business.dialog(f"Your new {name}").get_by_test_id("secret")
        expect(secret).to_be_visible()
        business.key = secret.inner_text().strip()
        assert business.key.startswith(prefix)
        business.dialog(f"Your new {name}").get_by_role("button", name="I have copied it").click()
        expect(page.get_by_text(business.key)).to_have_count(0)


def test_what_became_of_a_mail_is_shown(business: Business, artifacts: Path) -> None:
    page = business.page
    people = [f"ann{number}@remote.test" for number in range(5)]
    business.send(**{"from": f"news@{DOMAIN}"}, to=people, subject="News", text="Hello", campaign="autumn")
    business.send(**{"from": f"news@{DOMAIN}"}, to=["gone@refusing.test"], subject="News", text="Hello")
    business.world.wait_mail("remote.test", len(people))
    business.section("What became of mail")
    events = page.get_by_role("list", name="Events")
    _until(page, events.get_by_text("gone@refusing.test"))
    _until(page, events.get_by_text("ann4@remote.test"))
    expect(events.get_by_text("no such address")).to_be_visible()
    expect(events.get_by_text("campaign autumn").first).to_be_visible()
    page.screenshot(path=artifacts / "sending-events.png", full_page=True)
    page.get_by_role("button", name="Bounced 1").click()
    expect(events.get_by_role("listitem")).to_have_count(1)
    events.get_by_role("button", name="The mail to gone@refusing.test").click()
    recipients = business.dialog("The mail").get_by_role("list", name="Recipients")
    expect(recipients).to_contain_text("Bounced")
    page.keyboard.press("Escape")
    business.section("How sending stands")
    expect(page.get_by_text("6 of 5,000")).to_be_visible()


def test_addresses_are_looked_up_put_on_the_list_and_taken_off(business: Business, artifacts: Path) -> None:
    page = business.page
    business.section("Not written to")
    entries = page.get_by_role("list", name="Entries").get_by_role("listitem")
    expect(entries).to_have_count(1)
    page.get_by_label("Address").fill("gone@refusing.test")
    page.keyboard.press("Enter")
    expect(page.get_by_text("gone@refusing.test is on the list")).to_contain_text("bounced")
    page.get_by_label("Address").fill("ann0@remote.test")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("ann0@remote.test is not on the list")).to_be_visible()
    page.get_by_role("button", name="Put it on the list").click()
    expect(page.get_by_text("ann0@remote.test is on the list")).to_contain_text("put here by you")
    expect(entries).to_have_count(2)
    page.screenshot(path=artifacts / "suppressions.png")
    business.send(**{"from": f"news@{DOMAIN}"}, to=["ann0@remote.test"], subject="More", text="Hello")
    page.get_by_role("button", name="Take it off").click()
    expect(entries).to_have_count(1)
    business.section("What became of mail")
    _until(page, page.get_by_role("list", name="Events").get_by_text("Held back"))


def test_a_webhook_is_added_and_its_secret_shown_once(business: Business, artifacts: Path) -> None:
    page = business.page
    business.section("Webhooks")
    page.get_by_label("URL").fill("ftp://hooks.customer.test/")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("This is not a URL that can be posted to")).to_be_visible()
    page.get_by_label("URL").fill("https://hooks.customer.test/mail")
    page.get_by_label("Bounced").check()
    page.get_by_label("Complained").check()
    page.get_by_role("button", name="Add webhook").click()
    secret = page.get_by_test_id("secret").inner_text().strip()
    assert secret.startswith("whsec_")
    page.screenshot(path=artifacts / "webhook-secret.png")
    page.get_by_role("button", name="I have copied it").click()
    hook = page.get_by_role("list", name="Webhooks").get_by_role("listitem")
    expect(hook).to_contain_text("Bounced, Complained")
    expect(page.get_by_text(secret)).to_have_count(0)
    hook.get_by_role("button", name="Post again").click()
    business.dialog("Post events again").get_by_role("button", name="Post again").click()
    expect(page.get_by_text("1 event posted again")).to_be_visible()
    hook.get_by_role("button", name="Delete").click()
    business.dialog("Delete this webhook?").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_a_campaign_is_stopped(business: Business) -> None:
    page = business.page
    tomorrow = (SystemClock().now() + timedelta(days=1)).isoformat()
    mail = {"to": ["ann0@remote.test"], "subject": "x", "text": "y", "send_at": tomorrow, "campaign": "winter"}
    business.send(**{"from": f"news@{DOMAIN}"} | mail)
    business.section("How sending stands")
    page.get_by_label("Name of the campaign").fill("Not A Name")
    page.get_by_role("button", name="Stop it").click()
    business.dialog("Stop this campaign?").get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("The name of a campaign has")).to_be_visible()
    page.get_by_label("Name of the campaign").fill("winter")
    page.keyboard.press("Enter")
    business.dialog("Stop this campaign?").get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("Stopped: 1 recipient will not get it")).to_be_visible()
    business.section("What became of mail")
    _until(page, page.get_by_role("list", name="Events").get_by_text("Cancelled"))


def test_a_campaign_is_counted(business: Business, artifacts: Path) -> None:
    measuring.campaign_is_counted(business, artifacts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("section", SECTIONS)
def test_everybody_can_use_every_section(section: str, scheme: Any, business: Business, artifacts: Path) -> None:
    page = business.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    business.section(section)
    page.get_by_text(SECTIONS[section]).first.wait_for()
    page.wait_for_timeout(60)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.get_by_role("navigation", name="Sending").get_by_role("link", name="Settings").click()
    page.go_back()
    page.get_by_text(SECTIONS[section]).first.wait_for()
    page.wait_for_timeout(60)
    try:
        assert page.evaluate(OVERFLOWING) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        name = section.lower().replace(" ", "-")
        page.screenshot(path=artifacts / f"sending-{name}-{scheme}.png")
    finally:
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def test_copies_go_elsewhere_once_somebody_there_agrees(business: Business, artifacts: Path) -> None:
    page = business.page
    forwarding.open_section(page)
    forwarding.ask(business)
    reader = forwarding.agree(business, artifacts)
    forwarding.look_again(page, "Copies go there")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    page.screenshot(path=artifacts / "forwarding.png", full_page=True)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert page.evaluate(OVERFLOWING) == []
    page.screenshot(path=artifacts / "forwarding-narrow.png")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    forwarding.stop(reader)
    forwarding.look_again(page, "nothing goes there")
    forwarding.take_out(page)


def test_operators_see_the_records_of_the_installation(business: Business, artifacts: Path) -> None:
    page = business.page
    make_operator(business.platform, business.address)
    page.reload()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Unlock").click()
    business.section("This installation")
    table = page.get_by_role("table", name=f"DNS records of {business.platform.member_domain}")
    expect(table.get_by_role("row", name="where its mail goes")).to_contain_text("Missing")
    page.get_by_label("Address of the account").fill(f"nobody-at-all@{business.platform.member_domain}")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("This account does not exist any more.")).to_be_visible()
    page.screenshot(path=artifacts / "operator-dns.png")


def test_a_paused_account_is_told_so_and_what_to_do(business: Business, artifacts: Path) -> None:
    page = business.page
    standing = {"sent_today": 4200, "limit_today": 5000, "limit_per_mail": 1000, "paused": True, "reason": "bounces"}
    rates = {"bounced_per_mille": 137, "complained_per_mille": 2}
    page.route("**/v1/sending", lambda route: route.fulfill(json=standing | rates))
    business.section("How sending stands")
    expect(page.get_by_role("alert")).to_contain_text("Sending is paused.")
    expect(page.get_by_text("13.7 % · above the mark")).to_be_visible()
    page.screenshot(path=artifacts / "sending-paused.png")
    page.unroute("**/v1/sending")
    page.route("**/v1/sending", lambda route: route.abort())
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible()


def test_nothing_is_kept_in_the_browser_and_nothing_asked_elsewhere(business: Business) -> None:
    assert business.page.evaluate(STORED) == [0, 0, 0]
    assert business.watch.foreign(business.platform.url) == []
    assert business.watch.errors == []


def _until(page: Page, wanted: Locator) -> None:
    """Look again until it is there: what happens to mail is not pushed to the page."""
    for _ in range(40):
        if wanted.count():
            return
        page.get_by_role("button", name="Look again").click()
        page.wait_for_timeout(500)
    expect(wanted).to_be_visible()
