"""Writing is for everybody: axe-core finds no fault in light or dark, nothing overflows a telephone, keys suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mails
from tests.e2e.browser import sign_up
from tests.e2e.test_access import AXE, NARROW, RUN_AXE, WIDE
from tests.support.fake_gateway import FakeGateway

LONG = "a-very-long-name-that-fills-the-line-of-a-telephone-by-itself@quite-a-long-domain.example.org"
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  if (box.width === 0 || getComputedStyle(e).visibility === 'hidden') return false;
  const scrolls = e.closest('.visually-hidden, .skip, .sidebar, .settings-nav ul');
  return !scrolls && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""


def _visit(path: str, ready: str) -> Callable[..., None]:
    def show(page: Page, gateway: FakeGateway | None = None) -> None:
        page.evaluate("to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }", path)
        page.locator("main").get_by_text(ready).first.wait_for()

    return show


def _write(page: Page, to: str) -> None:
    _visit("/mail/archive", "Nothing here")(page)
    page.keyboard.press("c")
    page.get_by_label("To", exact=True).fill(to)
    page.keyboard.press("Enter")
    page.get_by_label("Subject").fill("A subject that is longer than a small telephone is wide, by far")
    page.get_by_label("Text").fill("Words.\n" * 5)
    files = [{"name": f"{'long-' * 12}name.pdf", "mimeType": "application/pdf", "buffer": b"x" * 9000}]
    page.get_by_label("Files to attach").set_input_files(files)  # type: ignore[arg-type]
    page.locator(".chip.open, .chip.sealed, .chip.bad").first.wait_for()


def _composer(page: Page, gateway: FakeGateway) -> None:
    _write(page, f"friend@sealpost.test, {LONG}, nobody@sealpost.test, bob")
    expect(page.locator(".chip")).to_have_count(4)


def _suggesting(page: Page, gateway: FakeGateway) -> None:
    _write(page, "friend@sealpost.test")
    page.get_by_label("To", exact=True).press_sequentially("gra")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")


def _question(page: Page, gateway: FakeGateway) -> None:
    _write(page, f"friend@sealpost.test, {LONG}, someone@public.sealpost.test")
    page.keyboard.press("Control+Enter")
    page.locator("dialog[open]").wait_for()
    page.wait_for_timeout(150)


def _failed(page: Page, gateway: FakeGateway) -> None:
    _write(page, f"friend@sealpost.test, {LONG}")
    gateway.outbox.refuse[LONG] = 1
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Send openly").click()
    page.get_by_role("button", name="Try the rest again").wait_for()


def _contact(page: Page, gateway: FakeGateway) -> None:
    _visit("/contacts", "Grace")(page, gateway)
    page.locator(".contact-main").first.click()
    page.locator("dialog[open]").wait_for()
    page.wait_for_timeout(150)


def _verified(page: Page, gateway: FakeGateway) -> None:
    _visit("/mail/inbox", "To myself")(page, gateway)
    page.get_by_role("link", name="To myself").first.click()
    page.get_by_test_id("sender-check").wait_for()


VIEWS: dict[str, Callable[..., None]] = {
    "composer": _composer,
    "suggestions": _suggesting,
    "question": _question,
    "failed": _failed,
    "contacts": _visit("/contacts", "Grace"),
    "contact": _contact,
    "drafts": _visit("/mail/drafts", "Drafts"),
    "sent": _visit("/mail/sent", "To myself"),
    "verified": _verified,
    "settings": _visit("/settings/writing", "Your name"),
}


@pytest.fixture(scope="module", params=["light", "dark"])
def signed_in(request: pytest.FixtureRequest, browser: Browser, gateway: FakeGateway) -> Iterator[Page]:
    """Return a page of somebody who has written before, in one colour scheme."""
    scheme: Any = request.param
    if "friend@sealpost.test" not in gateway.accounts:
        other = browser.new_context()
        sign_up(other.new_page(), gateway.url, "friend")
        other.close()
    context = browser.new_context(viewport=WIDE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    sign_up(page, gateway.url, f"writer-{scheme}")
    page.keyboard.press("c")
    page.get_by_label("To", exact=True).fill(f"writer-{scheme}@sealpost.test, Grace Hopper <grace@example.org>,")
    page.get_by_label("Subject").fill("To myself")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Send openly").click()
    page.get_by_label("Notices").get_by_text("Sent", exact=True).wait_for()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    yield page
    context.close()


def _leave(page: Page) -> None:
    while page.locator("dialog[open]").count():
        page.keyboard.press("Escape")
    _visit("/mail/archive", "Nothing here")(page)


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_fault(view: str, signed_in: Page, gateway: FakeGateway, artifacts: Path) -> None:
    signed_in.set_viewport_size(WIDE)  # type: ignore[arg-type]
    VIEWS[view](signed_in, gateway)
    signed_in.wait_for_timeout(60)
    scheme = "dark" if signed_in.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    signed_in.screenshot(path=artifacts / f"send-{view}-{scheme}.png")
    assert signed_in.evaluate(RUN_AXE) == []
    _leave(signed_in)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_overflows_a_small_telephone(view: str, signed_in: Page, gateway: FakeGateway, artifacts: Path) -> None:
    signed_in.set_viewport_size(NARROW)  # type: ignore[arg-type]
    VIEWS[view](signed_in, gateway)
    signed_in.wait_for_timeout(60)
    signed_in.screenshot(path=artifacts / f"send-{view}-phone.png")
    assert signed_in.evaluate(OVERFLOWING) == []
    assert signed_in.evaluate("document.documentElement.scrollWidth") <= 360
    _leave(signed_in)


def test_the_keyboard_alone_writes_and_answers(browser: Browser, gateway: FakeGateway) -> None:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    sign_up(page, gateway.url, "hands")
    gateway.deliver(mails.with_attachments("hands@sealpost.test"), "hands@sealpost.test")
    page.get_by_role("link", name="Plans and a picture").wait_for()
    keys = page.keyboard
    keys.press("c")
    expect(page.get_by_label("To", exact=True)).to_be_focused()
    keys.type("hands@sealpost.test,")
    keys.press("Tab")
    keys.press("Tab")
    expect(page.get_by_label("Subject")).to_be_focused()
    keys.type("By hand")
    keys.press("Tab")
    keys.type("No mouse.")
    keys.press("Control+Enter")
    page.get_by_label("Notices").get_by_text("Sent", exact=True).wait_for()
    page.get_by_role("link", name="Plans and a picture").wait_for()
    for key in ("j", "j", "Enter"):
        keys.press(key)
    page.locator(".mail-text").wait_for()
    keys.press("f")
    expect(page.get_by_label("Subject")).to_have_value("Fwd: Plans and a picture")
    expect(page.get_by_role("list", name="Attachments").get_by_role("listitem")).to_have_count(3)
    context.close()
