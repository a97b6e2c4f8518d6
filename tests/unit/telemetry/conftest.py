"""Captured lines, and the process-wide switches set back after each test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from libs.telemetry import logs, mode
from tests.support.clock import ManualClock


@dataclass
class Lines:
    """What was written, parsed."""

    raw: list[str] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)

    def parsed(self) -> list[dict[str, Any]]:
        """Return the lines as objects; each must be one line of JSON."""
        assert all(line.endswith("\n") and line.count("\n") == 1 for line in self.raw)
        return [json.loads(line) for line in self.raw]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Capture what is logged."""
    captured = Lines()
    former = logs.configure(
        logs.Output(service="crypto", level="debug", clock=captured.clock, write=captured.raw.append)
    )
    yield captured
    logs.configure(former)


@pytest.fixture
def lenient() -> Iterator[None]:
    """Behave as in a service: drop and count instead of raising."""
    mode.set_strict(False)
    yield
    mode.set_strict(True)
