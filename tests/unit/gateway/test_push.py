"""Live updates."""

from __future__ import annotations

import asyncio

from libs.docstore.store import Event
from protos.events.v1 import events_pb2
from services.gateway.http.events import updates
from services.gateway.push import Hub, Update


def stored(mailbox_id: str, message_id: str = "m1") -> Event:
    payload = events_pb2.MailStored(mailbox_id=mailbox_id, message_id=message_id, folder="inbox")
    return Event("e1", "mail.stored.v1", payload.SerializeToString())


async def test_a_stream_hears_its_own_mailbox_only() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        await hub.on_stored(stored("b"))
        await hub.on_stored(stored("a"))
        assert queue.get_nowait() == Update("stored", "m1", "inbox")
        assert queue.empty()


async def test_nothing_is_kept_of_a_stream_that_ended() -> None:
    hub = Hub()
    with hub.watch("a"):
        pass
    assert hub._watchers == {}


async def test_a_slow_stream_is_told_to_load_anew() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        for number in range(200):
            await hub.on_stored(stored("a", f"m{number}"))
        assert queue.qsize() <= 64
        kinds = [queue.get_nowait().kind for _ in range(queue.qsize())]
        assert "resync" in kinds


async def test_a_gap_makes_every_stream_load_anew() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        await hub.on_gap()
        assert queue.get_nowait().kind == "resync"


async def test_the_text_of_a_stream() -> None:
    hub = Hub()
    lines = updates(hub, "a", 0.05)
    assert await anext(lines) == ": connected\n\n"
    assert await anext(lines) == ": alive\n\n"
    await hub.on_stored(stored("a"))
    assert await anext(lines) == 'event: stored\ndata: {"id": "m1", "folder": "inbox"}\n\n'
    hub.close()
    assert [line async for line in lines] == []


async def test_a_closed_hub_ends_new_streams_at_once() -> None:
    hub = Hub()
    hub.close()
    async with asyncio.timeout(1):
        assert [line async for line in updates(hub, "a", 5)] == [": connected\n\n"]
