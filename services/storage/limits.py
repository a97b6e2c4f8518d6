"""No change to a mailbox takes longer than OPERATION_SECONDS: others rely on it (recount.py, bodies.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.runtime.errors import UnavailableError
from services.storage.domain import OPERATION_SECONDS


@asynccontextmanager
async def limited(seconds: float = OPERATION_SECONDS) -> AsyncIterator[None]:
    """Cut the block off after `seconds`. Raises: UnavailableError("timeout")."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UnavailableError("timeout") from None
