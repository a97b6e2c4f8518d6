"""Fixtures of crypto's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.crypto.support import World, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """Yield the domain on an empty store."""
    async with world(tmp_path) as made:
        yield made
