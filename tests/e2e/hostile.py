"""The corpus of hostile HTML: how it becomes mail, how a reader touches it, and the witnesses asked afterwards."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.browser import Watch
from tests.e2e.canary import Canary
from tests.support.fake_gateway import FakeGateway

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.html"))
# Every script of the corpus calls it, in whichever frame it runs; the browser's console carries the news out.
BEACON = "window.__beacon = what => { console.log('sealpost-beacon ' + what) };"
# What the page asks its own server for while it shows mail; anything else was asked by the mail.
_PAGE_PATHS = ("/v1/messages", "/v1/public/", "/v1/mailbox", "/v1/events", "/assets/", "/favicon.svg")


@dataclasses.dataclass
class Scene:
    """One browser page reading hostile mail, and everybody who could notice."""

    page: Page
    watch: Watch
    gateway: FakeGateway
    trap: Canary
    requests_before: int = 0

    def start(self) -> None:
        """Forget what happened so far."""
        self.watch.clear()
        self.trap.lines.clear()
        self.requests_before = len(self.gateway.requests)


def open_inbox(page: Page, site: str, address: str) -> None:
    """Open a public inbox and wait until the page has asked all that it asks by itself."""
    with page.expect_response("**/v1/session"), page.expect_response("**/v1/info"):
        page.goto(f"{site}/public/{address}")


def html_of(path: Path, site: str, trap: Canary) -> str:
    """Return a corpus file with the addresses of this run in it."""
    html = path.read_bytes().decode("utf-8")
    html = html.replace("{{CANARY}}", f"http://{trap.host}").replace("{{CANARY_HOST}}", trap.host)
    return html.replace("{{SITE}}", site)


def mail_of(html: str, subject: str) -> bytes:
    """Return a mail whose only part is `html`."""
    body = base64.encodebytes(html.encode("utf-8")).replace(b"\n", b"\r\n")
    head = f"From: m@evil.test\r\nSubject: {subject}\r\nContent-Type: text/html; charset=utf-8\r\n"
    return head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + body


def provoke(page: Page) -> None:
    """Do what a curious reader does: wait, hover, focus, click, in the frame and around it."""
    frame = page.frame_locator("iframe.paper")
    frame.locator("body").wait_for(timeout=10_000)
    page.wait_for_timeout(120)
    for element in frame.locator("a, img, p, div, button, input, summary, [tabindex]").all()[:12]:
        if element.is_visible():
            element.hover(timeout=1_000, force=True)
            element.dispatch_event("focus")
    for link in frame.locator("a[href]").all()[:6]:
        if link.is_visible():
            link.click(timeout=2_000, force=True)
            page.locator("dialog[open]").wait_for(timeout=3_000)
            page.keyboard.press("Escape")
            page.locator("dialog[open]").wait_for(state="detached", timeout=3_000)
    page.wait_for_timeout(80)


def beacons(watch: Watch) -> list[str]:
    """Return what scripts of the corpus reported."""
    return [line for line in watch.console if line.startswith("sealpost-beacon")]


def assert_silent(scene: Scene) -> None:
    """Ask all witnesses."""
    assert beacons(scene.watch) == []
    assert scene.watch.foreign(scene.gateway.url) == []
    assert scene.trap.lines == []
    assert scene.watch.errors == []
    assert len(scene.page.context.pages) == 1
    asked = [path for _, path in scene.gateway.requests[scene.requests_before :]]
    unexpected = [path for path in asked if not path.startswith(_PAGE_PATHS)]
    assert unexpected == []
