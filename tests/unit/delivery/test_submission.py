"""What is taken and what is refused, what comes twice, what is cancelled, and what lies on the disk of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Document, Query
from libs.runtime.errors import ConflictError, DeniedError, ExhaustedError, NotFoundError, SealpostError
from libs.runtime.ids import new_id
from services.delivery.domain.model import Profile, State
from services.delivery.domain.submission import Submitted
from services.delivery.queue.codec import seal_content
from services.delivery.queue.collections import CONTENTS, IDEMPOTENCY, MAILS, SHREDS
from tests.unit.delivery.keeping import swept
from tests.unit.delivery.world import ACCOUNT, CONTENT, DELIVERED, LATER, REFUSED, SENDER, Node, World, a_store, order

OTHER = "b" * 32


@pytest.fixture
def world() -> World:
    world = World()
    world.mailboxes.add("bob@sealpost.test", OTHER)
    return world


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with a_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def node(world: World, store: SqliteStore) -> Node:
    return world.node(store)


async def refused(node: Node, *recipients: str, **changes: object) -> str:
    with pytest.raises(SealpostError) as raised:
        await node.submit(*recipients, **changes)
    return f"{raised.value.code}: {raised.value.reason}"


def from_(address: str) -> bytes:
    return CONTENT.replace(b"ada@sealpost.test", address.encode())


async def test_what_is_refused(world: World, node: Node) -> None:
    to = "carol@example.org"
    now = world.now
    cases: list[tuple[tuple[str, ...], dict[str, object], str]] = [
        ((to,), {"mail_from": "bob@sealpost.test"}, "denied: sender_not_allowed"),
        ((to,), {"mail_from": "", "content": from_("bob@sealpost.test")}, "denied: from_not_allowed"),
        ((to,), {"mail_from": "", "content": from_("ceo@example.org")}, "denied: from_not_allowed"),
        ((to, "dan@example.org"), {"mail_from": ""}, "invalid: too_many_recipients"),
        ((to,), {"mail_from": "ada@example.org"}, "denied: sender_not_allowed"),
        ((to,), {"mail_from": "nobody@sealpost.test"}, "denied: sender_not_allowed"),
        ((to,), {"profile": Profile.PUBLIC}, "denied: sender_not_allowed"),
        ((to,), {"content": from_("bob@sealpost.test")}, "denied: from_not_allowed"),
        ((to,), {"content": from_("ceo@example.org")}, "denied: from_not_allowed"),
        ((to,), {"content": b"Subject: x\r\n\r\n"}, "invalid: from_missing"),
        ((to,), {"content": CONTENT.replace(b"\r\n", b"\n")}, "invalid: content_malformed"),
        ((to,), {"send_at": now + 31 * 86400}, "invalid: send_at_invalid"),
        ((to,), {"send_at": -1}, "invalid: send_at_invalid"),
        ((to,), {"campaign": "No Campaign"}, "invalid: campaign_invalid"),
        ((to,), {"one_click_unsubscribe": True}, "invalid: campaign_invalid"),
        ((to,), {"submission_id": "x"}, "invalid: submission_invalid"),
        ((), {}, "invalid: recipient_invalid"),
        (("carol",), {}, "invalid: recipient_invalid"),
        (("carol@example.org\r\nRCPT TO:<x@example.org>",), {}, "invalid: recipient_invalid"),
        (("carol@[127.0.0.1]",), {}, "invalid: recipient_invalid"),
        (("postmaster",), {}, "invalid: recipient_invalid"),
        (tuple(f"bob{n}@example.org" for n in range(1001)), {}, "invalid: too_many_recipients"),
    ]
    for recipients, changes, reason in cases:
        assert await refused(node, *recipients, **changes) == reason, changes
    assert await refused(world.node(node.store, max_message_bytes=65536), to, content=CONTENT * 1000) == (
        "invalid: too_large"
    )
    assert await node.store.find(Query(MAILS, "due", ("queued",), limit=10)) == []
    assert not world.customers.reserved


async def test_one_failure_leaves_the_others_of_a_batch_alone(world: World, node: Node) -> None:
    batch = [order("carol@example.org"), order("no address"), order("dan@example.org", mail_from="x@sealpost.test")]
    good, bad, denied = await node.graph.submission.submissions.submit(batch)
    assert good == Submitted(batch[0].submission_id, f"<{batch[0].submission_id}@sealpost.test>")
    assert isinstance(bad, SealpostError) and bad.reason == "recipient_invalid"
    assert isinstance(denied, SealpostError) and denied.reason == "sender_not_allowed"


async def test_who_may_send_with_what(world: World, node: Node) -> None:
    world.customers.domains = {(ACCOUNT, "shop.example")}
    addresses = [
        SENDER,
        "bob@sealpost.test",
        "news@SHOP.example",
        "news@example.org",
        "",
        "x y@z",
        "nobody@sealpost.test",
    ]
    allowed = await node.graph.submission.submissions.authorize(ACCOUNT, addresses)
    assert allowed == [True, False, True, False, False, False, False]
    await node.submit("carol@example.org", mail_from="news@shop.example", content=from_("news@shop.example"))
    await node.idle()
    assert world.signer.domains == ["shop.example"]


async def test_nothing_comes_back_for_a_mail_from_nobody(world: World, node: Node) -> None:
    """A read receipt: our From, no return path; refused elsewhere or here, nobody is told."""
    world.servers.answers = lambda outgoing, address: REFUSED
    elsewhere = await node.submit("carol@example.org", mail_from="")
    here = await node.submit("nobody@sealpost.test", mail_from="")
    arrives = await node.submit("bob@sealpost.test", mail_from="")
    await node.idle()
    assert [await node.states(one) for one in (elsewhere, here, arrives)] == [["bounced"], ["bounced"], ["delivered"]]
    assert [one.return_path for one in world.servers.sent] == [""]
    assert world.signer.domains == ["sealpost.test"]
    (stored,) = world.mailboxes.stored.values()
    assert stored.owner == OTHER and stored.body.startswith(b"Return-Path: <>\r\n")
    assert world.customers.reserved == [1, 1, 1]
    # Not for days either.
    world.servers.answers = lambda outgoing, address: LATER
    waiting = await node.submit("carol@example.org", mail_from="")
    world.clock.advance(days=6)
    assert await node.until_settled(waiting) == ["expired"]
    assert len(world.mailboxes.stored) == 1


async def test_recipients_are_counted_once(world: World, node: Node) -> None:
    mail = await node.submit("carol@example.org", "dan@example.org", "carol@example.org")
    await node.idle()
    assert world.customers.reserved == [2]
    assert len(await node.states(mail)) == 2
    world.customers.limit = ExhaustedError("recipients_per_minute", retry_after=3)
    assert await refused(node, "carol@example.org") == "exhausted: recipients_per_minute"


async def test_the_same_submission_is_one_mail(world: World, node: Node) -> None:
    first = order("carol@example.org")
    submissions = node.graph.submission.submissions
    (one,), (two,) = await asyncio.gather(submissions.submit([first]), submissions.submit([first]))
    assert one == two and isinstance(one, Submitted)
    await node.idle()
    world.customers.limit = ExhaustedError("recipients_per_day")
    # The answer got lost; meanwhile the day's limit is reached, and the mail is settled.
    assert await submissions.submit([first]) == [one]
    assert world.servers.addresses() == ["carol@example.org"]
    world.customers.limit = None
    (stranger,) = await submissions.submit(
        [order("x@example.org", submission_id=first.submission_id, account_id=OTHER,
               mail_from="bob@sealpost.test", content=from_("bob@sealpost.test"))]
    )  # fmt: skip
    assert isinstance(stranger, ConflictError)


async def test_a_key_of_the_customer_makes_two_submissions_one(world: World, node: Node) -> None:
    submissions = node.graph.submission.submissions
    first = order("carol@example.org", idempotency_key="order-7")
    again = order("carol@example.org", idempotency_key="order-7")
    (one,), (two,) = await asyncio.gather(submissions.submit([first]), submissions.submit([again]))
    await node.idle()
    assert isinstance(one, Submitted) and one == two
    assert world.servers.addresses() == ["carol@example.org"]
    other = order("dan@example.org", idempotency_key="order-7")
    (mismatch,) = await submissions.submit([other])
    assert isinstance(mismatch, ConflictError) and mismatch.reason == "idempotency_mismatch"
    # A day later the key is free again.
    world.clock.advance(days=1, seconds=1)
    (later,) = await submissions.submit([other])
    assert later == Submitted(other.submission_id, f"<{other.submission_id}@sealpost.test>")
    world.clock.advance(days=2)
    assert await swept(node.store, world.clock, IDEMPOTENCY) == 1
    assert await node.store.find(Query(IDEMPOTENCY, "expires", (), limit=10)) == []


async def test_a_crash_between_key_and_mail_loses_nothing(world: World, node: Node) -> None:
    first = order("carol@example.org", idempotency_key="order-7")
    world.customers.limit = ExhaustedError("recipients_per_minute")
    submissions = node.graph.submission.submissions
    assert isinstance((await submissions.submit([first]))[0], ExhaustedError)
    world.customers.limit = None
    (result,) = await submissions.submit([order("carol@example.org", idempotency_key="order-7")])
    # It goes out under the id that the key was given first.
    assert isinstance(result, Submitted) and result.submission_id == first.submission_id
    await node.idle()
    assert await node.states(first.submission_id) == ["delivered"]


async def test_what_waits_is_cancelled(world: World, node: Node) -> None:
    mail = await node.submit("carol@example.org", send_at=world.now + 3600)
    running = asyncio.create_task(node.graph.worker.run())
    entry = await node.graph.submission.cancelling.cancel(ACCOUNT, mail)
    assert [one.state for one in entry.mail.recipients] == [State.CANCELLED]
    # Again, and by somebody else.
    entry = await node.graph.submission.cancelling.cancel(ACCOUNT, mail)
    assert [one.state for one in entry.mail.recipients] == [State.CANCELLED]
    with pytest.raises(NotFoundError):
        await node.graph.submission.cancelling.cancel(OTHER, mail)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    world.clock.advance(hours=2)
    await node.turn()
    assert not world.servers.sent and world.customers.kinds() == ["cancelled"]


async def test_what_waits_in_line_or_for_its_next_attempt_is_cancelled(world: World, store: SqliteStore) -> None:
    node = world.node(store, per_destination=1)
    world.servers.gate = asyncio.Event()
    first = await node.submit("carol@example.org")
    async with asyncio.timeout(10):
        while not world.servers.under_way:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
    second = await node.submit("dan@example.org")
    await node.graph.submission.cancelling.cancel(ACCOUNT, second)
    assert await node.states(second) == ["cancelled"]
    world.servers.answers = lambda outgoing, address: LATER
    cancelling = asyncio.create_task(node.graph.submission.cancelling.cancel(ACCOUNT, first))
    await _noted(node, first)
    gate, world.servers.gate = world.servers.gate, None
    gate.set()
    # Under way it could not be stopped, but it is not tried again. Who asked waits for that, though not for long.
    entry = await cancelling
    assert [one.state for one in entry.mail.recipients] in ([State.CANCELLED], [State.QUEUED])
    async with asyncio.timeout(20):
        while await node.states(first) != ["cancelled"]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    assert world.servers.addresses() == ["carol@example.org"]


async def _noted(node: Node, mail: str) -> None:
    """Wait until it is written that a mail is cancelled."""
    async with asyncio.timeout(10):
        while not (await _document(node, mail)).body.get("cancel"):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)


async def test_a_cancellation_reaches_another_process(world: World, store: SqliteStore) -> None:
    holder, other = world.node(store, per_destination=1), world.node(store)
    world.servers.gate = asyncio.Event()
    await holder.submit("carol@example.org")
    async with asyncio.timeout(10):
        while not world.servers.under_way:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
    mail = await holder.submit("dan@example.org")
    cancelling = asyncio.create_task(other.graph.submission.cancelling.cancel(ACCOUNT, mail))
    await _noted(other, mail)
    world.clock.advance(10)
    gate, world.servers.gate = world.servers.gate, None
    gate.set()
    await cancelling
    assert await other.states(mail) == ["cancelled"]
    assert world.servers.addresses() == ["carol@example.org"]


async def test_a_stopped_campaign(world: World, store: SqliteStore, node: Node) -> None:
    relay = {"profile": Profile.RELAY, "campaign": "spring", "send_at": world.now + 60}
    mails = [await node.submit("carol@example.org", f"dan{n}@example.org", **relay) for n in range(3)]
    kept = await node.submit("erin@example.org", profile=Profile.RELAY, campaign="autumn", send_at=world.now + 60)
    world.customers.stopped_ones.add((ACCOUNT, "spring"))
    assert await node.graph.submission.cancelling.stop_campaign(ACCOUNT, "spring") == 6
    assert await node.graph.submission.cancelling.stop_campaign(ACCOUNT, "spring") == 0
    assert await refused(node, "carol@example.org", **relay) == "denied: campaign_stopped"
    world.clock.advance(minutes=2)
    await node.turn()
    assert [await node.states(mail) for mail in mails] == [["cancelled", "cancelled"]] * 3
    assert await node.states(kept) == ["delivered"] and world.servers.addresses() == ["erin@example.org"]


async def test_a_campaign_is_asked_for_before_each_attempt(world: World, node: Node) -> None:
    mail = await node.submit("carol@example.org", profile=Profile.RELAY, campaign="spring", send_at=world.now + 60)
    world.customers.stopped_ones.add((ACCOUNT, "spring"))
    world.clock.advance(minutes=2)
    assert await node.until_settled(mail) == ["cancelled"]
    assert not world.servers.sent


async def test_trails_are_told_of_for_a_month(world: World, node: Node) -> None:
    mail = await node.submit("carol@example.org", "dan@example.net", profile=Profile.RELAY)
    await node.idle()
    trails = node.graph.submission.trails
    assert [(one.index, one.address, one.state) for one in await trails.find(mail)] == [
        (0, "carol@example.org", State.DELIVERED),
        (1, "dan@example.net", State.DELIVERED),
    ]
    assert await trails.bounced(mail, 1, "5.2.1")
    assert not await trails.bounced(mail, 1, "5.2.1")
    assert not await trails.bounced(mail, 7, "5.2.1")
    assert not await trails.bounced(new_id(), 0, "5.2.1")
    assert await node.states(mail) == ["delivered", "bounced"]
    world.clock.advance(days=30, seconds=1)
    assert await swept(node.store, world.clock, MAILS) == 1
    assert list(await trails.find(mail)) == []
    with pytest.raises(NotFoundError):
        await node.states(mail)


async def test_left_overs_are_swept(world: World, store: SqliteStore, node: Node) -> None:
    settled = await node.submit("carol@example.org")
    await node.idle()
    # The process died before it destroyed the key, and another one before it had written a large mail.
    (key_id, key), *_ = list(world.keys.keys.items())[5:]
    entry = await node.graph.repository.open(await _document(node, settled))
    entry.key_id, entry.key = key_id, key
    _, pieces = seal_content(settled, key, bytes(2_000_000))
    with pytest.raises(ConflictError):
        await node.graph.repository.insert(entry, pieces, 0, 0)
    fresh = world.node(store)
    waiting = await fresh.submit(
        "erin@example.org", content=CONTENT + b"x\r\n" * 20_000, send_at=world.now + 20 * 86400
    )
    world.clock.advance(hours=2)
    assert await fresh.graph.shredder.sweep() == 1
    assert len(world.keys.destroyed) == 1 and await store.find(Query(SHREDS, "due", (), limit=10)) == []
    assert await fresh.graph.shredder.sweep_pieces() == 3
    left = await store.find(Query(CONTENTS, "check", (), limit=10))
    assert [one.body["mail"] for one in left] == [waiting]
    world.clock.advance(days=20)
    assert await fresh.until_settled(waiting) == ["delivered"]


async def _document(node: Node, mail: str) -> Document:
    found = await node.graph.repository.get(mail)
    assert found is not None
    return found


async def test_unused_keys_are_destroyed_at_the_end(world: World, node: Node) -> None:
    await node.submit("carol@example.org")
    await node.idle()
    await node.graph.keys.close()
    assert len(world.keys.keys) == 1


async def test_nothing_of_a_mail_can_be_read_on_the_disk(world: World, tmp_path: Path) -> None:
    words = ("secret", "carol", "dan@", "ada@", "sealpost.test", "example", "come again", "spring-sale", "order-7")
    async with a_store(tmp_path) as store:
        node = world.node(store)
        world.servers.answers = lambda outgoing, address: LATER
        await node.submit("carol@example.org", "dan@example.net", campaign="spring-sale", idempotency_key="order-7")
        await node.submit("carol@example.org", content=CONTENT + b"secret line\r\n" * 100_000)
        await node.idle()
        await _nothing_readable(tmp_path, words)
        world.servers.answers = lambda outgoing, address: DELIVERED
        world.clock.advance(minutes=3)
        await node.turn()
        assert not await store.find(Query(MAILS, "due", ("queued",), limit=10))
        await _nothing_readable(tmp_path, words)
    await _nothing_readable(tmp_path, words)


async def _nothing_readable(directory: Path, words: tuple[str, ...]) -> None:
    for path in sorted(directory.iterdir()):
        content = path.read_bytes().lower()
        assert content or path.suffix, path.name
        assert [word for word in words if word.encode() in content] == [], path.name


async def test_a_paused_account(world: World, node: Node) -> None:
    world.customers.limit = DeniedError("sending_paused")
    assert await refused(node, "carol@example.org") == "denied: sending_paused"
