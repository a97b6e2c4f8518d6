"""A mail in the queue, opened, in the hands of this process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from libs.runtime.secret import Secret
from services.delivery.domain.model import QueuedMail
from services.delivery.domain.ports import Happening
from services.delivery.domain.queue import Facts, Report


@dataclass(slots=True)
class Entry:
    """`mail.order.content` is empty: the content is in `content`, or None where it has not been loaded.

    `holder` names this claim in the document: the mail is ours as long as it stands there. `mail.version` is that of
    the last write known; whoever writes the document holds `lock` from before it reads the version until it has noted
    the new one. `lost` says that somebody else has the mail now: nothing more may be done with it. `cancelled`: what is
    not sent yet must not be.
    """

    mail: QueuedMail
    facts: Facts
    key_id: str
    key: Secret[bytes]
    content: bytes | None
    # Bytes of the content.
    size: int
    # Pieces of the content outside the document; 0: it is inside.
    pieces: int = 0
    sealed_content: bytes | None = None
    # Of a new mail that is put off: what stands for the busy destination.
    waits_for: bytes | None = None
    reports: list[Report] = field(default_factory=list)
    # What has been written down and may not have been told yet.
    untold: list[Happening] = field(default_factory=list)
    # Unix seconds.
    leased_until: int = 0
    lost: bool = False
    cancelled: bool = False
    holder: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
