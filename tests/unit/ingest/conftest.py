"""The edge is tested on the loop that it runs on, and properties without a stop-watch: this machine may be busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import hypothesis
import pytest
import uvloop

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
