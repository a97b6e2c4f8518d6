"""The hostile corpus with defences taken away: that it bites, that the witnesses speak, what each fence holds alone."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

from tests.e2e.browser import Watch
from tests.e2e.canary import Canary
from tests.e2e.hostile import BEACON, CORPUS, Scene, assert_silent, beacons, html_of, mail_of, open_inbox
from tests.support.fake_gateway import running

# The attributes of the frame in which the page shows HTML (src/ui/mail-html.tsx).
SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
FRAME = """([html, sandbox]) => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.setAttribute('sandbox', sandbox);
  frame.onload = () => setTimeout(done, 60);
  frame.srcdoc = html;
  document.body.append(frame);
})"""


@contextmanager
def _undefended(pages: dict[str, bytes]) -> Iterator[str]:
    """Serve `pages` as they are, without a single header of ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _page(browser: Browser) -> Page:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.add_init_script(BEACON)
    return context.new_page()


def test_red_control_the_corpus_bites_an_undefended_page(browser: Browser, trap: Canary) -> None:
    """Without sanitiser, sandbox and policy most of the corpus runs a script or reaches the canary, unprovoked."""
    ran, reached = set(), set()
    pages = {f"/{path.stem}": html_of(path, "http://site.invalid", trap).encode() for path in CORPUS}
    context = browser.new_context()
    context.add_init_script(BEACON)
    with _undefended(pages) as site:
        for path in CORPUS:
            page = context.new_page()
            watch = Watch().attach(page)
            before = len(trap.lines)
            page.goto(f"{site}/{path.stem}", wait_until="commit")
            page.wait_for_timeout(250)
            if beacons(watch):
                ran.add(path.stem)
            if len(trap.lines) > before:
                reached.add(path.stem)
            page.close()
    context.close()
    assert len(ran) >= 20, sorted(ran)
    assert len(reached) >= 22, sorted(reached)
    assert {"script-plain", "handlers-common", "svg-onload", "mxss-noscript", "iframe-srcdoc"} <= ran
    assert {"css-url", "css-import", "css-exfiltration", "link-preload", "img-srcset", "meta-refresh"} <= reached


def test_sanitiser_and_sandbox_hold_without_the_policy(browser: Browser, trap: Canary) -> None:
    """With every header of the gateway gone, the corpus still runs nothing and reaches nobody."""
    inbox = "bare@public.sealpost.test"
    with running(defended=False) as gateway:
        page = _page(browser)
        open_inbox(page, gateway.url, inbox)
        page.get_by_text("Nothing here yet").wait_for()
        scene = Scene(page, Watch().attach(page), gateway, trap)
        scene.start()
        for path in CORPUS:
            message = gateway.deliver(mail_of(html_of(path, gateway.url, trap), path.stem), inbox)
            page.locator(f'a[data-id="{message}"]').click()
            page.get_by_role("heading", name=path.stem, exact=True).wait_for()
            page.frame_locator("iframe.paper").locator("body").wait_for()
            page.wait_for_timeout(60)
            assert_silent(scene)
        page.context.close()


def test_sandbox_and_policy_hold_without_the_sanitiser(browser: Browser, trap: Canary) -> None:
    """Raw hostile HTML in a frame such as ours, under the page's policy (less Trusted Types): no script runs."""
    with running(trusted_types=False) as bare:
        page = _page(browser)
        watch = Watch().attach(page)
        page.goto(bare.url)
        for path in CORPUS:
            page.evaluate(FRAME, [html_of(path, bare.url, trap), SANDBOX])
            assert beacons(watch) == [], path.stem
        page.context.close()


def test_red_control_a_frame_with_scripts_runs_them(browser: Browser, trap: Canary) -> None:
    """The same frame without policy and with scripts allowed: the witness inside the frame speaks."""
    with running(defended=False) as bare:
        page = _page(browser)
        watch = Watch().attach(page)
        page.goto(bare.url)
        html = (CORPUS[0].parent / "script-plain.html").read_text()
        page.evaluate(FRAME, [html, SANDBOX + " allow-scripts"])
        assert beacons(watch) == ["sealpost-beacon script"]
        page.context.close()
