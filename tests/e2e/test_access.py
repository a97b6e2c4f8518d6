"""Everybody can use the page: axe-core finds no fault, nothing overflows at 360 pixels, the keyboard alone suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e import mails
from tests.e2e.browser import sign_up
from tests.support.fake_gateway import FakeGateway

AXE = Path(__file__).parents[2] / "services/gateway/web/node_modules/axe-core/axe.min.js"
# The mail in its frame is the sender's; whether that is accessible is not ours to say.
RUN_AXE = """() => axe.run({ exclude: [['iframe.paper']] }, {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
}).then(found => found.violations.map(v => [v.id, v.impact, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160))]))"""
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
ADDRESS = "access{}@sealpost.test"
PUBLIC = "access@public.sealpost.test"

View = Callable[[Page, FakeGateway], None]


def _go(page: Page, path: str) -> None:
    """Walk to `path` inside the page, so that the key stays open."""
    page.evaluate("to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }", path)


def _visit(path: str, ready: str) -> View:
    def show(page: Page, gateway: FakeGateway) -> None:
        _go(page, path)
        page.get_by_text(ready).first.wait_for()

    return show


def _public(page: Page, gateway: FakeGateway) -> None:
    _go(page, f"/public/{PUBLIC}")
    page.get_by_role("link", name="What to plant").first.wait_for()


def _reading(subject: str) -> View:
    def show(page: Page, gateway: FakeGateway) -> None:
        _go(page, "/mail/inbox")
        page.get_by_role("link", name=subject).first.click()
        page.get_by_role("heading", name=subject).wait_for()
        page.locator(".mail-text, iframe.paper").first.wait_for()

    return show


def _dialog(button: str) -> View:
    def show(page: Page, gateway: FakeGateway) -> None:
        _reading("Plans and a picture")(page, gateway)
        page.get_by_role("button", name=button, exact=True).click()
        page.locator("dialog[open]").wait_for()
        page.wait_for_timeout(150)

    return show


VIEWS: dict[str, View] = {
    "start": _visit("/", "Open any public inbox"),
    "sign-up": _visit("/sign-up", "There is no reset."),
    "recover": _visit("/recover", "New password"),
    "public": _public,
    "inbox": _visit("/mail/inbox", "The analytical engine"),
    "empty folder": _visit("/mail/archive", "Nothing here"),
    "reading text": _reading("Plans and a picture"),
    "reading html": _reading("What to plant"),
    "readers": _dialog("Who can read this"),
    "source": _dialog("Show source"),
    "account": _visit("/settings/account", "Take your private key along"),
    "password": _visit("/settings/password", "Current password"),
    "recovery": _visit("/settings/recovery", "No recovery code."),
    "sessions": _visit("/settings/sessions", "This session"),
    "credentials": _visit("/settings/credentials", "None yet."),
    "storage": _visit("/settings/storage", "Messages by folder"),
    "appearance": _visit("/settings/appearance", "As the system"),
    "unknown": _visit("/nowhere", "There is no such page"),
    "leaving": _visit("/leaving", "not a link that can be opened"),
}


@pytest.fixture(scope="module", params=["light", "dark"])
def signed_in(request: pytest.FixtureRequest, browser: Browser, gateway: FakeGateway) -> Iterator[Page]:
    """Return a page with an open mailbox full of mails, in one colour scheme."""
    scheme: Any = request.param
    # Views are compared when they have come to rest.
    context = browser.new_context(viewport=WIDE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    address = ADDRESS.format(scheme)
    sign_up(page, gateway.url, address.split("@")[0])
    for raw, age in mails.seed(address):
        gateway.deliver(raw, address, age=age)
    if not gateway.boxes.get(PUBLIC):
        for raw, age in mails.seed(PUBLIC)[2:]:
            gateway.deliver(raw, PUBLIC, age=age)
    page.get_by_role("link", name="What to plant").first.wait_for()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    yield page
    context.close()


def _close_dialogs(page: Page) -> None:
    while page.locator("dialog[open]").count():
        page.keyboard.press("Escape")


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_fault(view: str, signed_in: Page, gateway: FakeGateway) -> None:
    signed_in.set_viewport_size(WIDE)  # type: ignore[arg-type]
    VIEWS[view](signed_in, gateway)
    signed_in.wait_for_timeout(60)
    assert signed_in.evaluate(RUN_AXE) == []
    _close_dialogs(signed_in)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_at_the_door(scheme: Any, browser: Browser, gateway: FakeGateway) -> None:
    context = browser.new_context(viewport=NARROW, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(gateway.url + "/sign-in")
    page.get_by_text("Use a recovery code").wait_for()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    context.close()


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_overflows_a_small_telephone(view: str, signed_in: Page, gateway: FakeGateway) -> None:
    signed_in.set_viewport_size(NARROW)  # type: ignore[arg-type]
    VIEWS[view](signed_in, gateway)
    signed_in.wait_for_timeout(60)
    wide = signed_in.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => {
          const box = e.getBoundingClientRect();
          if (box.width === 0 || getComputedStyle(e).visibility === 'hidden') return false;
          const scrolls = e.closest('.settings-nav ul, .visually-hidden, .skip, pre');
          return !scrolls && (box.right > innerWidth + 1 || box.left < -1);
        }).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert wide == []
    assert signed_in.evaluate("document.documentElement.scrollWidth") <= 360
    _close_dialogs(signed_in)


def test_the_keyboard_alone_reads_and_files(browser: Browser, gateway: FakeGateway) -> None:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    sign_up(page, gateway.url, "keys")
    for raw, age in mails.seed("keys@sealpost.test"):
        gateway.deliver(raw, "keys@sealpost.test", age=age)
    page.get_by_role("link", name="What to plant").first.wait_for()
    page.wait_for_timeout(600)
    press = page.keyboard.press
    press("j")
    press("j")
    press("Enter")
    expect(page.get_by_role("heading", name="Plans and a picture")).to_be_visible()
    press("u")
    expect(page).to_have_url(gateway.url + "/mail/inbox")
    press("e")
    expect(page.get_by_text("1 message moved to Archive")).to_be_visible()
    press("x")
    press("j")
    press("x")
    expect(page.get_by_text("2 selected")).to_be_visible()
    press("#")
    expect(page.get_by_text("2 messages moved to Trash")).to_be_visible()
    press("/")
    page.keyboard.type("relays")
    expect(page.get_by_role("link", name="Re: Relays")).to_be_visible()
    expect(page.get_by_role("link", name="Your statement is ready")).to_have_count(0)
    press("Escape")
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press("g")
    press("a")
    expect(page.get_by_role("link", name="Plans and a picture")).to_be_visible()
    context.close()


def test_tab_reaches_the_mail_behind_the_skip_link(browser: Browser, gateway: FakeGateway) -> None:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(gateway.url)
    page.get_by_text("Open any public inbox").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    context.close()
