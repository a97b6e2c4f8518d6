"""A gateway for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.gateway.fakes import Gateway, gateway


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A built page of three files."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>sealpost</title>")
    (tmp_path / "assets" / "argon2-abc.js").write_text("postMessage(1)")
    (tmp_path / "assets" / "main-abc.js").write_text("0")
    return tmp_path


@pytest.fixture
async def site(web: Path) -> AsyncIterator[Gateway]:
    """A gateway with the default settings."""
    async with gateway(web) as running:
        yield running
