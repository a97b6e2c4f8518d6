"""Sending when something fails: the truth is told, what was sent is not sent again, nothing written is lost."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from pathlib import Path

import pysequoia
import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from tests.e2e.browser import sign_up
from tests.support.fake_gateway import FakeGateway

BOB, EVE = "bob@sealpost.test", "eve@sealpost.test"
DROP = """(form, name) => {
  const data = new DataTransfer();
  data.items.add(new File(['dropped'], name));
  for (const type of ['dragenter', 'dragover', 'drop']) {
    form.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""
PASTE = """(field, text) => {
  const data = new DataTransfer();
  data.setData('text/plain', text);
  field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def context(browser: Browser, gateway: FakeGateway) -> Iterator[BrowserContext]:
    """Return the browser of the writer; Bob and Eve have mailboxes."""
    for name in ("bob", "eve"):
        other = browser.new_context()
        sign_up(other.new_page(), gateway.url, name)
        other.close()
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    sign_up(made.new_page(), gateway.url, "writer")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Return an empty composer."""
    page = context.pages[0]
    page.get_by_role("button", name="Write", exact=True).first.click()
    page.get_by_label("To", exact=True).wait_for()
    yield page
    page.unroute_all()
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Inbox").click()


def _fill(page: Page, to: str, subject: str) -> None:
    page.get_by_label("To", exact=True).fill(to)
    page.keyboard.press("Tab")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Text").fill("text")


def _is_sent(page: Page) -> None:
    expect(page.locator("form.write")).to_have_count(0)
    expect(page.get_by_label("Notices").get_by_text("Sent", exact=True).first).to_be_visible()


def test_who_got_it_is_told_and_the_rest_is_tried_again(page: Page, gateway: FakeGateway, artifacts: Path) -> None:
    before = len(gateway.boxes.get(BOB, []))
    gateway.outbox.refuse[EVE] = 1
    _fill(page, f"{BOB}, {EVE}", "In part")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("1 of 2 have got it.")).to_be_visible()
    page.screenshot(path=artifacts / "sent-in-part.png")
    page.get_by_role("button", name="Try the rest again").click()
    _is_sent(page)
    assert len(gateway.boxes[BOB]) == before + 1
    assert len(gateway.boxes[EVE]) == 1


def test_a_running_upload_is_stopped_by_button_and_by_key(page: Page, gateway: FakeGateway, artifacts: Path) -> None:
    before = len(gateway.boxes.get(BOB, []))
    # Taken and never answered: it is under way until somebody stops it.
    page.route("**/v1/outbox/sealed", lambda route: None)
    _fill(page, BOB, "Stopped")
    page.keyboard.press("Control+Enter")
    stop = page.get_by_role("button", name="Stop sending")
    expect(page.locator(".leg-sending")).to_be_visible()
    page.screenshot(path=artifacts / "sending-can-be-stopped.png")
    stop.focus()
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/outbox/sealed")):
        page.keyboard.press("Enter")
    expect(page.get_by_text("Nobody has got it yet.")).to_be_visible()
    expect(page.get_by_text("Stopped", exact=False).first).to_be_visible()
    expect(stop).to_have_count(0)
    again = page.get_by_role("button", name="Try the rest again")
    expect(again).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".leg-sending")).to_be_visible()
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/outbox/sealed")):
        page.keyboard.press("Escape")
    expect(page.get_by_text("Nobody has got it yet.")).to_be_visible()
    page.unroute("**/v1/outbox/sealed")
    again.click()
    _is_sent(page)
    assert len(gateway.boxes[BOB]) == before + 1


def test_who_got_it_is_known_even_when_the_draft_is_taken_up_later(page: Page, gateway: FakeGateway) -> None:
    before = len(gateway.boxes.get(BOB, []))
    gateway.outbox.refuse[EVE] = 1
    _fill(page, f"{BOB}, {EVE}", "Later")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("1 of 2 have got it.")).to_be_visible()
    expect(page.get_by_text("Draft kept")).to_be_visible()
    page.get_by_role("button", name="Keep as draft").click()
    page.reload()
    page.get_by_label("Password", exact=True).fill("correct horse battery staple")
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Drafts").click()
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_text("has it")).to_be_visible()
    page.keyboard.press("Control+Enter")
    _is_sent(page)
    assert len(gateway.boxes[BOB]) == before + 1


def test_a_draft_that_cannot_be_kept_is_told_and_kept_later(page: Page, gateway: FakeGateway) -> None:
    page.route("**/v1/outbox/own", lambda route: route.abort())
    _fill(page, BOB, "Offline")
    expect(page.get_by_text("Draft not kept")).to_be_visible()
    page.unroute("**/v1/outbox/own")
    expect(page.get_by_text("Draft kept")).to_be_visible()


def test_what_is_too_large_is_told_before(page: Page, gateway: FakeGateway) -> None:
    huge: FilePayload = {"name": "huge.bin", "mimeType": "application/octet-stream", "buffer": b"x" * 40_000_000}
    page.get_by_label("Files to attach").set_input_files([huge])
    expect(page.get_by_role("alert")).to_contain_text("Remove an attachment")
    _fill(page, BOB, "Huge")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("This is larger than the 50 MB")).to_be_visible()
    page.get_by_role("button", name="Remove huge.bin").click()
    expect(page.get_by_role("alert")).to_have_count(1)


def test_files_are_dropped_and_lists_are_pasted(page: Page) -> None:
    page.locator("form.write").evaluate(DROP, "dropped.txt")
    expect(page.get_by_role("list", name="Attachments")).to_contain_text("dropped.txt")
    page.get_by_label("To", exact=True).evaluate(PASTE, f"Bob <{BOB}>; {EVE}\nthird@example.org")
    expect(page.locator(".chip")).to_have_count(3)
    page.get_by_label("To", exact=True).focus()
    page.keyboard.press("Backspace")
    expect(page.locator(".chip-main").last).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chip-main").nth(1)).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.locator(".chip-name")).to_have_text(["Bob", "third@example.org"])
    expect(page.locator(".chip-main").last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("To", exact=True)).to_have_value("third@example.org")


def test_a_key_of_another_domain_is_used_and_its_subject_hidden(page: Page, gateway: FakeGateway) -> None:
    grace = pysequoia.Tsk.generate("Grace <grace@navy.example>")
    gateway.outbox.certificates["grace@navy.example"] = bytes(grace.extract_certificate())
    _fill(page, "grace@navy.example", "Only inside")
    expect(page.get_by_text("Sealed: only they and you can read it.")).to_be_visible()
    page.keyboard.press("Control+Enter")
    _is_sent(page)
    recipients, raw, _ = gateway.outbox.sent[-1]
    assert recipients == ["grace@navy.example"] and b"Only inside" not in raw
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == "..." and mail.get_content_type() == "multipart/encrypted"
    armored = mail.get_payload()[1].get_payload(decode=True)  # type: ignore[index, union-attr]
    opened = pysequoia.decrypt(decryptor=grace.decryptor(), bytes=armored)  # type: ignore[arg-type]
    assert opened.bytes is not None
    inner = email.message_from_bytes(opened.bytes, policy=email.policy.default)
    assert inner["Subject"] == "Only inside" and inner["To"] == "grace@navy.example"


def test_open_recipients_share_one_submission_and_bcc_stays_out(page: Page, gateway: FakeGateway) -> None:
    _fill(page, "a@example.org, b@example.org", "Open")
    page.get_by_role("button", name="Cc, Bcc").click()
    page.get_by_label("Bcc", exact=True).fill("hidden@example.net")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Send openly").click()
    _is_sent(page)
    recipients, raw, _ = gateway.outbox.sent[-1]
    assert recipients == ["a@example.org", "b@example.org", "hidden@example.net"]
    assert b"hidden" not in raw and b"Subject: Open\r\n" in raw
