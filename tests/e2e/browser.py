"""Chromium for the tests of the page: Debian's, headless, with everything off that would look for the internet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.tools import require_tool

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD = "correct horse battery staple"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; skip where it is not installed."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS), headless=True)
        try:
            yield browser
        finally:
            browser.close()


@dataclasses.dataclass
class Watch:
    """What a page did: requests by URL, console lines, uncaught errors."""

    requests: list[str] = dataclasses.field(default_factory=list)
    console: list[str] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)

    def attach(self, page: Page) -> Watch:
        """Listen to `page` and to what it opens."""
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return self

    def foreign(self, site: str) -> list[str]:
        """Return the requests that went to another origin than `site`; data: and blob: never leave the browser."""
        origin = urlsplit(site).netloc
        return [u for u in self.requests if urlsplit(u).scheme not in ("data", "blob") and urlsplit(u).netloc != origin]

    def clear(self) -> None:
        """Forget what was seen."""
        self.requests.clear()
        self.console.clear()
        self.errors.clear()

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        self.console.append(message.text)


def sign_up(page: Page, site: str, local: str, password: str = PASSWORD, path: str = "/sign-up") -> None:
    """Make a mailbox through the page at `path`, without a recovery code, and wait for the inbox."""
    page.goto(site + path)
    page.get_by_label("Address").fill(local)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Repeat it").fill(password)
    page.get_by_label("I understand").check()
    page.get_by_role("button", name="Create mailbox").click()
    page.get_by_role("button", name="Go on without one").click(timeout=30_000)
    page.get_by_text("Your inbox is empty").wait_for()
