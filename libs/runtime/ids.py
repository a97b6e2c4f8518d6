"""Identifiers: opaque, so that they may stand in subjects, logs and URLs."""

from __future__ import annotations

import re

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.randomness import random_bytes

_ID = re.compile(r"[0-9a-f]{32}\Z")


def new_id() -> str:
    """Return 128 random bits as 32 lower-case hexadecimal digits."""
    return random_bytes(16).hex()


def new_message_id(clock: Clock) -> str:
    """Return an id that sorts by time of receipt: 10 digits of Unix seconds, 22 random digits (88 bits).

    Whole seconds are the coarsest step that still shows two mails in the order in which they came.
    """
    return f"{unix_seconds(clock):010x}{random_bytes(11).hex()}"


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id made here."""
    return _ID.match(text) is not None
