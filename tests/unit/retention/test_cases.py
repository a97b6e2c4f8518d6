"""Disclosure cases, step by step: who may do what, when, and what is left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.owner.model import Subject, Wanted
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
from protos.retention.v1 import retention_pb2 as pb
from services.retention.ledger.ledger import line_of
from tests.unit.retention.cases_world import ADA, ADDRESS, FIRST, REFERENCE, SECOND, THIRD, World, ask, members
from tests.unit.retention.versions_world import DAY


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.store.close()


async def test_two_officers_open_approve_export_and_close(world: World) -> None:
    case_id = await world.opened()
    opened = await world.rpc.get(ask(FIRST, case_id))
    assert (opened.state, opened.opened_by_caller, opened.order_reference) == ("open", True, REFERENCE)
    assert opened.address == ADDRESS
    approved = await world.rpc.approve(ask(SECOND, case_id))
    assert (approved.state, approved.opened_by_caller) == ("approved", False)
    assert len(members(await world.archive(case_id))) == 6
    closed = await world.rpc.close(ask(FIRST, case_id))
    assert closed.state == "closed"
    assert await world.kinds() == [
        "case_opened",
        "case_approved",
        "case_exported",
        "case_exported",
        "case_closed",
    ]
    assert await world.counts() == {"asked": 1, "granted": 1, "accounts": 1}


async def test_one_officer_alone_cannot(world: World) -> None:
    case_id = await world.opened()
    with pytest.raises(DeniedError, match="same_officer"):
        await world.rpc.approve(ask(FIRST, case_id))
    for officer in (FIRST, SECOND):
        with pytest.raises(ConflictError, match="case_state"):
            await world.archive(case_id, officer)
    assert not world.storage.asked


async def test_an_order_that_cannot_be(world: World) -> None:
    now = world.time.now()
    # What is still to come is nothing that is stored; and the case must outlive its secret.
    wrong: list[tuple[str, dict[str, object]]] = [
        ("officer", {"officer": "somebody"}),
        ("order_reference", {"order_reference": " "}),
        ("order_reference", {"order_reference": "x" * 201}),
        ("legal_basis", {"legal_basis": "curiosity"}),
        ("address", {"address": "ada@sealpost.test\r\nBcc: x"}),
        ("period", {"since": now, "until": now}),
        ("period", {"since": -1}),
        ("period", {"until": now + 2 * DAY}),
        ("data_classes", {"data_classes": ["member_mail", "credential"]}),
        ("data_classes", {"data_classes": []}),
        ("data_classes", {"data_classes": ["account", "account"]}),
        ("secret_until", {"secret_until": now - 1}),
        ("secret_until", {"secret_until": now + 4 * 365 * DAY}),
    ]
    for reason, changes in wrong:
        with pytest.raises(InvalidError, match=reason):
            await world.opened(**changes)
    with pytest.raises(NotFoundError, match="account_not_found"):
        await world.opened(address="bob@sealpost.test")
    assert await world.kinds() == []


async def test_cases_that_are_not_there(world: World) -> None:
    for case_id in ("", "x" * 32, "0" * 32, "../lease"):
        for call in (world.rpc.get, world.rpc.approve, world.rpc.close):
            with pytest.raises(NotFoundError, match="case"):
                await call(ask(SECOND, case_id))


async def test_steps_in_another_order_are_refused(world: World) -> None:
    case_id = await world.opened()
    with pytest.raises(ConflictError, match="case_state"):
        await world.rpc.close(ask(SECOND, case_id))
    await world.rpc.refuse(pb.RefuseCaseRequest(officer=SECOND, case_id=case_id, reason="no seal on the order"))
    for call in (world.rpc.approve, world.rpc.close):
        with pytest.raises(ConflictError, match="case_state"):
            await call(ask(SECOND, case_id))
    with pytest.raises(ConflictError, match="case_state"):
        await world.archive(case_id)
    found = await world.rpc.get(ask(THIRD, case_id))
    assert (found.state, found.refusal) == ("refused", "no seal on the order")
    assert await world.counts() == {"asked": 1, "refused": 1}


async def test_a_refusal_needs_a_reason(world: World) -> None:
    case_id = await world.opened()
    for reason in ("", "\n", "x" * 501, "a\0b"):
        with pytest.raises(InvalidError, match="reason"):
            await world.rpc.refuse(pb.RefuseCaseRequest(officer=SECOND, case_id=case_id, reason=reason))


async def test_a_case_that_nobody_approves_lapses(world: World) -> None:
    case_id = await world.opened()
    world.clock.advance(days=14)
    with pytest.raises(ConflictError, match="case_state"):
        await world.rpc.approve(ask(SECOND, case_id))
    await world.duty.step()
    assert (await world.rpc.get(ask(FIRST, case_id))).state == "lapsed"
    assert await world.counts() == {"asked": 1, "refused": 1}
    assert (await world.entries())[-1] == ("case_closed", {"case": case_id, "state": "lapsed"})


async def test_an_approved_case_that_is_left_alone_is_closed(world: World) -> None:
    case_id = await world.approved()
    world.clock.advance(days=13)
    await world.archive(case_id)
    world.clock.advance(days=13)
    await world.duty.step()
    assert (await world.rpc.get(ask(FIRST, case_id))).state == "exported"
    world.clock.advance(days=1)
    await world.duty.step()
    assert (await world.rpc.get(ask(FIRST, case_id))).state == "closed"


async def test_the_subject_is_told_at_approval(world: World) -> None:
    case_id = await world.opened()
    await world.duty.step()
    assert not world.post.arrived
    assert not (await world.rpc.list_told(ADA.account_id)).told
    await world.rpc.approve(ask(SECOND, case_id))
    for _ in range(3):
        await world.duty.step()
    (letter,) = world.post.arrived.values()
    assert (letter.account_id, letter.name) == (ADA.account_id, "disclosure")
    (told,) = (await world.rpc.list_told(ADA.account_id)).told
    assert (told.case_id, list(told.data_classes)) == (case_id, ["member_mail", "account"])
    assert (await world.kinds()).count("case_told") == 1
    assert (await world.counts())["granted"] == 1
    assert not (await world.rpc.list_told("c" * 32)).told


async def test_a_secret_is_kept_until_its_end_and_no_longer(world: World) -> None:
    end = world.time.now() + 60 * DAY
    case_id = await world.approved(secret_until=end)
    await world.archive(case_id)
    await world.rpc.close(ask(SECOND, case_id))
    assert (await world.counts())["untold"] == 1
    world.clock.advance(days=59)
    await world.duty.step()
    assert not world.post.arrived
    assert not (await world.rpc.list_told(ADA.account_id)).told
    assert [item async for item in world.held.export(ADA, Wanted())] == []
    world.clock.advance(days=1)
    world.post.failing = {ADA.account_id}
    with pytest.raises(UnavailableError):
        await world.duty.step()
    world.post.failing = set()
    await world.duty.step()
    await world.duty.step()
    assert len(world.post.arrived) == 1
    assert (await world.rpc.get(ask(FIRST, case_id))).told_at == end
    assert len([item async for item in world.held.export(ADA, Wanted())]) == 1
    # Counted down in the half-year in which it was granted.
    granted = {half.name: half.counts for half in await world.transparency.report(world.time.now())}["2026-H2"]
    assert granted["untold"] == 0


async def test_a_clock_that_is_not_trusted_tells_nobody(world: World) -> None:
    await world.approved(secret_until=world.time.now() + 60 * DAY)
    world.clock.advance(days=61)
    world.time.held = True
    with pytest.raises(UnavailableError, match="clock_held"):
        await world.duty.step()
    assert not world.post.arrived


async def test_cases_vanish_three_years_after_they_were_closed(world: World) -> None:
    case_id = await world.approved()
    await world.duty.step()
    await world.rpc.close(ask(SECOND, case_id))
    world.clock.advance(days=3 * 365 - 1)
    assert (await world.held.sweep(world.time.now(), 10)).deleted == 0
    world.clock.advance(days=1)
    assert (await world.held.sweep(world.time.now(), 10)).deleted == 1
    with pytest.raises(NotFoundError):
        await world.rpc.get(ask(FIRST, case_id))
    assert (await world.held.count()).count == 0
    # Its counts outlive it.
    first = (await world.transparency.report(world.time.now()))[-1]
    assert (first.name, first.counts["granted"]) == ("2026-H2", 1)


async def test_an_erasure_takes_out_whom_it_was_about(world: World) -> None:
    told = await world.approved()
    await world.duty.step()
    secret = await world.approved(secret_until=world.time.now() + 60 * DAY)
    waiting = await world.opened()
    done = await world.held.erase(ADA, 100)
    # Nothing says that there is more than what he knows of.
    assert (done.kept, done.kept_until_day) == (1, (world.time.now() + 3 * 365 * DAY) // DAY + 1)
    assert (await world.held.erase(ADA, 100)).kept == 0
    assert (await world.held.erase(Subject(""), 100)).kept == 0
    for case_id, state in ((told, "closed"), (secret, "closed"), (waiting, "lapsed")):
        found = await world.rpc.get(ask(FIRST, case_id))
        assert (found.state, found.address, found.order_reference) == (state, "", REFERENCE)
        with pytest.raises(ConflictError):
            await world.archive(case_id)
    world.clock.advance(days=61)
    await world.duty.step()
    assert len(world.post.arrived) == 1


async def test_nothing_of_a_case_is_readable_in_store_or_ledger(world: World, tmp_path: Path) -> None:
    case_id = await world.opened()
    await world.rpc.refuse(pb.RefuseCaseRequest(officer=SECOND, case_id=case_id, reason="forged seal"))
    await world.duty.step()
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    lines = b"".join(line_of(entry) for entry in await world.ledger.read(1, 100))
    for secret in (ADDRESS, REFERENCE, "forged seal", FIRST, SECOND):
        assert secret.encode() not in files
    for secret in (ADA.account_id, ADA.mailbox_id):
        assert secret.encode() not in lines
    assert case_id.encode() in lines


async def test_hashes_of_officers_in_two_cases_have_nothing_in_common(world: World) -> None:
    first, second = [await world.cases.get(await world.opened()) for _ in range(2)]
    assert first.opened_by != second.opened_by


async def test_a_step_stands_when_the_ledger_is_down_and_is_told_it_later(world: World) -> None:
    world.ledger.down = True
    case_id = await world.opened()
    assert await world.kinds() == []
    with pytest.raises(UnavailableError):
        await world.duty.step()
    world.ledger.down = False
    await world.duty.step()
    await world.duty.step()
    assert await world.kinds() == ["case_opened"]
    assert await world.counts() == {"asked": 1}
    assert (await world.cases.get(case_id)).owed == ()


async def test_accounts_are_counted_once_in_a_half_year(world: World) -> None:
    for _ in range(3):
        await world.approved()
    assert await world.counts() == {"asked": 3, "granted": 3, "accounts": 1}
    world.clock.advance(days=60)
    await world.approved()
    new = (await world.transparency.report(world.time.now()))[0]
    assert (new.name, new.counts["accounts"]) == ("2027-H1", 1)


async def test_officers_see_cases_newest_first(world: World) -> None:
    first = await world.opened()
    world.clock.advance(60)
    second = await world.opened(officer=SECOND)
    listed = (await world.rpc.list(pb.ListCasesRequest(officer=FIRST))).cases
    assert [(case.case_id, case.opened_by_caller) for case in listed] == [(second, False), (first, True)]
    assert len((await world.rpc.list(pb.ListCasesRequest(officer=FIRST, limit=1))).cases) == 1
