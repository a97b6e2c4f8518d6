"""A mail's way through the queue: submitted, tried, settled, told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Query
from libs.runtime.errors import UnavailableError
from services.delivery.domain.model import Profile
from services.delivery.queue.collections import CONTENTS, MAILS, SHREDS
from tests.unit.delivery.world import CONTENT, DELIVERED, LATER, REFUSED, SENDER, Node, World, a_store


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def node(world: World, tmp_path: Path) -> AsyncIterator[Node]:
    async with a_store(tmp_path) as store:
        yield world.node(store)


async def test_goes_out_at_once(world: World, node: Node) -> None:
    mail = await node.submit("bob@example.org")
    await node.idle()
    assert await node.states(mail) == ["delivered"]
    (outgoing,) = world.servers.sent
    assert outgoing.recipients == ("bob@example.org",)
    assert outgoing.return_path.startswith("b-") and outgoing.return_path.endswith("@bounces.sealpost.test")
    assert outgoing.content.startswith(b"DKIM-Signature: ")
    assert outgoing.content.endswith(CONTENT.partition(b"\r\n\r\n")[2])
    assert world.signer.domains == ["sealpost.test"]
    assert world.customers.kinds() == ["delivered"]


async def test_key_is_destroyed_once_settled(world: World, node: Node) -> None:
    mail = await node.submit("bob@example.org")
    await node.idle()
    await node.graph.shredder.flush()
    assert len(world.keys.destroyed) == 1
    document = await node.store.get(MAILS, mail)
    assert document is not None
    assert set(document.body) == {"state", "account", "trail", "expires"}
    assert await node.store.find(Query(SHREDS, "due", (), limit=10)) == []


async def test_copies_for_our_own(world: World, node: Node) -> None:
    world.mailboxes.add("bob@sealpost.test", "b" * 32)
    mail = await node.submit("bob@sealpost.test", "nobody@sealpost.test")
    states = await node.until_settled(mail)
    assert states == ["delivered", "bounced"]
    copy = world.mailboxes.bodies()[0]
    assert copy.startswith(f"Return-Path: <{SENDER}>\r\nReceived: by mx.sealpost.test with ESMTPSA id {mail};".encode())
    assert b"\r\nAuthentication-Results: mx.sealpost.test; auth=pass\r\n" in copy
    task = next(iter(world.mailboxes.stored.values()))
    assert b'"auth":{"spf":"none","dkim":"none","dmarc":"pass"}' in task.envelope
    assert b'"rcpt":"bob@sealpost.test"' in task.envelope
    assert not world.servers.sent


async def test_a_copy_is_stored_once_however_often_it_is_brought(world: World, node: Node) -> None:
    world.mailboxes.add("bob@sealpost.test", "b" * 32)
    world.mailboxes.fault = UnavailableError("deadline")
    mail = await node.submit("bob@sealpost.test")
    await node.idle()
    assert await node.states(mail) == ["queued"]
    world.mailboxes.fault = None
    world.clock.advance(minutes=3)
    assert await node.until_settled(mail) == ["delivered"]
    assert len(world.mailboxes.stored) == 1 and world.mailboxes.appends == 2


async def test_members_share_a_transaction_and_customers_do_not(world: World, node: Node) -> None:
    await node.submit("bob@example.org", "carol@example.org", "dan@example.net")
    await node.idle()
    assert sorted(one.recipients for one in world.servers.sent) == [
        ("bob@example.org", "carol@example.org"),
        ("dan@example.net",),
    ]
    world.servers.sent.clear()
    mail = await node.submit("bob@example.org", "carol@example.org", profile=Profile.RELAY)
    await node.idle()
    assert sorted(one.recipients for one in world.servers.sent) == [("bob@example.org",), ("carol@example.org",)]
    read = [node.graph.paths.read(one.return_path) for one in world.servers.sent]
    assert sorted((one.mail_id, one.index) for one in read if one) == [(mail, 0), (mail, 1)]


async def test_each_customers_recipient_has_a_link_of_his_own(world: World, node: Node) -> None:
    await node.submit(
        "bob@example.org", "carol@example.org", profile=Profile.RELAY, campaign="spring", one_click_unsubscribe=True
    )
    await node.idle()
    assert sorted(one.content.partition(b"/u/")[2][:1] for one in world.servers.sent) == [b"0", b"1"]
    assert len(world.signer.domains) == 2


async def test_comes_again_later(world: World, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: LATER
    mail = await node.submit("bob@example.org")
    await node.idle()
    assert await node.states(mail) == ["queued"]
    await node.turn()
    assert len(world.servers.sent) == 1
    world.clock.advance(minutes=2)
    await node.turn()
    assert len(world.servers.sent) == 2
    assert world.customers.kinds() == ["deferred", "deferred"]


async def test_refused_for_good_is_reported_to_the_sender(world: World, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED
    mail = await node.submit("bob@example.org")
    assert await node.until_settled(mail) == ["bounced"]
    (report,) = world.mailboxes.bodies()
    assert b"report-type=delivery-status" in report and b"5.1.1" in report and b"bob@example.org" in report
    assert world.customers.kinds() == ["bounced"]


async def test_a_report_that_cannot_be_delivered_waits(world: World, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED
    world.mailboxes.fault = UnavailableError("deadline")
    mail = await node.submit("bob@example.org")
    await node.idle()
    document = await node.store.get(MAILS, mail)
    assert document is not None and document.body["state"] == "queued"
    await node.turn()
    world.mailboxes.fault = None
    world.clock.advance(minutes=2)
    await node.turn()
    assert len(world.mailboxes.stored) == 1
    document = await node.store.get(MAILS, mail)
    assert document is not None and document.body["state"] == "settled"
    assert len(world.servers.sent) == 1


async def test_given_up_after_five_days_with_one_notice_of_delay(world: World, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: LATER
    mail = await node.submit("bob@example.org")
    await node.idle()
    attempts = []
    for _ in range(24 * 5 + 2):
        world.clock.advance(hours=1)
        await node.turn()
        attempts.append(len(world.servers.sent))
        if await node.states(mail) != ["queued"]:
            break
    assert await node.states(mail) == ["expired"]
    subjects = [body.partition(b"Subject: ")[2].partition(b"\r\n")[0] for body in world.mailboxes.bodies()]
    assert subjects == [b"Your mail is delayed; we keep trying", b"Your mail could not be delivered"]
    assert 20 < attempts[-1] < 40
    assert world.customers.kinds()[-1] == "expired"


async def test_no_notice_of_delay_about_mail_of_programs(world: World, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: LATER
    mail = await node.submit("bob@example.org", content=b"Auto-Submitted: auto-generated\r\n" + CONTENT)
    await node.idle()
    world.clock.advance(hours=5)
    await node.turn()
    assert await node.states(mail) == ["queued"] and not world.mailboxes.stored


async def test_one_recipients_failure_does_not_touch_the_others(world: World, node: Node) -> None:
    answers = {"bob@example.org": LATER, "carol@example.org": REFUSED}
    world.servers.answers = lambda outgoing, address: answers.get(address, DELIVERED)
    mail = await node.submit("bob@example.org", "carol@example.org", "dan@example.net")
    await node.idle()
    assert await node.states(mail) == ["queued", "bounced", "delivered"]
    answers.clear()
    world.clock.advance(minutes=3)
    assert await node.until_settled(mail) == ["delivered", "bounced", "delivered"]
    assert world.servers.addresses().count("dan@example.net") == 1
    assert world.servers.addresses().count("bob@example.org") == 2
    assert len(world.mailboxes.stored) == 1


async def test_suppressed_addresses_are_not_written_to(world: World, node: Node) -> None:
    world.customers.suppressed = {"bob@example.org"}
    mail = await node.submit("bob@example.org", "carol@example.org")
    assert await node.until_settled(mail) == ["suppressed", "delivered"]
    assert world.servers.addresses() == ["carol@example.org"]


async def test_sent_at_its_time(world: World, node: Node) -> None:
    mail = await node.submit("bob@example.org", send_at=world.now + 3600)
    await node.turn()
    assert not world.servers.sent
    world.clock.advance(hours=1)
    assert await node.until_settled(mail) == ["delivered"]


async def test_unsigned_mail_is_not_sent(world: World, node: Node) -> None:
    world.signer.fault = UnavailableError("deadline")
    mail = await node.submit("bob@example.org")
    await node.idle()
    assert not world.servers.sent and await node.states(mail) == ["queued"]
    world.signer.fault = None
    world.clock.advance(minutes=3)
    assert await node.until_settled(mail) == ["delivered"]


async def test_large_content_lies_in_pieces_until_it_is_settled(world: World, node: Node) -> None:
    content = CONTENT + b"x" * 70 + b"\r\n"
    content += (b"y" * 70 + b"\r\n") * 40_000
    world.servers.answers = lambda outgoing, address: LATER
    mail = await node.submit("bob@example.org", content=content)
    await node.idle()
    assert len(await node.store.find(Query(CONTENTS, "check", (), limit=10))) == 3
    world.servers.answers = lambda outgoing, address: DELIVERED
    world.clock.advance(minutes=3)
    assert await node.until_settled(mail) == ["delivered"]
    assert world.servers.sent[-1].content.endswith(content[-1000:])
    assert len(world.servers.sent[-1].content) > len(content)
    await node.graph.shredder.flush()
    assert await node.store.find(Query(CONTENTS, "check", (), limit=10)) == []
