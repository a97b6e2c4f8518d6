"""Who is told of what: the hub between NATS and the streams."""

from __future__ import annotations

from libs.docstore.store import Event
from protos.events.v1 import events_pb2
from services.gateway.http.events import text_of
from services.gateway.push import END, RESYNC, Hub, Update


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
    with hub.watch("a"), hub.watch("a"), hub.watch("b"):
        assert len(hub) == 3
    assert hub._watchers == {} and len(hub) == 0


async def test_a_slow_stream_is_told_to_load_anew_and_nothing_else() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        for number in range(65):
            await hub.on_stored(stored("a", f"m{number}"))
        assert [queue.get_nowait() for _ in range(queue.qsize())] == [RESYNC]


async def test_the_queue_of_a_stream_that_never_reads_stays_short() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        for number in range(1000):
            await hub.on_stored(stored("a", f"m{number}"))
            assert queue.qsize() <= 64


async def test_a_gap_makes_every_stream_load_anew() -> None:
    hub = Hub()
    with hub.watch("a") as first, hub.watch("b") as second:
        await hub.on_stored(stored("a"))
        await hub.on_gap()
        assert first.get_nowait() == RESYNC and first.empty()
        assert second.get_nowait() == RESYNC


async def test_the_end_comes_first_and_is_not_forgotten() -> None:
    hub = Hub()
    with hub.watch("a") as queue:
        for number in range(64):
            await hub.on_stored(stored("a", f"m{number}"))
        hub.close()
        await hub.on_gap()
        assert queue.get_nowait() == END
    with hub.watch("a") as late:
        assert late.get_nowait() == END


def test_the_text_of_updates() -> None:
    assert text_of(None) == ": alive\n\n"
    assert text_of(RESYNC) == "event: resync\ndata: {}\n\n"
    assert text_of(Update("stored", "m1", "inbox")) == 'event: stored\ndata: {"id": "m1", "folder": "inbox"}\n\n'
