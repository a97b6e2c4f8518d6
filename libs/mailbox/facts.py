"""What is told to the statistics of a copy that was put into a mailbox, by whichever service put it there."""

from __future__ import annotations

import bisect

from libs.mailbox.model import Route
from libs.policy import OTHER
from libs.telemetry.facts import Recorder

_SIZES = (4, 16, 64, 256, 1024, 4096, 16384, 65536)
_SIZE_CLASSES = ("4k", "16k", "64k", "256k", "1m", "4m", "16m", "64m", OTHER)


def size_class(size: int) -> str:
    """Return the class of `size` bytes: the smallest of 4k, 16k, ... 64m that holds it."""
    return _SIZE_CLASSES[bisect.bisect_left(_SIZES, -(-size // 1024))]


def record_stored(facts: Recorder, route: Route, size: int) -> None:
    """Record a copy of `size` bytes for the mailbox of `route`."""
    facts.record("mail_stored", route.mailbox_id.encode(), profile=route.profile or OTHER, size=size_class(size))
