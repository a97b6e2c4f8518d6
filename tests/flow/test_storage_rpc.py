"""The storage service as a process: streams, events over NATS, and SIGKILL under load."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from libs.docstore.store import Event
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import new_id
from protos.events.v1.events_pb2 import MailStored
from protos.storage.v1 import storage_pb2 as pb
from tests.support.storage_process import BLOCK, CLOCK, Wire, answering, mail, running, staging


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with running(tmp_path) as running_wire:
        yield running_wire


async def test_a_large_mail_comes_in_and_out_in_blocks_and_is_announced(wire: Wire) -> None:
    heard: asyncio.Queue[MailStored] = asyncio.Queue()

    async def hear(event: Event) -> None:
        heard.put_nowait(MailStored.FromString(event.payload))

    await wire.bus.subscribe_all("mail.stored.v1", hear)
    alice, bob = new_id(), new_id()
    body = secrets.token_bytes(3 * 1024 * 1024 + 17)
    delivery = mail(alice, bob, body=b"", body_staged=True, size=len(body))
    for copy in delivery.messages:
        assert (await wire.ingest.Stage(staging(copy, body), timeout=20)).size == len(body)
    assert await wire.append(delivery, mail(alice, envelope=b""), mail(alice)) == ["ok", "invalid:envelope", "ok"]

    message_id = delivery.messages[0].message_id
    # Of two mails in one second, either may be the first: the times that are kept are no finer.
    page = await wire.gateway.List(pb.ListRequest(mailbox_id=alice), timeout=5)
    entries = {one.message_id: one for one in page.messages}
    large = entries.pop(message_id)
    (small,) = entries.values()
    assert (large.body_size, small.body_size) == (len(body), 11)
    request = pb.GetMessageRequest(mailbox_id=alice, message_id=message_id)
    blocks = [block async for block in wire.gateway.GetBody(request, timeout=20)]
    assert blocks[0].message == await wire.gateway.GetMessage(request, timeout=5) == large
    assert max(len(block.data) for block in blocks) <= BLOCK
    assert b"".join(block.data for block in blocks) == body
    async with asyncio.timeout(20):
        told = [await heard.get() for _ in range(3)]
    assert {one.message_id for one in told} == {small.message_id, *[copy.message_id for copy in delivery.messages]}
    assert heard.empty()


async def test_a_mail_is_moved_and_deleted(wire: Wire) -> None:
    alice, bob = new_id(), new_id()
    delivery = mail(alice, bob)
    message_id = delivery.messages[0].message_id
    assert await wire.append(delivery, mail(alice)) == ["ok", "ok"]
    folder = await wire.gateway.PutFolder(pb.PutFolderRequest(mailbox_id=alice, sealed_name=b"name"), timeout=5)
    change = pb.UpdateMessagesRequest(
        mailbox_id=alice, message_ids=[message_id, new_id()], add_flags=["seen"], move_to=folder.folder_id
    )
    assert len((await wire.gateway.UpdateMessages(change, timeout=5)).not_found) == 1
    assert await counts(wire, alice) == {"inbox": (1, 1), folder.folder_id: (1, 0)}
    gone = pb.DeleteFolderRequest(mailbox_id=alice, folder_id=folder.folder_id)
    assert (await wire.gateway.DeleteFolder(gone, timeout=5)).moved == 1
    removal = pb.DeleteMessagesRequest(mailbox_id=alice, message_ids=[message_id])
    assert not (await wire.gateway.DeleteMessages(removal, timeout=5)).not_found
    with pytest.raises(NotFoundError, match=r"^message$"):
        await wire.gateway.GetMessage(pb.GetMessageRequest(mailbox_id=alice, message_id=message_id), timeout=5)
    assert await counts(wire, alice) == {"inbox": (1, 1)}
    assert len(await wire.ids(bob)) == 1


async def counts(wire: Wire, mailbox_id: str) -> dict[str, tuple[int, int]]:
    mailbox = await wire.gateway.GetMailbox(pb.GetMailboxRequest(mailbox_id=mailbox_id), timeout=5)
    return {folder.folder_id: (folder.messages, folder.unseen) for folder in mailbox.folders if folder.messages}


async def test_a_disposable_inbox_keeps_its_newest_for_its_time(wire: Wire) -> None:
    inbox = new_id()
    expires_at = unix_seconds(CLOCK) + 3
    for _ in range(10):
        assert await wire.append(mail(inbox, keep_newest=2, expires_at=expires_at)) == ["ok"]
    for most in (2, 0):
        async with asyncio.timeout(15):
            while len(await wire.ids(inbox)) > most:  # noqa: ASYNC110 - another process is at work
                await asyncio.sleep(0.05)


async def test_what_cannot_be_is_refused(wire: Wire) -> None:
    with pytest.raises(InvalidError, match=r"^cursor$"):
        await wire.gateway.List(pb.ListRequest(mailbox_id="a", cursor="nonsense"), timeout=5)
    with pytest.raises(InvalidError, match=r"^flag$"):
        await wire.gateway.UpdateMessages(pb.UpdateMessagesRequest(mailbox_id="a", add_flags=["x"]), timeout=5)
    with pytest.raises(InvalidError, match=r"^deliveries$"):
        await wire.append(*[pb.Delivery()] * 1001)
    with pytest.raises(InvalidError, match=r"^mailbox_id$"):
        await wire.ingest.Stage(staging(pb.NewMessage(), b"x"), timeout=5)


async def test_killed_under_load_it_loses_nothing_and_doubles_nothing(wire: Wire) -> None:
    boxes = [new_id() for _ in range(4)]
    waiting = [mail(*boxes[: 1 + number % 3], quota_messages=1000) for number in range(300)]
    stored: list[pb.Delivery] = []

    async def send() -> None:
        while waiting:
            delivery = waiting.pop()
            try:
                outcome = await wire.append(delivery, timeout=3)
            except SealpostError:
                outcome = ["unknown"]
                await asyncio.sleep(0.1)
            (stored if outcome == ["ok"] else waiting).append(delivery)

    senders = [asyncio.create_task(send()) for _ in range(8)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        assert await wire.storage.end(signal.SIGKILL) == -signal.SIGKILL
        wire.storage.start()
        await answering(wire)
    await asyncio.gather(*senders)
    assert len(stored) == 300
    expected = sorted(copy.message_id for delivery in stored for copy in delivery.messages)
    assert await listed(wire, boxes) == expected


async def listed(wire: Wire, boxes: Iterable[str]) -> list[str]:
    return sorted([message_id for box in boxes for message_id in await wire.ids(box)])


async def test_mails_of_a_day_are_counted_as_long_as_they_are_held(wire: Wire) -> None:
    alice, bob = new_id(), new_id()
    delivery = mail(alice)
    assert await wire.append(delivery, mail(alice), mail(bob)) == ["ok"] * 3
    day = int(delivery.messages[0].message_id[:10], 16) // 86400

    async def held(*mailboxes: str, of: int = day) -> dict[str, int]:
        request = pb.CountHeldRequest(mailbox_ids=mailboxes, day=of)
        return dict((await wire.billing.CountHeld(request, timeout=5)).held)

    assert await held(alice, bob) == {alice: 2, bob: 1}
    assert await held(alice, of=day - 1) == {alice: 0} == await held(alice, of=day + 1)
    removal = pb.DeleteMessagesRequest(mailbox_id=alice, message_ids=[delivery.messages[0].message_id])
    await wire.gateway.DeleteMessages(removal, timeout=5)
    assert await held(alice) == {alice: 1}
    with pytest.raises(InvalidError, match="too_many_mailboxes"):
        await held(*[new_id() for _ in range(101)])
    with pytest.raises(InvalidError, match="day"):
        await held(alice, of=-1)
    with pytest.raises(DeniedError):
        await wire.gateway.CountHeld(pb.CountHeldRequest(mailbox_ids=[alice], day=day), timeout=5)
