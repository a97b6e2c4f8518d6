"""Who has refused a version keeps the numbers of his own: for the mails that he sends, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.docstore.store import Document
from libs.policy import Terms, Version, load_policy
from libs.runtime.clock import unix_seconds
from services.delivery.domain.model import Order
from services.delivery.domain.unsubscribe import Subscription, UnsubscribeLinks
from services.delivery.measuring.campaigns import MEASURED
from services.delivery.queue.collections import IDEMPOTENCY, MAILS
from services.delivery.reports.unsubscribing import Unsubscribing
from tests.unit.delivery.fake_ports import FakeHappenings
from tests.unit.delivery.held.desk import ALL, OTHER, Desk, a_desk
from tests.unit.delivery.world import ACCOUNT, DELIVERED, LATER, World

DAY = 86_400
# Version 2 is in force, and shorter in everything.
OLD = {
    "outgoing_mail_seconds": 4 * DAY,
    "outgoing_mail_late_seconds": 3 * DAY,
    "outgoing_trail_seconds": 60 * DAY,
    "sending_event_seconds": 50 * DAY,
    "idempotency_seconds": 2 * DAY,
    "webhook_post_seconds": 6 * DAY,
    "campaign_seconds": 300 * DAY,
}
NEW = {
    "outgoing_mail_seconds": 2 * DAY,
    "outgoing_mail_late_seconds": 1 * DAY,
    "outgoing_trail_seconds": 20 * DAY,
    "sending_event_seconds": 10 * DAY,
    "idempotency_seconds": 1 * DAY,
    "webhook_post_seconds": 3 * DAY,
    "campaign_seconds": 100 * DAY,
}


def two_versions() -> Terms:
    """Return terms of which one version was refused by somebody."""
    terms = Terms(load_policy())
    terms.put([Version(1, OLD), Version(2, NEW, active=True)])
    return terms


async def submit_both(desk: Desk, **changes: Any) -> tuple[str, str]:
    """Send a mail of who has kept version 1, and one of somebody else; return their ids."""
    desk.node.world.mailboxes.add("eve@sealpost.test", OTHER)
    kept = await desk.node.submit("one@there.test", terms=1, **changes)
    eve = {"account_id": OTHER, "mail_from": "eve@sealpost.test", "content": b"From: eve@sealpost.test\r\n\r\nx\r\n"}
    other = await desk.node.submit("two@there.test", **(eve | changes))
    await desk.node.idle()
    return kept, other


async def documents_of(desk: Desk, name: str) -> dict[str, Document]:
    """Return the documents of a collection by their keys."""
    return {one.key: one for one in (await desk.documents())[name]}


async def test_what_became_of_a_mail_is_known_for_as_long_as_its_sender_agreed_to(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: DELIVERED
    async with a_desk(tmp_path, world, two_versions()) as desk:
        start = unix_seconds(desk.clock)
        kept, other = await submit_both(desk)
        trails = await documents_of(desk, MAILS.name)
        assert {key: one.body["expires"] for key, one in trails.items()} == {
            kept: start + OLD["outgoing_trail_seconds"],
            other: start + NEW["outgoing_trail_seconds"],
        }
        for days, trails_left, told in ((9, 2, [1, 1]), (2, 2, [1, 0]), (10, 1, [1, 0]), (30, 1, [0, 0])):
            desk.clock.advance(days=days)
            # What has expired is not told, swept or not; what has not, is.
            pages = [await desk.customers.events.page(one, 10, "") for one in (ACCOUNT, OTHER)]
            since = [await desk.customers.events.since(one, 0, 10) for one in (ACCOUNT, OTHER)]
            assert [len(page) for page, _ in pages] == told == [len(found) for found in since]
            await desk.sweep_all()
            documents = await desk.documents()
            assert (len(documents[MAILS.name]), len(documents["event"])) == (trails_left, sum(told))
        desk.clock.advance(days=10)
        assert (await desk.owner.sweep("outgoing_trail", unix_seconds(desk.clock), ALL)).deleted == 1


async def test_a_mail_is_tried_and_waits_for_as_long_as_its_sender_agreed_to(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: LATER
    async with a_desk(tmp_path, world, two_versions()) as desk:
        start = unix_seconds(desk.clock)
        kept, other = await submit_both(desk)
        mails = await documents_of(desk, MAILS.name)
        assert {key: one.body["until"] for key, one in mails.items()} == {
            kept: start + OLD["outgoing_mail_seconds"],
            other: start + NEW["outgoing_mail_seconds"],
        }
        # The other's is over after two days and gone one day later, this one after four and three.
        for hours, swept, left in ((71, 0, {kept, other}), (1, 1, {kept}), (95, 0, {kept}), (1, 1, set())):
            desk.clock.advance(hours=hours)
            assert (await desk.owner.sweep("outgoing_mail", unix_seconds(desk.clock), ALL)).deleted == swept
            assert set(await documents_of(desk, MAILS.name)) == left


async def test_one_that_waits_longer_does_not_keep_others(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: LATER
    async with a_desk(tmp_path, world, two_versions()) as desk:
        first = await desk.node.submit("one@there.test", terms=1)
        # Over later than the first, and gone before it.
        start = unix_seconds(desk.clock) + 3 * DAY
        await desk.node.submit("two@there.test", terms=2, send_at=start)
        await desk.node.idle()
        desk.clock.advance(days=6, hours=1)
        swept = await desk.owner.sweep("outgoing_mail", unix_seconds(desk.clock), 1)
        assert (swept.deleted, swept.more) == (1, True)
        assert set(await documents_of(desk, MAILS.name)) == {first}


@pytest.mark.parametrize("terms", [1, 2])
async def test_an_order_keeps_its_version_while_it_waits(tmp_path: Path, terms: int) -> None:
    world = World()
    answers = [LATER, DELIVERED]
    world.servers.answers = lambda outgoing, address: answers.pop(0)
    async with a_desk(tmp_path, world, two_versions()) as desk:
        mail_id = await desk.node.submit("one@there.test", terms=terms)
        await desk.node.idle()
        order = await _order(desk, mail_id)
        assert (order.terms, order.content) == (terms, b"")
        desk.clock.advance(hours=1)
        while await desk.node.turn():
            pass
        assert not answers
        assert (await _order(desk, mail_id)).terms == terms
        (trail,) = (await documents_of(desk, MAILS.name)).values()
        assert (
            trail.body["expires"] == unix_seconds(desk.clock) + (OLD if terms == 1 else NEW)["outgoing_trail_seconds"]
        )


async def test_what_is_kept_beside_the_mail(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: DELIVERED
    async with a_desk(tmp_path, world, two_versions()) as desk:
        start = unix_seconds(desk.clock)
        for account_id in (ACCOUNT, OTHER):
            await desk.customers.webhooks.put(account_id, "", "https://hook.test/", [])
        kept, _ = await submit_both(desk, idempotency_key="order-17")
        keys = (await documents_of(desk, IDEMPOTENCY.name)).values()
        assert {one.body["mail"] == kept: one.body["expires"] for one in keys} == {
            True: start + OLD["idempotency_seconds"],
            False: start + NEW["idempotency_seconds"],
        }
        posts = [one.body["expires"] for one in (await documents_of(desk, "post")).values()]
        expected = {start + OLD["webhook_post_seconds"], start + NEW["webhook_post_seconds"]}
        assert (len(posts), set(posts)) == (2, expected)


async def test_campaigns(tmp_path: Path) -> None:
    async with a_desk(tmp_path, terms=two_versions()) as desk:
        start, campaigns = unix_seconds(desk.clock), desk.node.graph.measure.campaigns
        await campaigns.put(ACCOUNT, "spring", opens=True, clicks=False, terms=1)
        await campaigns.put(OTHER, "spring", opens=True, clicks=False)
        found = [one.body["expires"] for one in (await documents_of(desk, MEASURED.name)).values()]
        assert sorted(found) == [start + NEW["campaign_seconds"], start + OLD["campaign_seconds"]]  # type: ignore[type-var]


async def test_a_click_out_of_a_list_follows_the_mail_while_it_is_remembered(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: DELIVERED
    async with a_desk(tmp_path, world, two_versions()) as desk:
        mail_id = await desk.node.submit("one@there.test", terms=1)
        await desk.node.idle()
        happenings, links = FakeHappenings(), UnsubscribeLinks(desk.node.graph.repository.codec._vault, "https://x")
        trails = desk.node.graph.submission.trails
        clicks = Unsubscribing(links, happenings, desk.clock, trails=trails)
        order = await _order(desk, mail_id)
        one = Subscription(ACCOUNT, order.profile, "spring", mail_id, 0, "one@there.test")
        await clicks.unsubscribe(links.token(one))
        assert [noted.terms for noted in happenings.noted.values()] == [1]
        happenings.noted.clear()
        desk.clock.advance(days=61)
        await desk.sweep_all()
        await clicks.unsubscribe(links.token(one))
        assert [noted.terms for noted in happenings.noted.values()] == [0]


async def _order(desk: Desk, mail_id: str) -> Order:
    document = await desk.node.graph.repository.get(mail_id)
    assert document is not None
    return (await desk.node.graph.repository.open(document)).mail.order
