"""Copies of incoming mail through the queue: once, after a moment, sealed, and never in the account's own name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import dkim
import pytest

from libs.mail.verdict import Verdict
from libs.runtime.errors import InvalidError, UnavailableError
from tests.unit.delivery.forwards.node import CONTENT, HOLD, SENDER, TARGET, ForwardNode, forwarding
from tests.unit.delivery.forwards.test_sealing import look_up, verified
from tests.unit.delivery.world import LATER, REFUSED, World
from tests.unit.ingest.senders import MAIL, sign


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ForwardNode]:
    async with forwarding(tmp_path, World()) as made:
        yield made


async def test_a_copy_goes_out_sealed_with_a_return_path_of_ours(node: ForwardNode) -> None:
    assert await node.forward()
    assert await node.later(HOLD - 1) == []
    (sent,) = await node.later(1)
    assert sent.recipients == (TARGET,)
    assert sent.return_path.startswith("SRS0=")
    assert sent.return_path.endswith("@bounces.sealpost.test")
    assert "ada" not in sent.return_path and "example.org" not in sent.return_path
    assert sent.content.endswith(CONTENT)
    assert verified(sent.content)[0] == b"pass"
    assert dkim.verify(sent.content, dnsfunc=look_up)
    assert node.world.signer.domains == []


async def test_the_same_mail_again_is_the_same_copy(node: ForwardNode) -> None:
    for _ in range(3):
        assert await node.forward()
    assert len(await node.later()) == 1
    assert await node.forward()
    assert len(await node.later()) == 1


async def test_taken_back_in_time_it_never_goes_out_and_may_come_again(node: ForwardNode) -> None:
    for _ in range(3):
        await node.forward()
        await node.withdraw()
        await node.withdraw()
    assert await node.later(60) == []
    await node.forward()
    await node.forward()
    assert len(await node.later()) == 1


async def test_taking_back_what_is_not_there_or_gone(node: ForwardNode) -> None:
    await node.withdraw()
    await node.forward()
    await node.later()
    await node.withdraw()
    await node.forward()
    assert len(await node.later()) == 1


async def test_a_large_one_is_whole(node: ForwardNode) -> None:
    large = sign(MAIL + b"All work and no play.\r\n" * 100_000)
    await node.forward(content=large)
    (sent,) = await node.later()
    assert sent.content.endswith(large)
    assert verified(sent.content)[0] == b"pass"


async def test_each_address_has_a_transaction_and_a_return_path(node: ForwardNode) -> None:
    await node.forward(recipients=(TARGET, "two@mail.example", "three@other.example"))
    sent = await node.later()
    assert sorted(one.recipients for one in sent) == [(TARGET,), ("three@other.example",), ("two@mail.example",)]
    assert len({one.return_path for one in sent}) == 3


async def test_a_report_is_forwarded_from_nobody(node: ForwardNode) -> None:
    await node.forward(mail_from="")
    (sent,) = await node.later()
    assert sent.return_path == ""


async def test_a_members_address_is_delivered_inside_with_what_the_mx_found(node: ForwardNode) -> None:
    node.world.mailboxes.add("bob@sealpost.test", "b" * 32)
    await node.forward(recipients=("bob@sealpost.test",), verdict=Verdict("fail", "none", "fail", "spf=fail"))
    assert await node.later() == []
    (body,) = node.world.mailboxes.bodies()
    assert body.endswith(CONTENT)
    assert body.startswith(b"Return-Path: <ada@example.org>\r\n")
    assert b"spf=fail" in body
    assert b"auth=pass" not in body
    (task,) = node.world.mailboxes.stored.values()
    assert b'"dmarc":"fail"' in task.envelope.replace(b" ", b"")


async def test_nowhere_that_is_ours_but_a_mailbox(node: ForwardNode) -> None:
    await node.forward(recipients=("x@bounces.sealpost.test", "x@mx.sealpost.test", "no address"))
    assert await node.later() == []


async def test_what_becomes_of_copies_says_nothing_about_the_account(node: ForwardNode) -> None:
    node.world.servers.answers = lambda outgoing, address: REFUSED
    await node.forward()
    await node.later()
    assert node.world.customers.told == {}
    assert node.world.customers.reserved == []


async def test_the_owner_is_told_of_failures_once_a_day_and_the_sender_never(node: ForwardNode) -> None:
    node.world.servers.answers = lambda outgoing, address: REFUSED
    for number in range(3):
        await node.forward(content=CONTENT + b"%d\r\n" % number)
    sent = await node.later()
    assert {one.recipients for one in sent} == {(TARGET,)}
    (notice,) = node.world.mailboxes.bodies()
    assert b"Subject: Copies of your mail could not be forwarded" in notice
    assert TARGET.encode() in notice
    assert SENDER.encode() not in notice
    node.world.clock.advance(days=1)
    await node.forward(content=CONTENT + b"next day\r\n")
    await node.later()
    assert len(node.world.mailboxes.bodies()) == 2


async def test_a_busy_server_gets_it_later_with_no_word_to_anybody(node: ForwardNode) -> None:
    node.world.servers.answers = lambda outgoing, address: LATER
    await node.forward()
    for _ in range(8):
        await node.later(3600)
    assert len(node.world.servers.sent) > 1
    assert node.world.mailboxes.bodies() == []


async def test_without_signatures_it_waits(node: ForwardNode) -> None:
    node.keys.fault = UnavailableError("unreachable")
    await node.forward()
    assert await node.later() == []
    node.keys.fault = None
    assert len(await node.later(600)) == 1


async def test_a_days_copies(tmp_path: Path) -> None:
    async with forwarding(tmp_path, World(), forward_per_day=2) as node:
        done = [await node.forward(content=CONTENT + b"%d\r\n" % number) for number in range(4)]
        assert done == [True, True, False, False]
        assert len(await node.later()) == 2
        (letter,) = node.letters.sent.values()
        assert (letter.name, letter.account_id, letter.fields) == ("forwarding_limited", "a" * 32, {"most": "2"})
        node.world.clock.advance(days=1)
        assert await node.forward(content=CONTENT + b"9\r\n")


async def test_after_a_restart_it_goes_on_and_still_knows_what_it_has(tmp_path: Path) -> None:
    world = World()
    async with forwarding(tmp_path, world) as node:
        await node.forward()
    async with forwarding(tmp_path, world) as node:
        await node.forward()
        (sent,) = await node.later()
        assert verified(sent.content)[0] == b"pass"
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for mark in (SENDER, TARGET, "Another  one"):
        assert mark.encode() not in held


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": "x"},
        {"digest": b"short"},
        {"content": b"", "digest": b"x" * 32},
        {"recipients": ("a@x.example", "b@x.example", "c@x.example", "d@x.example")},
    ],
)
async def test_what_the_mx_must_not_send(node: ForwardNode, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidError):
        await node.forward(**changes)
