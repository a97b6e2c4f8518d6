"""One Chromium, one fake gateway and one canary server for a module of browser tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

pytest.register_assert_rewrite("tests.e2e.hostile", "tests.e2e.looking")

from tests.e2e.browser import chromium  # noqa: E402
from tests.e2e.canary import Canary, canary  # noqa: E402
from tests.e2e.governing import Governing  # noqa: E402
from tests.e2e.operating import Installation, installation  # noqa: E402
from tests.support.fake_gateway import DIST, FakeGateway, running  # noqa: E402

# A machine that does other work beside is slow, not wrong.
expect.set_options(timeout=15_000)

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def built_page() -> Path:
    """Return the built page; a test of the page without one is told what is missing."""
    if not (DIST / "index.html").is_file():
        pytest.fail("the page is not built: run `npm ci && npm run build` in services/gateway/web")
    return DIST


@pytest.fixture(scope="module")
def gateway(built_page: Path) -> Iterator[FakeGateway]:
    """Serve the built page and a fresh in-memory gateway."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def governed(built_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Governing]]:
    """One installation for all tests of rights, policy and disclosure, and what answers there for retention."""
    with installation(tmp_path_factory.mktemp("governed")) as started:
        yield started, Governing(started.retention)


@pytest.fixture(scope="module")
def trap() -> Iterator[Canary]:
    """Listen for what must never leave the browser."""
    with canary() as started:
        yield started


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Return the folder in which screenshots are kept."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
