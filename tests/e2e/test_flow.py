"""The way of one mail as a person walks it, in Chromium, against the whole platform: sign up, receive, read, delete.

Beside each walk stand the promises: one cookie (E4), nothing kept in the browser, no request to another origin (E1),
public inboxes that say so before use (P1).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Download, Page, expect

from tests.e2e import mails
from tests.e2e.browser import PASSWORD, Watch, sign_up
from tests.e2e.site import Site, running_site
from tests.support.tools import require_tool

STORED = "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"
NEW_PASSWORD = "entirely different words this time"


@pytest.fixture(scope="module")
def site(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start the platform once for this module."""
    with running_site(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser that has never been here."""
    made = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    yield made
    made.close()


def _cookies(context: BrowserContext) -> list[str]:
    return [cookie["name"] for cookie in context.cookies()]


def _save(download: Download, folder: Path) -> Path:
    path = folder / download.suggested_filename
    download.save_as(path)
    return path


def _menu(page: Page, item: str) -> None:
    page.get_by_role("button", name="Account", exact=True).click()
    page.get_by_role("menuitem", name=item).click()


def _open_settings(page: Page, section: str) -> None:
    _menu(page, "Settings")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name=section, exact=True).click()
    page.get_by_role("heading", name=section, level=1).wait_for()


def _unlock(page: Page, password: str) -> None:
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Unlock").click()


def test_sealed_mail_from_sign_up_to_deletion(
    site: Site, context: BrowserContext, artifacts: Path, tmp_path: Path
) -> None:
    page = context.new_page()
    watch = Watch().attach(page)
    address = f"ada@{site.member_domain}"
    page.goto(site.url)
    page.screenshot(path=artifacts / "start.png")
    sign_up(page, site.url, "ada")
    assert _cookies(context) == ["__Host-session"]

    site.deliver(mails.with_attachments(address), address)
    row = page.get_by_role("link", name="Plans and a picture")
    row.wait_for(timeout=15_000)
    page.screenshot(path=artifacts / "inbox.png")
    row.click()
    expect(page.locator(".mail-text")).to_contain_text("the plan is attached")
    page.screenshot(path=artifacts / "reading.png")

    with page.expect_download() as saving:
        page.get_by_title("Save plan.pdf").click()
    assert _save(saving.value, tmp_path).read_bytes() == b"%PDF-1.7 plan" * 500
    with page.expect_download() as saving:
        page.get_by_title("Save invoicefdp.exe").click()
    assert saving.value.suggested_filename == "invoicefdp.exe"

    page.get_by_role("button", name="Show source").click()
    expect(page.get_by_test_id("source")).to_contain_text("Return-Path: <bob@example.org>")
    expect(page.get_by_test_id("source")).to_contain_text("Authentication-Results:")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Who can read this").click()
    expect(page.get_by_test_id("readers")).to_contain_text("storage")
    page.screenshot(path=artifacts / "readers.png")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="To the trash").click()
    expect(page.get_by_text("Your inbox is empty")).to_be_visible()
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("link", name="Plans and a picture").click()
    page.get_by_role("button", name="Delete for good").click()
    page.locator("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Nothing here", exact=True)).to_be_visible()
    page.reload()
    _unlock(page, PASSWORD)
    expect(page.get_by_text("Nothing here", exact=True)).to_be_visible(timeout=15_000)

    assert page.evaluate(STORED) == [0, 0, 0]
    assert watch.foreign(site.url) == []
    assert watch.errors == []
    assert _cookies(context) == ["__Host-session"]


def test_public_inbox_without_registration(site: Site, context: BrowserContext, artifacts: Path) -> None:
    page = context.new_page()
    watch = Watch().attach(page)
    address = f"otter@{site.public_domain}"
    page.goto(site.url)
    expect(page.get_by_text("Public inboxes can be read by everybody")).to_be_visible()
    page.get_by_label("Name of the inbox").fill("otter")
    page.get_by_role("button", name="Open inbox").click()
    expect(page.get_by_text("This inbox is public.")).to_be_visible()
    page.get_by_text("Nothing here yet").wait_for()
    site.deliver(mails.newsletter(address), address)
    page.get_by_role("link", name="What to plant before the frost").click(timeout=15_000)
    frame = page.frame_locator("iframe.paper")
    expect(frame.get_by_role("heading", name="What to plant")).to_be_visible()
    expect(page.get_by_text("Kept out: 2 remote images")).to_be_visible()
    expect(page.locator(".reader-when").get_by_text("Gone in")).to_be_visible()
    page.screenshot(path=artifacts / "public.png")
    assert frame.get_by_alt_text("A leaf").evaluate("image => image.naturalWidth") == 1
    page.get_by_role("button", name="Delete", exact=True).click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Nothing here yet").wait_for()
    assert context.cookies() == []
    assert page.evaluate(STORED) == [0, 0, 0]
    assert watch.foreign(site.url) == []


def test_a_reload_asks_for_the_password_alone_and_sign_out_leaves_nothing(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    sign_up(page, site.url, "reload")
    site.deliver(mails.text("x@y.example", "After the reload", "still here"), f"reload@{site.member_domain}")
    page.reload()
    expect(page.get_by_text("You are signed in as")).to_contain_text(f"reload@{site.member_domain}")
    assert page.get_by_role("textbox").count() == 1
    _unlock(page, "a wrong password altogether")
    expect(page.get_by_role("alert")).to_contain_text("That password does not open your key")
    _unlock(page, PASSWORD)
    page.get_by_role("link", name="After the reload").wait_for(timeout=15_000)
    other = context.new_page()
    other.goto(site.url + "/mail/inbox")
    _unlock(other, PASSWORD)
    other.get_by_role("link", name="After the reload").wait_for(timeout=15_000)
    _menu(page, "Sign out")
    page.get_by_role("heading", name="Mail that only its reader can open").wait_for()
    assert context.cookies() == []
    # The key lived in a worker, and the worker is gone.
    assert page.workers == []
    other.get_by_role("heading", name="Sign in").wait_for()
    page.goto(site.url + "/mail/inbox")
    page.get_by_role("heading", name="Sign in").wait_for()


def test_a_recovery_code_opens_the_mailbox_with_a_new_password(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(site.url + "/sign-up")
    page.get_by_label("Address").fill("rescue")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat it").fill(PASSWORD)
    page.get_by_label("I understand").check()
    page.get_by_role("button", name="Create mailbox").click()
    code = page.get_by_test_id("recovery-code").locator("span")
    expect(code).to_have_count(8, timeout=15_000)
    groups = code.all_inner_texts()
    page.get_by_label("To confirm").fill(groups[-1].lower())
    page.get_by_role("button", name="I have kept it").click()
    page.get_by_text("Your inbox is empty").wait_for(timeout=15_000)
    site.deliver(mails.text("x@y.example", "Sealed before", "to the old password"), f"rescue@{site.member_domain}")
    _menu(page, "Sign out")
    page.goto(site.url + "/recover")
    page.get_by_label("Address").fill("rescue")
    page.get_by_label("Recovery code").fill(" ".join(groups))
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_label("Repeat it").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set the new password").click()
    page.get_by_role("link", name="Sealed before").wait_for(timeout=20_000)
    _menu(page, "Sign out")
    _sign_in(page, site, "rescue", PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("do not belong together", timeout=15_000)
    _sign_in(page, site, "rescue", NEW_PASSWORD)
    page.get_by_role("link", name="Sealed before").wait_for(timeout=20_000)


def _sign_in(page: Page, site: Site, local: str, password: str) -> None:
    page.goto(site.url + "/sign-in")
    page.get_by_label("Address").fill(local)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_settings_change_password_make_and_revoke_keys(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    sign_up(page, site.url, "settings")
    _open_settings(page, "Password")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_label("Repeat it").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed")).to_be_visible(timeout=15_000)
    _open_settings(page, "API keys and app passwords")
    page.get_by_label("Label").fill("backup script")
    page.get_by_role("button", name="Make API key").click()
    assert page.get_by_test_id("secret").inner_text().strip().startswith("sp_")
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_text("backup script")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.locator("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_label("App password").check()
    page.get_by_label("Label").fill("mail program")
    page.get_by_role("button", name="Make App password").click()
    assert len(page.get_by_test_id("secret").inner_text().strip()) >= 20
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_text("mail program", exact=True)).to_be_visible()
    _open_settings(page, "Sessions")
    expect(page.get_by_text("This session")).to_be_visible()
    _open_settings(page, "Storage")
    expect(page.get_by_role("meter", name="Space used")).to_be_visible()
    page.reload()
    _unlock(page, NEW_PASSWORD)
    page.get_by_role("heading", name="Storage").wait_for(timeout=15_000)


def test_own_folders_have_names_that_only_their_owner_reads(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    sign_up(page, site.url, "folders")
    site.deliver(mails.text("x@y.example", "To be filed", "in a folder"), f"folders@{site.member_domain}")
    page.get_by_role("button", name="New folder").click()
    page.get_by_label("Name").fill("Secret plans")
    with page.expect_request("**/v1/folders") as sent:
        page.get_by_role("button", name="Save").click()
    assert "Secret" not in (sent.value.post_data or "")
    page.get_by_role("heading", name="Secret plans").wait_for()
    page.get_by_role("link", name="Inbox").click()
    page.get_by_role("link", name="To be filed").click()
    page.locator(".reader-bar").get_by_role("button", name="Move to").click()
    page.get_by_role("menuitem", name="Secret plans").click()
    page.get_by_role("link", name="Secret plans").click()
    page.get_by_role("link", name="To be filed").wait_for()
    page.get_by_role("button", name="Actions for Secret plans").click()
    page.get_by_role("menuitem", name="Delete folder").click()
    page.locator("dialog").get_by_role("button", name="Delete folder").click()
    expect(page).to_have_url(site.url + "/mail/inbox")
    page.get_by_role("link", name="To be filed").wait_for()


def test_the_exported_key_opens_mail_in_gnupg(site: Site, context: BrowserContext, tmp_path: Path) -> None:
    gpg = require_tool("gpg")
    page = context.new_page()
    sign_up(page, site.url, "export")
    site.deliver(mails.text("x@y.example", "For GnuPG", "opened elsewhere"), f"export@{site.member_domain}")
    page.get_by_role("link", name="For GnuPG").wait_for(timeout=15_000)
    listed = context.request.get(site.url + "/v1/messages?folder=inbox").json()["messages"]
    body = context.request.get(f"{site.url}/v1/messages/{listed[0]['id']}/body").body()
    assert b"opened elsewhere" not in body
    _open_settings(page, "Account and key")
    page.get_by_label("Your password").fill(PASSWORD)
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save private key").click()
    key = _save(saving.value, tmp_path)
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    base = [gpg, "--homedir", str(home), "--batch", "--quiet"]
    subprocess.run([*base, "--import", str(key)], check=True, capture_output=True)
    opened = subprocess.run([*base, "--decrypt"], input=body, check=True, capture_output=True).stdout
    assert opened.startswith(b"Return-Path:")
    assert b"opened elsewhere" in opened
