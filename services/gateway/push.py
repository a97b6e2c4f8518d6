"""Live updates: one event from NATS wakes the streams that watch its mailbox.

Every replica of the gateway sees every event and drops those that nobody here watches. A stream that cannot keep up
loses its place, not our memory: its queue is short, and when it overflows the stream is told to load anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.docstore.store import Event
from protos.events.v1 import events_pb2

_QUEUE = 64


@dataclass(frozen=True)
class Update:
    """What a stream is told: `kind` is "stored", "resync" (load anew) or "end"."""

    kind: str
    message_id: str = ""
    folder: str = ""


END = Update("end")
RESYNC = Update("resync")


class Hub:
    """Who watches which mailbox, on this replica."""

    def __init__(self) -> None:
        """Begin with nobody watching."""
        self._watchers: dict[str, set[asyncio.Queue[Update]]] = {}
        self._closed = False

    def __len__(self) -> int:
        """Return how many streams watch."""
        return sum(len(queues) for queues in self._watchers.values())

    @contextmanager
    def watch(self, mailbox_id: str) -> Iterator[asyncio.Queue[Update]]:
        """Give a queue of the updates of `mailbox_id` for the time of the block."""
        queue: asyncio.Queue[Update] = asyncio.Queue(_QUEUE)
        if self._closed:
            queue.put_nowait(END)
        self._watchers.setdefault(mailbox_id, set()).add(queue)
        try:
            yield queue
        finally:
            watchers = self._watchers[mailbox_id]
            watchers.discard(queue)
            if not watchers:
                del self._watchers[mailbox_id]

    async def on_stored(self, event: Event) -> None:
        """Take a mail.stored.v1 event."""
        stored = events_pb2.MailStored.FromString(event.payload)
        for queue in self._watchers.get(stored.mailbox_id, ()):
            if queue.full():
                _replace(queue, RESYNC)
            else:
                queue.put_nowait(Update("stored", stored.message_id, stored.folder))

    async def on_gap(self) -> None:
        """Tell every stream to load anew: events may have been missed."""
        self._tell_all(RESYNC)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        self._tell_all(END)

    def end(self, queue: asyncio.Queue[Update]) -> None:
        """End one stream; what it has not been told yet it will not be told."""
        _replace(queue, END)

    def _tell_all(self, update: Update) -> None:
        for queues in self._watchers.values():
            for queue in queues:
                _replace(queue, update)


def _replace(queue: asyncio.Queue[Update], update: Update) -> None:
    # Loading anew, and the end, make everything before them needless; but nothing comes after the end.
    while not queue.empty():
        if queue.get_nowait() == END:
            update = END
    queue.put_nowait(update)
