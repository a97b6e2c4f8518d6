"""What is ours, and for how long.

A mail may be sent only while its lease lasts, with some time to spare: whoever was asleep for longer than that - the
machine, or the process in a long pause - finds his time over before the first byte goes out. And what has been sent
must be written down before the lease ends, or somebody else sends it again; so that is tried until then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.runtime.backoff import Backoff
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, ExhaustedError, NotFoundError, UnavailableError
from libs.telemetry.logs import get_logger
from services.delivery.queue.entry import Entry
from services.delivery.worker import meters
from services.delivery.worker.parts import Parts

_MARGIN = 0.1

T = TypeVar("T")

_log = get_logger("holding")


class LostError(Exception):
    """The mail is not ours any more."""


def is_ours(parts: Parts, entry: Entry) -> bool:
    """Tell whether a transaction may begin."""
    return not entry.lost and unix_seconds(parts.clock) < entry.leased_until - parts.lease * _MARGIN


async def insist(parts: Parts, entry: Entry, call: Callable[[], Awaitable[T]]) -> T:
    """Return what `call` returns, tried again while the store cannot answer and the mail is ours.

    Raises: LostError, and what `call` raises besides.
    """
    async for attempt in Backoff(first=0.1, ceiling=5.0, attempts=None):
        try:
            return await call()
        except (ConflictError, NotFoundError) as error:
            if not entry.lost:
                raise
            meters.LOST.inc()
            raise LostError from error
        except (UnavailableError, ExhaustedError) as error:
            if unix_seconds(parts.clock) >= entry.leased_until:
                raise
            if attempt == 1:
                _log.warning("store_waits", error=error)
    raise AssertionError("not reached")
