from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from services.accounts.repository import COLLECTIONS
from tests.support.clock import ManualClock
from tests.unit.accounts.support import Platform, make_platform, make_settings


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def platform(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Platform]:
    async with SqliteStore.open(tmp_path / "accounts.db", COLLECTIONS) as store:
        yield make_platform(store, clock, make_settings(), tmp_path / "accounts.db")
