"""Chromium before the real gateway: the one cookie, the policies of real answers, and a mail that shows by itself."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from services.gateway.settings import Settings
from tests.e2e.browser import FLAGS, Watch, sign_up
from tests.support.gateway import new_member, sign_up_form
from tests.support.platform import RunningPlatform, running_platform
from tests.support.tools import require_tool

expect.set_options(timeout=15_000)
_ASK = """async ([method, path, body]) => {
  const answer = await fetch(path, {
    method, headers: body ? {"Content-Type": "application/json"} : {}, body: body ? JSON.stringify(body) : null,
  });
  return {status: answer.status, seen: document.cookie, secure: isSecureContext};
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform for the browser alone."""
    require_tool("chromium")
    with running_platform(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which takes the name of a site elsewhere for this machine."""
    program = require_tool("chromium")
    flags = [*FLAGS, "--host-resolver-rules=MAP mail.test 127.0.0.1"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=flags, headless=True)
        try:
            yield started
        finally:
            started.close()


def test_the_one_cookie_lives_on_this_machine_over_plain_http(site: RunningPlatform, browser: Browser) -> None:
    for number, host in enumerate(("127.0.0.1", "localhost")):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{host}:{site.http_port}/")
        form = sign_up_form(new_member(f"cookie{number}@{site.member_domain}"))
        made: dict[str, Any] = page.evaluate(_ASK, ["POST", "/v1/accounts", form])
        assert made == {"status": 201, "seen": "", "secure": True}
        (cookie,) = context.cookies()
        assert (cookie["name"], cookie["path"], cookie["domain"]) == ("__Host-session", "/", host)
        assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        # No expiry: it ends with the browser.
        assert cookie["expires"] == -1
        assert page.evaluate(_ASK, ["GET", "/v1/session", None])["status"] == 200
        assert page.evaluate(_ASK, ["DELETE", "/v1/session", None])["status"] == 204
        assert context.cookies() == []
        assert page.evaluate(_ASK, ["GET", "/v1/session", None])["status"] == 401
        context.close()


def test_elsewhere_plain_http_gets_no_session(site: RunningPlatform, browser: Browser) -> None:
    """Why the documentation says HTTPS: no secure context, so neither the cookie nor the page's cryptography."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://mail.test:{site.http_port}/")
    form = sign_up_form(new_member(f"elsewhere@{site.member_domain}"))
    made = page.evaluate(_ASK, ["POST", "/v1/accounts", form])
    assert (made["status"], made["secure"]) == (201, False)
    assert context.cookies() == []
    assert page.evaluate("typeof crypto.subtle") == "undefined"
    context.close()


@pytest.mark.skipif(not (Settings().web_dir / "index.html").is_file(), reason="the page is not built")
def test_a_mail_shows_by_itself_and_no_policy_is_broken(site: RunningPlatform, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    watch = Watch().attach(page)
    sign_up(page, site.url, "chrome")
    address = f"chrome@{site.member_domain}"
    with smtplib.SMTP(site.smtp_host, site.smtp_port, timeout=30) as smtp:
        text = f"From: Ada <ada@example.org>\r\nTo: {address}\r\nSubject: Good morning\r\n\r\nHello from outside.\r\n"
        smtp.sendmail("ada@example.org", [address], text)
    page.get_by_text("Good morning").first.click()
    expect(page.get_by_role("region", name="Reading").get_by_text("Hello from outside.")).to_be_visible()
    assert watch.errors == []
    refused = [line for line in watch.console if "Content Security Policy" in line or "Trusted" in line]
    assert refused == []
    assert watch.foreign(site.url) == []
    assert [cookie["name"] for cookie in context.cookies()] == ["__Host-session"]
    context.close()
