"""Identifiers: opaque, so that they may stand in subjects, logs and URLs."""

from __future__ import annotations

import re
import secrets

from libs.runtime.clock import Clock, unix_seconds

_ID = re.compile(r"[0-9a-f]{32}\Z")


def new_id() -> str:
    """Return 128 random bits as 32 lower-case hexadecimal digits."""
    return secrets.token_hex(16)


def new_message_id(clock: Clock) -> str:
    """Return an id that sorts by time of receipt: 10 digits of Unix seconds, 22 random digits (88 bits).

    Whole seconds are the coarsest step that still shows two mails in the order in which they came.
    """
    return f"{unix_seconds(clock):010x}{secrets.token_hex(11)}"


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id made here."""
    return _ID.match(text) is not None
