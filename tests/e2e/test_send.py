"""Two members write to each other in two Chromium windows, against the whole platform.

Beside each walk stand the promises: sealed mail is read and verified in the browser (S2), what travels openly is told
before (S4), a blind recipient is told to nobody but the writer, and nothing is kept in the browser (E4).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from tests.e2e import mails
from tests.e2e.browser import PASSWORD, Watch, sign_up
from tests.e2e.site import Site, running_site

STORED = "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"


@pytest.fixture(scope="module")
def site(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start the platform once for this module."""
    with running_site(tmp_path_factory.mktemp("platform")) as running:
        yield running


class Window:
    """One member in a browser of his own."""

    def __init__(self, browser: Browser, site: Site, local: str) -> None:
        """Open a browser and make a mailbox in it."""
        self.context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page: Page = self.context.new_page()
        self.watch = Watch().attach(self.page)
        self.address = f"{local}@{site.member_domain}"
        self.site = site
        sign_up(self.page, site.url, local)

    def write(self, to: str, subject: str, text: str) -> None:
        """Begin a mail, by the keyboard."""
        self.page.keyboard.press("c")
        self.page.get_by_label("To", exact=True).fill(to)
        self.page.keyboard.press("Enter")
        self.page.get_by_label("Subject").fill(subject)
        self.page.get_by_label("Text").fill(text)

    def send(self) -> None:
        """Send what is written, and wait until it is."""
        self.page.keyboard.press("Control+Enter")
        expect(self.page.locator("form.write")).to_have_count(0)
        expect(self.page.get_by_label("Notices").get_by_text("Sent", exact=True).first).to_be_visible()

    def read(self, subject: str, folder: str = "Inbox") -> None:
        """Open a mail of a folder."""
        self.folder(folder)
        self.page.get_by_role("link", name=subject).first.click(timeout=20_000)
        self.page.locator(".mail-text").wait_for()

    def folder(self, name: str) -> None:
        """Go to a folder."""
        self.page.get_by_role("navigation", name="Folders").get_by_role("link", name=name).click()

    def source(self) -> str:
        """Return the beginning of the source of the open mail."""
        self.page.get_by_role("button", name="Show source").click()
        text = self.page.get_by_test_id("source").inner_text()
        self.page.keyboard.press("Escape")
        return text

    def clean(self) -> None:
        """Assert that nothing was kept in the browser, nothing asked elsewhere, and nothing failed."""
        assert self.page.evaluate(STORED) == [0, 0, 0]
        assert [cookie["name"] for cookie in self.context.cookies()] == ["__Host-session"]
        assert self.watch.foreign(self.site.url) == []
        assert self.watch.errors == []


@pytest.fixture
def windows(browser: Browser, site: Site) -> Iterator[list[Window]]:
    """Keep the windows that a test opens, and close them."""
    opened: list[Window] = []
    yield opened
    for window in opened:
        window.context.close()


def _open(windows: list[Window], browser: Browser, site: Site, *names: str) -> list[Window]:
    windows.extend(Window(browser, site, name) for name in names)
    return windows


def _file(name: str, kind: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def _recipients(page: Page, label: str) -> list[str]:
    chips = page.get_by_role("list", name=f"{label}: recipients")
    return [str(text) for text in chips.locator(".chip-name").all_inner_texts()]


def test_members_exchange_sealed_mail(
    windows: list[Window], browser: Browser, site: Site, artifacts: Path, tmp_path: Path
) -> None:
    ada, bob, eve = _open(windows, browser, site, "ada", "bob", "eve")
    ada.write(f"Bob <{bob.address}>", "Plans for the engine", "Dear Bob,\n\nthe mill wörks.\n\nAda")
    ada.page.get_by_role("button", name="Cc, Bcc").click()
    ada.page.get_by_label("Bcc", exact=True).fill(eve.address + ",")
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_text("Sealed for all 2: only they and you can read it.")).to_be_visible()
    plan = _file("Pläne.pdf", "application/pdf", b"%PDF-1.7 plan" * 100_000)
    picture = _file("picture.png", "image/png", mails.PNG)
    ada.page.get_by_label("Files to attach").set_input_files([plan, picture])
    ada.page.screenshot(path=artifacts / "write.png")
    ada.send()

    bob.read("Plans for the engine")
    expect(bob.page.get_by_test_id("sender-check")).to_have_text("Sender verified", use_inner_text=True)
    expect(bob.page.locator(".mail-text")).to_contain_text("the mill wörks.")
    bob.page.screenshot(path=artifacts / "read-sealed.png")
    with bob.page.expect_download() as saving:
        bob.page.get_by_title("Save Pläne.pdf").click()
    saving.value.save_as(tmp_path / "plan")
    assert (tmp_path / "plan").read_bytes() == plan["buffer"]
    assert eve.address not in bob.source()
    bob.page.get_by_role("button", name="Who can read this").click()
    expect(bob.page.get_by_test_id("readers")).not_to_contain_text("saw it open")
    bob.page.keyboard.press("Escape")

    eve.read("Plans for the engine")
    expect(eve.page.get_by_text("Your address is not among its recipients")).to_be_visible()
    assert eve.address not in eve.source()

    bob.page.keyboard.press("a")
    expect(bob.page.get_by_label("Text")).to_be_focused()
    assert _recipients(bob.page, "To") == [ada.address]
    bob.page.keyboard.type("So it does.")
    bob.send()
    ada.read("Re: Plans for the engine")
    expect(ada.page.get_by_test_id("sender-check")).to_have_text("Sender verified", use_inner_text=True)
    expect(ada.page.locator(".mail-text blockquote")).to_contain_text("the mill wörks.")
    bob.folder("Inbox")
    expect(bob.page.locator(".row-marks svg").first).to_be_visible()

    ada.read("Plans for the engine", "Sent")
    expect(ada.page.get_by_test_id("sender-check")).to_have_text("Written by you", use_inner_text=True)
    expect(ada.page.locator(".reader-who")).to_contain_text(f"Bcc {eve.address}")
    for window in windows:
        window.clean()


def test_a_draft_is_kept_taken_up_again_and_gone_when_sent(windows: list[Window], browser: Browser, site: Site) -> None:
    writer, reader = _open(windows, browser, site, "drafter", "draftee")
    page = writer.page
    writer.write(reader.address, "Half a thought", "It begins")
    page.get_by_label("Files to attach").set_input_files([_file("a.txt", "text/plain", b"attached")])
    expect(page.get_by_text("Draft kept")).to_be_visible()
    page.get_by_label("Text").fill("It begins, and goes on")
    writer.folder("Drafts")
    expect(page.get_by_role("link", name="Half a thought")).to_have_count(1)
    page.get_by_role("link", name="Half a thought").click()
    expect(page.get_by_label("Text")).to_have_value("It begins, and goes on")

    page.reload()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_label("Text")).to_have_value("It begins, and goes on", timeout=20_000)
    expect(page.get_by_label("Subject")).to_have_value("Half a thought")
    expect(page.get_by_role("list", name="Attachments")).to_contain_text("a.txt")
    assert _recipients(page, "To") == [reader.address]
    page.get_by_label("Text").fill("It begins, goes on and ends")
    writer.send()
    writer.folder("Drafts")
    expect(page.get_by_text("No drafts")).to_be_visible()
    reader.read("Half a thought")
    expect(reader.page.locator(".mail-text")).to_contain_text("goes on and ends")
    writer.clean()


def test_a_draft_is_kept_before_the_key_goes(windows: list[Window], browser: Browser, site: Site) -> None:
    (writer,) = _open(windows, browser, site, "locker")
    writer.write("somebody@example.org", "Before the lock", "quick")
    writer.page.get_by_role("button", name="Account", exact=True).click()
    writer.page.get_by_role("menuitem", name="Lock").click()
    writer.page.get_by_label("Password", exact=True).fill(PASSWORD)
    writer.page.get_by_role("button", name="Unlock").click()
    writer.folder("Drafts")
    expect(writer.page.get_by_role("link", name="Before the lock")).to_be_visible()


def test_what_travels_openly_is_told_before(
    windows: list[Window], browser: Browser, site: Site, artifacts: Path
) -> None:
    sender, reader = _open(windows, browser, site, "sender", "reader")
    page = sender.page
    sender.write(f"{reader.address}, grace@example.org", "To all of you", "hello")
    expect(page.get_by_text("Travels openly for 1 of 2.")).to_be_visible()
    assert page.locator(".chip-word").all_inner_texts() == ["sealed", "open"]
    page.keyboard.press("Control+Enter")
    question = page.get_by_role("dialog", name="This message travels openly")
    expect(question).to_contain_text("grace@example.org")
    page.screenshot(path=artifacts / "travels-openly.png")
    question.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Remove grace@example.org").click()
    page.get_by_label("To", exact=True).fill(f"nobody-at-all@{site.member_domain}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("no such address")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text(f"Nobody has the address nobody-at-all@{site.member_domain}")
    page.get_by_role("button", name="Remove nobody-at-all").click()
    sender.send()
    reader.read("To all of you")


def test_the_address_book_suggests_and_is_changed(
    windows: list[Window], browser: Browser, site: Site, artifacts: Path
) -> None:
    writer, friend = _open(windows, browser, site, "keeper", "friend")
    page = writer.page
    writer.write(f"Dear Friend <{friend.address}>", "One", "one")
    writer.send()
    page.keyboard.press("c")
    page.get_by_label("To", exact=True).press_sequentially("dea")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".chip-name")).to_have_text(["Dear Friend"])

    writer.folder("Contacts")
    page.get_by_role("button", name="Dear Friend").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Old Friend")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("list", name="Contacts")).to_contain_text("Old Friend")
    page.screenshot(path=artifacts / "contacts.png")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Grace")
    page.get_by_role("dialog").get_by_label("Address").fill("grace@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("list", name="Contacts").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="Old Friend").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("list", name="Contacts").get_by_role("listitem")).to_have_count(1)
    page.reload()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("list", name="Contacts")).to_contain_text("Grace")
    writer.clean()


def test_name_and_signature_stand_in_what_is_written(windows: list[Window], browser: Browser, site: Site) -> None:
    writer, reader = _open(windows, browser, site, "signer", "signee")
    page = writer.page
    page.get_by_role("button", name="Account", exact=True).click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Writing").click()
    page.get_by_label("Your name").fill("Siegrid Signer")
    page.get_by_label("Signature").fill("Siegrid\nof the signers")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    page.get_by_role("link", name="Mailbox", exact=True).click()
    page.keyboard.press("c")
    expect(page.get_by_label("Text")).to_have_value("\n\n-- \nSiegrid\nof the signers")
    page.get_by_label("To", exact=True).fill(reader.address)
    page.get_by_label("Subject").fill("With a name")
    writer.send()
    reader.read("With a name")
    expect(reader.page.locator(".reader-who")).to_contain_text("Siegrid Signer")
    expect(reader.page.locator(".mail-text")).to_contain_text("of the signers")


def test_what_travels_openly_arrives(windows: list[Window], browser: Browser, site: Site) -> None:
    (writer,) = _open(windows, browser, site, "opener")
    inbox = f"otter-{site.member_domain.split('.')[0]}@{site.public_domain}"
    writer.write(inbox, "For everybody", "Grüße an alle")
    expect(writer.page.get_by_text("Lands in a public inbox.")).to_be_visible()
    writer.page.keyboard.press("Control+Enter")
    writer.page.get_by_role("button", name="Send openly").click()
    expect(writer.page.locator("form.write")).to_have_count(0)
    reader = writer.context.new_page()
    reader.goto(f"{site.url}/public/{inbox}")
    reader.get_by_role("link", name="For everybody").click(timeout=20_000)
    expect(reader.locator(".mail-text")).to_contain_text("Grüße an alle")
