"""Letters about what somebody has asked for: told by mail too, so that whoever did not ask finds out.

What was asked for has happened when the letter is sent. That a letter cannot be sent is written in the log and changes
nothing: the page shows the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from protos.delivery.v1 import delivery_pb2
from services.gateway.peers import Peers

_log = get_logger("rights")


@dataclass(frozen=True)
class Letter:
    """One of the platform's letters; `about` names the occasion, so that a repetition is known."""

    purpose: str
    name: str
    about: str
    fields: Mapping[str, str] = field(default_factory=dict)


async def tell(peers: Peers, account_id: str, letter: Letter) -> None:
    """Send a letter to an account."""
    notice = hashlib.sha256(f"{account_id}/{letter.name}/{letter.about}".encode()).hexdigest()[:32]
    wanted = delivery_pb2.SendPlatformMailRequest(
        notice_id=notice,
        account_id=account_id,
        purpose=letter.purpose,
        letter=letter.name,
        fields={name: text for name, text in letter.fields.items() if text},
    )
    try:
        await peers.delivery.SendPlatformMail(wanted, timeout=peers.timeout)
    except SealpostError as error:
        _log.warning("letter_not_sent", reason=error.reason, kind=letter.name)


def day_of(seconds: int) -> str:
    """Return the day of a moment, UTC, as letters take it: YYYY-MM-DD."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
