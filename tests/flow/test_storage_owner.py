"""The storage service as a process that is asked what it keeps: swept, exported, erased, and killed in between."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError
from libs.runtime.ids import new_id
from protos.owner.v1 import owner_pb2 as owner
from protos.storage.v1 import storage_pb2 as pb
from tests.support.storage_process import CLOCK, Wire, answering, mail, running, staging

MAILS = 6000


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with running(tmp_path) as running_wire:
        yield running_wire


async def fill(wire: Wire, boxes: list[str], count: int, **fields: object) -> None:
    for start in range(0, count, 500):
        mails = [mail(boxes[number % len(boxes)], **fields) for number in range(start, min(count, start + 500))]
        assert set(await wire.append(*mails)) == {"ok"}


async def killing(wire: Wire, pauses: list[float]) -> None:
    """Kill the process after each of `pauses`, and start it again."""
    for pause in pauses:
        await asyncio.sleep(pause)
        await wire.storage.end(signal.SIGKILL)
        wire.storage.start()
        await answering(wire)


async def held(wire: Wire, name: str) -> owner.Held:
    answer = await wire.owner.Inventory(owner.InventoryRequest(), timeout=20)
    return next(one for one in answer.held if one.data_class == name)


async def test_killed_while_it_sweeps_it_goes_on_and_keeps_what_has_time(wire: Wire) -> None:
    kept, over = [new_id() for _ in range(5)], [new_id() for _ in range(10)]
    now = unix_seconds(CLOCK)
    await fill(wire, over, MAILS, keep_newest=1000, expires_at=now - 5, envelope=b"expired envelope")
    await fill(wire, kept, 50, keep_newest=1000, expires_at=now + 3600)
    assert (await held(wire, "public_mail")).count == MAILS + 50
    assert await wire.ids(over[0]) == []

    async def sweep() -> None:
        more = True
        while more:
            request = owner.SweepRequest(data_class="public_mail", until=unix_seconds(CLOCK) + 10_000, limit=200)
            try:
                more = (await wire.owner.Sweep(request, timeout=20)).more
            except SealpostError:
                await asyncio.sleep(0.05)

    await asyncio.gather(sweep(), killing(wire, [0.02, 0.05, 0.03]))
    await sweep()
    found = await held(wire, "public_mail")
    assert (found.count, found.first_due) == (50, now + 3600)
    assert sum([len(await wire.ids(box)) for box in kept]) == 50


async def test_killed_while_it_erases_it_stays_closed_and_leaves_nothing(wire: Wire) -> None:
    alice, bob = new_id(), new_id()
    subject = owner.Subject(account_id=new_id(), mailbox_id=alice)
    await fill(wire, [alice, bob], MAILS)
    large = mail(alice, body=b"", body_staged=True)
    await wire.ingest.Stage(staging(large.messages[0], b"sealed large body " * 50_000), timeout=20)
    assert await wire.append(large) == ["ok"]
    await wire.gateway.PutObject(
        pb.PutObjectRequest(mailbox_id=alice, name="contacts", sealed=b"sealed contacts"), timeout=5
    )

    first = await wire.owner.Erase(owner.EraseRequest(subject=subject, limit=50), timeout=5)
    assert first.more

    async def erase() -> None:
        more = True
        while more:
            try:
                more = (await wire.owner.Erase(owner.EraseRequest(subject=subject, limit=100), timeout=20)).more
            except SealpostError:
                await asyncio.sleep(0.05)

    async def try_it() -> None:
        for _ in range(20):
            try:
                assert await wire.append(mail(alice), timeout=5) == ["not_found:mailbox"]
                with pytest.raises(NotFoundError, match=r"^mailbox$"):
                    await wire.ids(alice)
            except SealpostError:
                await asyncio.sleep(0.05)

    await asyncio.gather(erase(), try_it(), killing(wire, [0.02, 0.05, 0.03]))
    await erase()
    with pytest.raises(NotFoundError, match=r"^mailbox$"):
        await wire.gateway.GetMailbox(pb.GetMailboxRequest(mailbox_id=alice), timeout=5)
    assert len(await wire.ids(bob)) == MAILS // 2
    request = owner.TracesRequest(needles=[b"sealed large body", b"sealed contacts"])
    assert list((await wire.owner.Traces(request, timeout=20)).found) == [0, 0]


async def test_it_is_exported_in_parts(wire: Wire) -> None:
    alice, body = new_id(), bytes(range(256)) * 4096
    large = mail(alice, body=b"", body_staged=True, size=99)
    await wire.ingest.Stage(staging(large.messages[0], body), timeout=20)
    assert await wire.append(large, mail(alice)) == ["ok", "ok"]
    request = owner.ExportRequest(subject=owner.Subject(account_id=new_id(), mailbox_id=alice))
    parts = [part async for part in wire.owner.Export(request, timeout=20)]
    assert max(len(part.data) for part in parts) <= 256 * 1024
    assert sum(part.last for part in parts) == 3
    names = {part.name: part.kind for part in parts if part.name}
    assert names.pop("mailbox.json") == "json"
    assert set(names.values()) == {"mail"}
    assert names.keys() == set(await wire.ids(alice))
    start = next(place for place, part in enumerate(parts) if part.name == large.messages[0].message_id)
    end = next(place for place in range(start, len(parts)) if parts[place].last)
    header, _, sealed = b"".join(part.data for part in parts[start : end + 1]).partition(b"\n")
    assert (json.loads(header)["size"], sealed) == (99, body)
