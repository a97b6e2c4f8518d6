"""An account's owner in Chromium: takes data along, answers a notice, raises a concern, asks for the end, undoes it."""

from __future__ import annotations

import json
import mailbox
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from services.accounts.domain.model import Role
from tests.e2e.browser import PASSWORD, Watch, sign_up
from tests.e2e.governing import Governing
from tests.e2e.looking import dismiss, look
from tests.e2e.operating import Installation
from tests.e2e.test_access import WIDE

Governed = tuple[Installation, Governing]
NAME, ADDRESS = "rita", "rita@sealpost.test"
MAILS = [
    b"From: bob@example.org\r\nSubject: the first\r\n\r\nFrom here on\r\n>From there\r\nall is well.\r\n",
    b"From: bob@example.org\r\nSubject: the second\r\n\r\nNo end of line",
]
CONCERN = "The name in my signature is wrong, and I did not write it."


@pytest.fixture(scope="module")
def rita(governed: Governed, browser: Browser) -> Iterator[Page]:
    """The page of a member with two mails."""
    site, _ = governed
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    watch = Watch().attach(page)
    sign_up(page, site.url, NAME)
    for number, raw in enumerate(MAILS):
        site.deliver(ADDRESS, raw, f"mail {number}")
    expect(page.get_by_role("link", name="mail 1")).to_be_visible()
    yield page
    assert watch.errors == [] and watch.foreign(site.url) == []
    context.close()


def go(page: Page, path: str) -> None:
    """Walk inside the page, so that the key stays open."""
    page.evaluate("to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }", path)


def test_everything_can_be_taken_along(rita: Page, tmp_path: Path, artifacts: Path) -> None:
    go(rita, "/settings/data")
    expect(rita.get_by_text("court order:").first).to_be_visible()
    look(rita, artifacts, "rights-data")
    with rita.expect_download() as sealed:
        rita.get_by_role("link", name="Save the sealed archive").click()
    sealed.value.save_as(tmp_path / "all.zip")
    archive = zipfile.ZipFile(tmp_path / "all.zip")
    assert {"README.txt", "mail/sealed.mbox", "manifest.json"} <= set(archive.namelist())
    assert archive.read("mail/sealed.mbox").count(b"-----BEGIN PGP MESSAGE-----") == len(MAILS)
    assert b"all is well" not in archive.read("mail/sealed.mbox")
    assert json.loads(archive.read("data/accounts/account/account.json"))["wrapped_private_key"]
    with rita.expect_download() as opened:
        rita.get_by_role("button", name="Save all mail, opened").click()
    opened.value.save_as(tmp_path / "open.mbox")
    assert opened.value.suggested_filename == f"{ADDRESS}.mbox"
    with closing(mailbox.mbox(tmp_path / "open.mbox")) as box:
        found = {str(mail["Subject"]): mail for mail in box}
    assert set(found) == {"the first", "the second"}
    quoted = found["the first"].get_payload(decode=True)
    assert isinstance(quoted, bytes)
    body = re.sub(rb"(?m)^>(>*From )", rb"\1", quoted)
    assert body.rstrip(b"\n") == MAILS[0].partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n").rstrip(b"\n")
    assert {mail["X-Sealpost-Folder"] for mail in found.values()} == {"inbox"}


def test_consents_are_given_and_taken_back(rita: Page) -> None:
    newsletter = rita.get_by_role("checkbox", name="Newsletter")
    expect(newsletter).not_to_be_checked()
    newsletter.focus()
    rita.keyboard.press("Space")
    expect(newsletter).to_be_checked()
    rita.get_by_role("textbox", name="Contact address").fill("rita@elsewhere.example")
    rita.get_by_role("button", name="Save", exact=True).click()
    expect(rita.get_by_text("Saved", exact=True).last).to_be_visible()
    go(rita, "/settings/account")
    go(rita, "/settings/data")
    expect(rita.get_by_role("textbox", name="Contact address")).to_have_value("rita@elsewhere.example")
    rita.get_by_role("textbox", name="Contact address").fill("")
    rita.get_by_role("button", name="Forget it").click()
    newsletter.click()
    expect(newsletter).not_to_be_checked()
    dismiss(rita)


def test_a_notice_is_refused_and_accepted_after_all(governed: Governed, rita: Page, artifacts: Path) -> None:
    site, _ = governed
    account = rita.evaluate("fetch('/v1/session').then(answer => answer.json())")
    site.announce(account.get("account", account)["id"], 2)
    rita.reload()
    rita.get_by_label("Password", exact=True).fill(PASSWORD)
    rita.get_by_role("button", name="Unlock").click()
    banner = rita.get_by_role("region", name="Changed policy")
    expect(banner).to_contain_text("The privacy policy changes")
    go(rita, "/mail/inbox")
    look(rita, artifacts, "rights-notice")
    with rita.context.expect_page() as difference:
        banner.get_by_role("link", name="See what changes").click()
    expect(difference.value.get_by_role("heading", level=1)).to_contain_text("What changes from version 1 to version 2")
    difference.value.close()
    banner.get_by_role("button", name="Refuse").focus()
    rita.keyboard.press("Enter")
    dialog = rita.get_by_role("dialog")
    expect(dialog).to_contain_text("The terms that hold for you now go on to hold until")
    dialog.get_by_role("button", name="Refuse").click()
    expect(banner).to_have_count(0)
    go(rita, "/settings/data")
    rita.get_by_role("button", name="Accept it after all").click()
    expect(rita.get_by_text("You have refused version 2")).to_have_count(0)
    dismiss(rita)


def test_a_concern_is_a_thread_with_two_ends(governed: Governed, browser: Browser, rita: Page, artifacts: Path) -> None:
    site, _ = governed
    go(rita, "/settings/concerns")
    rita.get_by_label("Your concern").fill(CONCERN)
    rita.get_by_role("button", name="Raise it").click()
    expect(rita.get_by_text("Waits for an answer")).to_be_visible()
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    support = context.new_page()
    support.goto(site.url + "/operator")
    support.get_by_label("Address").fill(site.sign_up("sam", Role.SUPPORT))
    support.get_by_label("Password", exact=True).fill(PASSWORD)
    support.get_by_role("button", name="Sign in").click()
    expect(support.get_by_role("navigation", name="Sections").get_by_role("link")).to_have_text(["Concerns"])
    support.get_by_role("button", name=f"Show the concern of {ADDRESS}").click()
    expect(support.get_by_text(CONCERN)).to_be_visible()
    support.get_by_role("textbox", name="Answer").fill("Thank you. Where do you see it?")
    support.get_by_role("button", name="Send").click()
    expect(support.get_by_text("Answered")).to_be_visible()
    dismiss(support)
    look(support, artifacts, "operator-concerns")
    context.close()
    go(rita, "/settings/account")
    go(rita, "/settings/concerns")
    rita.get_by_role("button", name="Show").click()
    expect(rita.get_by_text("Where do you see it?")).to_be_visible()
    dismiss(rita)
    look(rita, artifacts, "rights-concerns")
    rita.get_by_role("button", name="Settled, close it").click()
    expect(rita.get_by_text("Closed", exact=True)).to_be_visible()


def test_the_end_is_asked_for_and_undone(governed: Governed, rita: Page, artifacts: Path) -> None:
    go(rita, "/settings/data")
    rita.get_by_label("Your password").fill("not the password")
    rita.get_by_role("button", name="Erase my account").click()
    expect(rita.get_by_role("alert")).to_be_visible()
    rita.get_by_label("Your password").fill(PASSWORD)
    rita.get_by_role("button", name="Erase my account").click()
    banner = rita.get_by_role("region", name="Erasure")
    expect(banner).to_contain_text("This account is erased on")
    expect(rita.get_by_text("/erasure/")).to_be_visible()
    dismiss(rita)
    look(rita, artifacts, "rights-erasure")
    go(rita, "/mail/inbox")
    expect(rita.get_by_role("link", name="mail 1")).to_be_visible()
    banner.get_by_role("button", name="Keep my account").focus()
    rita.keyboard.press("Enter")
    expect(banner).to_have_count(0)
    go(rita, "/settings/data")
    expect(rita.get_by_role("button", name="Erase my account")).to_be_visible()
