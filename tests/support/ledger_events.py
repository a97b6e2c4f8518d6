"""What was announced: a durable consumer with deduplication, as any service has one, on the store that NATS has left.

The platform gives nobody the right to read its events from the beginning, so this is done after it has stopped: another
nats-server is started on the same store, with a user that may.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.events.dedupe import SEEN_EVENTS, DedupeStore
from libs.events.jetstream import EventBus
from libs.events.server_config import Rights
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock
from protos.events.v1 import events_pb2
from tests.support.nats import run_nats

SUBJECT = "mail.stored.v1"
_READER = "ledger"
_FIRST_SECONDS = 15.0
_QUIET_SECONDS = 1.5


async def announced(home: Path, scratch: Path, stored: Collection[str]) -> Counter[str]:
    """Return how often each message id was announced, as a deduplicating consumer counts it; `home` is stopped.

    Of the mailboxes alone in which messages of `stored` lie: the platform's own probes have mailboxes too, and empty
    them again.
    """
    scratch.mkdir(parents=True)
    shutil.copytree(home / "data" / "nats", scratch / "store")
    counts: Counter[tuple[str, str]] = Counter()
    heard = asyncio.Event()
    patience = _FIRST_SECONDS

    async def count(event: Event) -> None:
        told = events_pb2.MailStored.FromString(event.payload)
        counts[told.mailbox_id, told.message_id] += 1
        heard.set()

    rights = {_READER: Rights(consumes={_READER: SUBJECT})}
    async with run_nats(scratch, rights) as server, SqliteStore.open(scratch / "seen.db", (SEEN_EVENTS,)) as store:
        tls = TlsFiles(server.tls[_READER])
        bus = await EventBus.connect(server.url, _READER, server.passwords[_READER], tls, _READER)
        try:
            await bus.consume(_READER, SUBJECT, count, DedupeStore(store, SystemClock()))
            while await _comes(heard, patience):
                heard.clear()
                patience = _QUIET_SECONDS
        finally:
            await bus.close()
    known = {mailbox for mailbox, message in counts if message in stored}
    return Counter({message: number for (mailbox, message), number in counts.items() if mailbox in known})


async def _comes(heard: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await heard.wait()
    except TimeoutError:
        return False
    return True
