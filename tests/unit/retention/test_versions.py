"""What becomes of a changed configuration, and when it may be in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.runtime.errors import ConflictError, DeniedError, NotFoundError, UnavailableError
from services.retention.versions_rpc import VersionsRpc
from tests.unit.retention.versions_world import DAY, Configuration, World

FIRST = Configuration()
WEAKER = FIRST.changed(public_mail_seconds=7 * DAY)
STRONGER = FIRST.changed(public_mail_seconds=3 * DAY)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.store.close()


@pytest.fixture
async def announced(world: World) -> World:
    """Give a platform of three whom version 2 affects and one whom it does not, all told of it."""
    for name in ("a", "b", "c"):
        world.people.sign_up(name * 32, "public")
    world.people.sign_up("d" * 32, "sealed")
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.versions.announce(2)
    await world.step()
    return world


async def test_the_first_policy_is_in_force_at_once(world: World) -> None:
    await world.step()
    assert await world.states() == [(1, "active")]
    assert await world.entries() == [("version_activated", 1)]
    assert [(one.version, one.active) for one in world.numbers[-1]] == [(1, True)]


async def test_the_same_policy_again_is_no_version(world: World) -> None:
    await world.run(FIRST)
    await world.run(FIRST)
    await world.step()
    assert await world.states() == [(1, "active")]


async def test_what_is_not_material_is_in_force_at_once_and_recorded(world: World) -> None:
    await world.run(FIRST)
    await world.run(STRONGER)
    assert await world.states() == [(1, "replaced"), (2, "active")]
    assert await world.rule("public_mail_seconds") == 3 * DAY
    await world.run(Configuration(STRONGER.rules, "in other words"))
    assert await world.states() == [(1, "replaced"), (2, "replaced"), (3, "active")]
    assert await world.entries() == [("version_activated", number) for number in (1, 2, 3)]
    assert not world.post.arrived


async def test_what_is_material_is_proposed_and_changes_nothing(world: World) -> None:
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.run(WEAKER)
    assert await world.states() == [(1, "active"), (2, "proposed")]
    assert await world.rule("public_mail_seconds") == 4 * DAY
    assert [one.rules["public_mail_seconds"] for one in await world.versions.numbers()] == [4 * DAY]
    (change,) = (await world.versions.get(2)).changes
    assert (change.kind, change.subject, change.profiles) == ("rule", "public_mail_seconds", ("public",))


async def test_everybody_affected_is_told_once_and_nobody_else(announced: World) -> None:
    for _ in range(3):
        await announced.step()
    assert [len(announced.post.to(name * 32)) for name in "abcd"] == [1, 1, 1, 0]
    (letter,) = announced.post.to("a" * 32)
    assert letter.name == "policy_change"
    # 17:00 on 22 November 2026 is when the clock of these tests begins.
    assert letter.fields == {
        "version": "2",
        "from": "1",
        "effective": "2026-12-22",
        "old_terms_until": "2027-06-20",
    }
    assert announced.people.told[2] == {name * 32: announced.time.now() for name in "abc"}


async def test_more_than_a_batch_is_told_in_batches(world: World) -> None:
    for number in range(450):
        world.people.sign_up(f"{number:032x}", "public")
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.versions.announce(2)
    await world.step()
    assert len(world.post.arrived) == 450
    assert (await world.versions.get(2)).noticed == 450


async def test_whoever_dies_while_telling_tells_nobody_twice(world: World) -> None:
    for name in ("a", "b", "c"):
        world.people.sign_up(name * 32, "public")
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.versions.announce(2)
    world.post.failing = {"b" * 32}
    with pytest.raises(UnavailableError):
        await world.step()
    assert set(world.people.told[2]) == {"a" * 32, "c" * 32}
    world.post.failing = set()
    # As if it had been killed after the letters and before the mark.
    del world.people.told[2]["c" * 32]
    await world.run(WEAKER)
    assert [len(world.post.to(name * 32)) for name in "abc"] == [1, 1, 1]
    assert set(world.people.told[2]) == {name * 32 for name in "abc"}


async def test_whoever_cannot_be_written_to_has_the_banner(world: World) -> None:
    world.people.sign_up("a" * 32, "public")
    world.post.unreachable = {"a" * 32}
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.versions.announce(2)
    await world.step()
    assert world.people.told[2] == {"a" * 32: world.time.now()}


async def test_activation_is_refused_at_29_days_and_granted_at_30(announced: World) -> None:
    announced.clock.advance(days=29, hours=23)
    with pytest.raises(DeniedError, match="notice_running"):
        await announced.versions.activate(2)
    assert await announced.rule("public_mail_seconds") == 4 * DAY
    announced.clock.advance(hours=1)
    assert (await announced.versions.activate(2)).state == "active"
    assert await announced.states() == [(1, "replaced"), (2, "active")]
    assert await announced.rule("public_mail_seconds") == 7 * DAY
    assert [(one.version, one.active) for one in announced.numbers[-1]] == [(2, True), (1, False)]


async def test_one_who_was_told_late_puts_it_off(world: World) -> None:
    for name in ("a", "b"):
        world.people.sign_up(name * 32, "public")
    await world.run(FIRST)
    await world.run(WEAKER)
    await world.versions.announce(2)
    world.post.failing = {"b" * 32}
    with pytest.raises(UnavailableError):
        await world.step()
    world.clock.advance(days=10)
    world.post.failing = set()
    await world.step()
    world.clock.advance(days=29)
    with pytest.raises(DeniedError, match="notice_running"):
        await world.versions.activate(2)
    answer = await VersionsRpc(world.versions).get_version(2)
    assert answer.earliest == answer.announced_at + 40 * DAY
    world.clock.advance(days=1)
    await world.versions.activate(2)


async def test_it_comes_into_force_by_itself_when_its_time_has_come(announced: World) -> None:
    announced.clock.advance(days=29)
    await announced.step()
    assert await announced.states() == [(1, "active"), (2, "announced")]
    announced.clock.advance(days=1)
    await announced.step()
    await announced.step()
    assert await announced.states() == [(1, "replaced"), (2, "active")]
    kinds = [kind for kind, number in await announced.entries() if number == 2]
    assert kinds == ["version_proposed", "version_announced", "version_activated"]


async def test_nothing_of_a_candidate_holds_before_its_time_whatever_restarts(announced: World) -> None:
    for _ in range(4):
        announced.clock.advance(days=7)
        await announced.run(WEAKER)
        assert await announced.rule("public_mail_seconds") == 4 * DAY
        assert {one.rules["public_mail_seconds"] for one in await announced.versions.numbers()} == {4 * DAY}
    assert await announced.states() == [(1, "active"), (2, "announced")]


async def test_the_notice_is_as_long_as_the_version_in_force_says(world: World) -> None:
    await world.run(FIRST.changed(notice_seconds=60 * DAY))
    await world.run(FIRST.changed(notice_seconds=30 * DAY))
    assert (await world.versions.announce(2)).earliest((await world.versions.periods()).notice) == (
        world.time.now() + 60 * DAY
    )
    await world.step()
    world.clock.advance(days=31)
    with pytest.raises(DeniedError, match="notice_running"):
        await world.versions.activate(2)
    world.clock.advance(days=29)
    await world.versions.activate(2)
    assert (await world.versions.periods()).notice == 30 * DAY


async def test_a_withdrawn_version_asks_nobody_any_more(announced: World) -> None:
    announced.clock.advance(days=29)
    await announced.versions.withdraw(2)
    announced.clock.advance(days=2)
    await announced.step()
    assert await announced.states() == [(1, "active"), (2, "withdrawn")]
    assert announced.people.withdrawn == [2]
    assert not announced.people.asked
    assert ("version_withdrawn", 2) in await announced.entries()
    for step in (announced.versions.announce, announced.versions.activate, announced.versions.withdraw):
        with pytest.raises(ConflictError, match="policy_state"):
            await step(2)


async def test_a_configuration_taken_back_takes_its_candidate_with_it(announced: World) -> None:
    await announced.run(FIRST)
    assert await announced.states() == [(1, "active"), (2, "withdrawn")]


async def test_another_material_change_needs_a_notice_of_its_own(announced: World) -> None:
    announced.clock.advance(days=29)
    await announced.run(WEAKER.changed(public_mail_seconds=9 * DAY))
    assert await announced.states() == [(1, "active"), (2, "withdrawn"), (3, "proposed")]
    announced.clock.advance(days=2)
    await announced.step()
    with pytest.raises(ConflictError, match="policy_state"):
        await announced.versions.activate(3)
    await announced.versions.announce(3)
    await announced.step()
    assert len(announced.post.to("a" * 32)) == 2
    with pytest.raises(DeniedError, match="notice_running"):
        await announced.versions.activate(3)


async def test_other_words_meanwhile_do_not_begin_the_notice_anew(announced: World) -> None:
    announced.clock.advance(days=20)
    await announced.run(Configuration(WEAKER.rules, "in other words"))
    assert await announced.states() == [(1, "active"), (2, "announced")]
    announced.clock.advance(days=10)
    await announced.step()
    await announced.step()
    assert await announced.states() == [(1, "replaced"), (2, "replaced"), (3, "active")]
    assert await announced.rule("public_mail_seconds") == 7 * DAY


async def test_who_signs_up_meanwhile_puts_nothing_off(announced: World) -> None:
    announced.clock.advance(days=29)
    announced.people.sign_up("e" * 32, "public")
    announced.clock.advance(days=1)
    await announced.versions.activate(2)
    assert not announced.post.to("e" * 32)


async def test_while_the_clock_is_held_nothing_is_announced_or_activated(announced: World) -> None:
    announced.clock.advance(days=31)
    announced.time.held = True
    with pytest.raises(UnavailableError, match="clock_held"):
        await announced.versions.activate(2)
    with pytest.raises(UnavailableError, match="clock_held"):
        await announced.step()
    assert await announced.rule("public_mail_seconds") == 4 * DAY


async def test_without_accounts_nothing_is_activated(announced: World) -> None:
    announced.clock.advance(days=31)
    announced.people.down = True
    with pytest.raises(UnavailableError, match="accounts"):
        await announced.versions.activate(2)
    assert await announced.states() == [(1, "active"), (2, "announced")]


async def test_steps_of_versions_that_are_not_there(world: World) -> None:
    await world.step()
    rpc = VersionsRpc(world.versions)
    for number in (-1, 0, 7):
        for step in (rpc.announce, rpc.activate, rpc.withdraw):
            with pytest.raises(NotFoundError, match="policy_version"):
                await step(number, "f" * 32)
    with pytest.raises(NotFoundError, match="policy_version"):
        await rpc.get_version(7)
    with pytest.raises(ConflictError, match="policy_state"):
        await rpc.announce(1, "f" * 32)


async def test_the_ledger_gets_what_somebody_who_died_owed_it(world: World) -> None:
    await world.run(FIRST)
    await world.run(WEAKER)
    found = await world.versions.get(2)
    # The state was written, and nothing after it.
    await world.versions._store.put(found.announced(world.time.now()))
    assert ("version_announced", 2) not in await world.entries()
    await world.run(WEAKER)
    await world.step()
    assert (await world.entries()).count(("version_announced", 2)) == 1


async def test_what_operators_are_shown(announced: World) -> None:
    announced.people.refused.add((2, "a" * 32))
    await announced.step()
    answer = await VersionsRpc(announced.versions).list_versions()
    second, first = answer.versions
    assert (first.version, first.state, first.material, first.document) == (1, "active", False, b"")
    assert (second.version, second.state, second.material, second.replaces) == (2, "announced", True, 1)
    assert (second.noticed, second.refused) == (3, 1)
    assert second.earliest == second.announced_at + 30 * DAY
    assert second.changes[0].profiles == ["public"]
    assert b'"public_mail_seconds"' in (await VersionsRpc(announced.versions).get_version(0)).document
