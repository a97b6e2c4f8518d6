"""A clock that tests move."""

from __future__ import annotations

import pytest

from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock()
