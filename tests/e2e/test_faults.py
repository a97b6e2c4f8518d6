"""What goes wrong is said in a sentence and can be tried again; a mail that is built to stop its reader does not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e import mails
from tests.e2e.browser import PASSWORD, sign_up
from tests.support.fake_gateway import FakeGateway

PUBLIC = "faults@public.sealpost.test"
# The longest time for which the page did not come round to a timer, in milliseconds, since it was asked last.
WATCH_STALLS = """() => {
  let last = performance.now();
  window.__stall = 0;
  setInterval(() => {
    const now = performance.now();
    window.__stall = Math.max(window.__stall, now - last);
    last = now;
  }, 20);
}"""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    yield made
    made.close()


def _problem(status: int, **fields: object) -> dict[str, object]:
    body = {"type": "about:blank", "title": "x", "status": status} | fields
    return {"status": status, "content_type": "application/problem+json", "body": json.dumps(body)}


def test_an_unreachable_server_is_told_and_tried_again(context: BrowserContext, gateway: FakeGateway) -> None:
    page = context.new_page()
    context.route("**/v1/public/**", lambda route: route.abort())
    page.goto(f"{gateway.url}/public/{PUBLIC}")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    context.unroute("**/v1/public/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()


def test_a_rate_limit_tells_how_long_to_wait(context: BrowserContext, gateway: FakeGateway) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(**_problem(429, reason="too_many_attempts"), headers={"Retry-After": "120"})  # type: ignore[arg-type]

    page = context.new_page()
    page.route("**/v1/kdf", refuse)
    page.goto(gateway.url + "/sign-in")
    page.get_by_label("Address").fill("bob")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Please wait 2 minutes")


@pytest.mark.parametrize("change", [{"memory_kib": 8}, {"iterations": 1}, {"memory_kib": 2**30}, {"salt": "AAAA"}])
def test_a_server_that_asks_for_a_cheap_derivation_gets_nothing(
    change: dict[str, object], context: BrowserContext, gateway: FakeGateway
) -> None:
    salt = base64.b64encode(b"0123456789abcdef").decode()
    kdf = {"algorithm": "argon2id", "salt": salt, "memory_kib": 65536, "iterations": 3, "parallelism": 1} | change
    page = context.new_page()
    page.route("**/v1/kdf", lambda route: route.fulfill(json={"kdf": kdf}))
    page.goto(gateway.url + "/sign-in")
    page.get_by_label("Address").fill("bob")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    before = len(gateway.requests)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    assert [path for method, path in gateway.requests[before:] if method == "POST"] == []


def test_an_address_that_is_taken_is_told_at_its_field(context: BrowserContext, gateway: FakeGateway) -> None:
    page = context.new_page()
    sign_up(page, gateway.url, "taken")
    other = context.browser.new_context()  # type: ignore[union-attr]
    page = other.new_page()
    page.goto(gateway.url + "/sign-up")
    page.get_by_label("Address").fill("taken")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat it").fill(PASSWORD)
    page.get_by_label("I understand").check()
    page.get_by_role("button", name="Create mailbox").click()
    expect(page.locator(".field-error")).to_contain_text("This address is taken")
    other.close()


def test_a_failed_move_comes_back(context: BrowserContext, gateway: FakeGateway) -> None:
    page = context.new_page()
    sign_up(page, gateway.url, "moves")
    gateway.deliver(mails.text("x@y.example", "Stays here", "x"), "moves@sealpost.test")
    page.get_by_role("link", name="Stays here").wait_for()
    page.route("**/v1/messages/update", lambda route: route.fulfill(**_problem(503, reason="busy")))
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.get_by_text("The server could not do this just now")).to_be_visible()
    expect(page.get_by_role("link", name="Stays here")).to_be_visible()


def test_mail_sealed_to_another_key_or_changed_on_the_way_is_not_shown(
    context: BrowserContext, gateway: FakeGateway
) -> None:
    page = context.new_page()
    sign_up(page, gateway.url, "sealed")
    gateway.deliver(mails.text("x@y.example", "Changed", "secret"), "sealed@sealpost.test")
    stored = gateway.boxes["sealed@sealpost.test"][0]
    stored.body = stored.body[:-30] + bytes([stored.body[-30] ^ 1]) + stored.body[-29:]
    page.get_by_role("link", name="Changed").click()
    expect(page.get_by_role("alert")).to_contain_text("This message cannot be shown")
    expect(page.get_by_text("secret")).to_have_count(1)  # in the list, from the intact envelope
    gateway.deliver(mails.text("x@y.example", "Unknown", "x"), "sealed@sealpost.test")
    gateway.boxes["sealed@sealpost.test"][0].envelope = base64.b64encode(b"\xc1\x02no").decode()
    page.reload()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_text("This message does not open with your key.")).to_be_visible()


def _nested(depth: int) -> bytes:
    head = b"From: a@b.example\r\nSubject: Bomb\r\n"
    level = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth))
    return head + level + b"\r\ninnermost"


BOMBS = {
    "nested 20,000 deep": lambda: _nested(20_000),
    "200,000 parts": lambda: (
        b"Subject: Bomb\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 200_000
    ),
    "10 MB of header": lambda: b"Subject: Bomb\r\n" + b"X-Y: z\r\n" * 1_250_000 + b"\r\nbody",
    "one line of 20 MB": lambda: b"Subject: Bomb\r\n\r\n" + b"a" * 20_000_000,
    "unclosed formatting": lambda: (
        b"Subject: Bomb\r\nContent-Type: text/html\r\n\r\n<p>"
        + b"".join(b"<font color=%d>" % i for i in range(5_000))
        + b"</p>"
        + b"<p>x" * 5_000
    ),
    "a million elements": lambda: b"Subject: Bomb\r\nContent-Type: text/html\r\n\r\n" + b"<i>" * 1_000_000,
    "a million rules": lambda: (
        b"Subject: Bomb\r\nContent-Type: text/html\r\n\r\n<style>" + b"a b c d,e{color:red}" * 50_000 + b"</style>x"
    ),
    "a million links": lambda: b"Subject: Bomb\r\n\r\n" + b"http://a.example/ " * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_freeze_the_page(name: str, context: BrowserContext, gateway: FakeGateway) -> None:
    message = gateway.deliver(b"Subject: Bomb\r\n\r\nx", PUBLIC)
    gateway.boxes[PUBLIC][0].body = BOMBS[name]()
    page: Page = context.new_page()
    page.goto(f"{gateway.url}/public/{PUBLIC}")
    page.locator(f'a[data-id="{message}"]').wait_for()
    page.evaluate(WATCH_STALLS)
    page.locator(f'a[data-id="{message}"]').click()
    shown = page.locator(".mail-text, iframe.paper, .reader .notice, .attachments")
    shown.first.wait_for(timeout=25_000)
    page.get_by_role("button", name="Show source").click()
    page.get_by_test_id("source").wait_for(timeout=25_000)
    assert page.evaluate("window.__stall") < 3_000
    page.keyboard.press("Escape")
    gateway.boxes[PUBLIC].clear()
