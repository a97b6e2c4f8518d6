"""What delivery keeps: counted, exported, erased, swept - and what happens when crypto is away or the process dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.store import Patch
from libs.owner.model import Subject
from libs.policy import Terms, Version, load_policy
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, UnavailableError
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Kind
from services.delivery.erased import ERASED
from services.delivery.main import COLLECTIONS
from services.delivery.measuring.campaigns import MEASURED
from services.delivery.queue.collections import MAILS, QUEUED
from tests.unit.delivery.customers.support import happening
from tests.unit.delivery.held.desk import ALL, NEEDLE, OTHER, Desk, a_desk
from tests.unit.delivery.world import ACCOUNT, DELIVERED, World

# Of nobody, of recipients, or of the erasing itself.
NOT_AN_ACCOUNTS = {"policy", "uncounted", "erased", "terms", "shred"}


async def left(desk: Desk) -> dict[str, int]:
    """Return how many documents there are of what belongs to accounts."""
    found = {name: len(documents) for name, documents in (await desk.documents()).items()}
    return {name: count for name, count in found.items() if count and name not in NOT_AN_ACCOUNTS}


async def test_classes_are_those_of_the_policy_and_so_are_the_fields(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        classes = {name: one for name, one in load_policy().classes.items() if one.service == "delivery"}
        assert set(desk.owner.names) == {*classes, "terms"}
    where: dict[str, set[str]] = {}
    for one in classes.values():
        for name, fields in one.where.items():
            where.setdefault(name, set()).update(fields)
    assert where == {one.name: set(one.fields) for one in COLLECTIONS if one.name != "terms"}


async def test_everything_is_counted_and_told_to_its_owner_alone(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.fill()
        held = await desk.owner.inventory()
        empty = {name for name, one in held.items() if not one.count}
        assert empty == {"mta_sts_policy", "erased_account", "platform_mail", "terms"}
        assert (held["outgoing_mail"].count, held["outgoing_trail"].count) == (3, 1)
        now = unix_seconds(desk.clock)
        assert now < held["outgoing_trail"].first_due <= now + 30 * 86_400
        assert held["outgoing_mail"].first_due == now + 6 * 86_400
        exported = await desk.export()
        assert set(exported) == {
            "outgoing_mail", "outgoing_trail", "idempotency", "sending_event", "suppression", "sender_domain",
            "webhook", "campaign", "sending_count", "sending_standing", "forward_count",
        }  # fmt: skip
        addresses = {one["address"] for mail in exported["outgoing_mail"] for one in mail["recipients"]}  # type: ignore[attr-defined]
        assert addresses == {f"{name}@one.zz-canary.test" for name in ("waits", "later", "large")}
        assert exported["sending_event"][-1]["recipient"].endswith(NEEDLE + ".test")  # type: ignore[attr-defined]
        assert exported["webhook"][0]["url"] == "https://one.zz-canary.test/hook"
        assert "secret" not in str(exported["webhook"])
        assert await desk.export(OTHER) == {}
        assert await desk.export(disclosure=True) == {}
        later = await desk.export(since=now + 1)
        assert not {"outgoing_mail", "outgoing_trail", "sending_event", "webhook"} & set(later)


@pytest.mark.parametrize("limit", [ALL, 1, 3])
async def test_who_is_erased_is_gone_and_nobody_else(tmp_path: Path, limit: int) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.fill()
        kept_keys = set(desk.node.world.keys.keys)
        await desk.fill(OTHER, name="two")
        others = await desk.export(OTHER)
        steps = await desk.erase(limit=limit)
        assert steps[0].classes["outgoing_mail"].keys == 3
        assert steps[0].classes["sender_domain"].keys == 1
        assert all(sum(one.deleted for one in step.classes.values()) <= limit + 1 for step in steps)
        assert await desk.export() == {}
        assert await desk.export(OTHER) == others
        queued = {str(one.body["key_id"]) for one in (await desk.documents())["mail"] if one.body["state"] == QUEUED}
        assert queued <= set(desk.node.world.keys.keys) and len(queued) == 3
        assert len(set(desk.node.world.keys.destroyed) & kept_keys) >= 3
        assert desk.dkim.made == {"two.zz-canary.test"}
        # Once more, and for one that there never was.
        assert [dict(step.classes) for step in await desk.erase()] == [{}]
        assert [dict(step.classes) for step in await desk.erase("c" * 32)] == [{}]
        await desk.erase(OTHER)
        assert await left(desk) == {}


async def test_keys_go_first_and_crypto_may_be_away(tmp_path: Path) -> None:
    world = World()
    async with a_desk(tmp_path, world) as desk:
        await desk.fill()
        before = await left(desk)
        world.keys.fault = UnavailableError("unreachable")
        with pytest.raises(UnavailableError):
            await desk.owner.erase(Subject(ACCOUNT), ALL)
        assert {**await left(desk)} == before
        world.keys.fault = None
        desk.dkim.failing = True
        # As a new process would after a crash.
    async with a_desk(tmp_path, world) as desk:
        desk.dkim.made.add("one.zz-canary.test")
        steps = await desk.erase(limit=2)
        assert sum(step.classes["outgoing_mail"].keys for step in steps if "outgoing_mail" in step.classes) == 3
        assert await left(desk) == {}
        assert desk.dkim.made == set()


async def test_what_is_under_way_ends(tmp_path: Path) -> None:
    world = World()
    async with a_desk(tmp_path, world) as desk:
        world.servers.gate = asyncio.Event()
        await desk.node.submit("here@zz-canary.test", "there@zz-other.test", profile=Profile.RELAY)
        async with asyncio.timeout(10):
            while not world.servers.under_way:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)
        await desk.erase()
        begun = len(world.servers.sent)
        gate, world.servers.gate = world.servers.gate, None
        gate.set()
        await desk.node.idle()
        await desk.customers.standings.flush()
        assert len(world.servers.sent) == begun
        assert await left(desk) == {}
        with pytest.raises(NotFoundError, match="account_not_found"):
            await desk.node.submit("here@zz-canary.test")
        assert {"mail", "content"} & set(await left(desk)) == set()


async def test_what_slips_in_behind_an_erasure_goes_with_its_mark(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.fill()
        await desk.erase()
        late = happening(Kind.BOUNCED, ACCOUNT, desk.clock, "late@zz-canary.test", status="5.1.1")
        # One that had looked before.
        await desk.customers.happenings.note([late])
        await desk.customers.standings.flush()
        assert set(await left(desk)) == {"event", "suppression", "standing", "post"}
        assert (await desk.owner.sweep("erased_account", unix_seconds(desk.clock), ALL)).deleted == 0
        desk.clock.advance(3601)
        assert (await desk.owner.sweep("erased_account", unix_seconds(desk.clock), ALL)).deleted == 1
        assert await left(desk) == {}
        assert (await desk.documents())[ERASED.name] == []


async def test_two_who_share_a_domain(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.claim(ACCOUNT, "shared.test")
        await desk.claim(OTHER, "shared.test", verified=False)
        (step,) = await desk.erase()
        assert step.classes["sender_domain"].keys == 0 and step.classes["sender_domain"].deleted == 1
        assert desk.dkim.made == {"shared.test"}
        assert await desk.customers.domain_records.owner("shared.test") is None
        await desk.erase(OTHER)
        assert desk.dkim.made == set()


async def test_a_damaged_claim_goes_all_the_same(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await desk.claim(ACCOUNT, "broken.test")
        (document,) = (await desk.documents())["sender_domain"]
        collection = next(one for one in COLLECTIONS if one.name == "sender_domain")
        await desk.store.write(Patch(collection, document.key, {"sealed": b"no"}))
        await desk.erase()
        assert await left(desk) == {}


async def test_documents_from_before_erasures_are_found_once_they_are_used(tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        campaigns = desk.node.graph.measure.campaigns
        await campaigns.put(ACCOUNT, "spring", opens=True, clicks=False)
        (document,) = (await desk.documents())["measured_campaign"]
        await desk.store.write(Patch(MEASURED, document.key, {"account": None}))
        desk.clock.advance(5)
        await campaigns.get(ACCOUNT, "spring")
        await desk.erase()
        assert await left(desk) == {}


async def test_what_cannot_be_opened_is_exported_as_such(tmp_path: Path) -> None:
    world = World()
    async with a_desk(tmp_path, world) as desk:
        await desk.fill()
        world.keys.keys.clear()
        exported = await desk.export()
        assert [one["readable"] for one in exported["outgoing_mail"]] == [False] * 3


async def test_mails_that_nobody_gives_up_are_swept(tmp_path: Path) -> None:
    world = World()
    async with a_desk(tmp_path, world) as desk:
        await desk.fill()
        desk.clock.advance(days=6)
        # The third was to be sent a day later.
        assert (await desk.owner.sweep("outgoing_mail", unix_seconds(desk.clock), ALL)).deleted == 2
        desk.clock.advance(days=1)
        # Never by the caller's clock alone, nor by ours alone.
        assert (await desk.owner.sweep("outgoing_mail", unix_seconds(desk.clock) - 1, ALL)).deleted == 0
        assert (await desk.owner.sweep("outgoing_mail", unix_seconds(desk.clock) + 9 * 86_400, ALL)).deleted == 1
        assert [one.body["state"] for one in (await desk.documents())[MAILS.name]] == ["settled"]
        assert (await desk.documents())["content"] == []


async def test_in_the_end_nothing_is_left_of_what_has_a_time(tmp_path: Path) -> None:
    world = World()
    world.servers.answers = lambda outgoing, address: DELIVERED
    async with a_desk(tmp_path, world) as desk:
        await desk.fill()
        desk.clock.advance(days=401)
        swept = await desk.sweep_all()
        assert swept["sending_event"] and swept["campaign"] == 2 and swept["outgoing_trail"] == 1
        assert set(await left(desk)) == {"suppression", "sender_domain", "domain_owner", "webhook", "standing"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happened=st.lists(st.integers(0, 120), min_size=1, max_size=12),
    kept=st.integers(1, 60),
    steps=st.lists(st.integers(0, 50), min_size=1, max_size=6),
    limit=st.integers(1, 4),
)
async def test_nothing_outlives_its_time_and_nothing_goes_early(
    tmp_path_factory: pytest.TempPathFactory, happened: list[int], kept: int, steps: list[int], limit: int
) -> None:
    terms = Terms(load_policy())
    terms.put([Version(1, {"sending_event_seconds": kept * 86_400}, active=True)])
    async with a_desk(tmp_path_factory.mktemp("held"), terms=terms) as desk:
        start = unix_seconds(desk.clock)
        for day in happened:
            one = happening(Kind.DELIVERED, ACCOUNT, desk.clock, at=start + day * 86_400)
            await desk.customers.happenings.note([one])
        for days in steps:
            desk.clock.advance(days=days)
            now, more = unix_seconds(desk.clock), True
            while more:
                # Whoever asks may be ahead of us; what we know counts.
                more = (await desk.owner.sweep("sending_event", now + 10**6, limit)).more
            left = sorted(one.body["at"] for one in (await desk.documents())["event"])  # type: ignore[type-var]
            assert left == sorted(start + day * 86_400 for day in happened if start + (day + kept) * 86_400 > now)


async def test_an_erasure_survives_a_death_after_each_step(tmp_path: Path) -> None:
    world, more, steps = World(), True, 0
    async with a_desk(tmp_path, world) as desk:
        await desk.fill()
        await desk.fill(OTHER, name="two")
    async with a_desk(tmp_path, world) as desk:
        others = await desk.export(OTHER)
    while more:
        # A new process each time, that knows nothing of the one before.
        async with a_desk(tmp_path, world) as desk:
            more, steps = (await desk.owner.erase(Subject(ACCOUNT), 2)).more, steps + 1
            # From the first answer on nothing of its mails opens.
            assert all(not one.get("recipients") for one in (await desk.export()).get("outgoing_mail", ()))
    assert steps > 4
    async with a_desk(tmp_path, world) as desk:
        assert await desk.export() == {}
        assert await desk.export(OTHER) == others
