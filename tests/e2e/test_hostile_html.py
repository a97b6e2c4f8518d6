"""HTML that attacks its reader (THREATS: HTML mail, EFAIL): in a real browser nothing runs and nothing leaves.

Each file of corpus/ is one mail, read once sealed and once in a public inbox. Its links and controls are touched, then
three witnesses are asked: a function that every script of the corpus calls, the browser's list of requests, and a
server that the corpus names. test_hostile_controls.py shows that each witness speaks when it should.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Watch, sign_up
from tests.e2e.canary import Canary
from tests.e2e.hostile import BEACON, CORPUS, Scene, assert_silent, html_of, mail_of, open_inbox, provoke
from tests.support.fake_gateway import FakeGateway

MEMBER = "victim@sealpost.test"
PUBLIC = "victim@public.sealpost.test"


@pytest.fixture(scope="module")
def sealed(browser: Browser, gateway: FakeGateway, trap: Canary) -> Iterator[Scene]:
    """One open mailbox reads the whole corpus, as one reader would."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.add_init_script(BEACON)
    page = context.new_page()
    sign_up(page, gateway.url, "victim")
    yield Scene(page, Watch().attach(page), gateway, trap)
    context.close()


@pytest.fixture(scope="module")
def public(browser: Browser, gateway: FakeGateway, trap: Canary) -> Iterator[Scene]:
    """One public inbox, open in a browser that has never signed in."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.add_init_script(BEACON)
    page = context.new_page()
    open_inbox(page, gateway.url, PUBLIC)
    page.get_by_text("Nothing here yet").wait_for()
    yield Scene(page, Watch().attach(page), gateway, trap)
    assert context.cookies() == []
    context.close()


def _read(scene: Scene, path: Path, address: str) -> None:
    raw = mail_of(html_of(path, scene.gateway.url, scene.trap), path.stem)
    message = scene.gateway.deliver(raw, address)
    scene.page.locator(f'a[data-id="{message}"]').click()
    scene.page.get_by_role("heading", name=path.stem, exact=True).wait_for()
    provoke(scene.page)


def test_corpus_is_complete() -> None:
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_sealed_mail_is_harmless(path: Path, sealed: Scene) -> None:
    sealed.start()
    _read(sealed, path, MEMBER)
    assert_silent(sealed)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_public_mail_is_harmless(path: Path, public: Scene) -> None:
    public.start()
    _read(public, path, PUBLIC)
    assert_silent(public)
