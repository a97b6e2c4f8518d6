"""The archive of a case: what is in it, what never is, and that none ends without its record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from libs.runtime.errors import ConflictError, InternalError, SealpostError, UnavailableError
from services.retention.domain.cases import Disclosable
from services.retention.domain.ports import Part
from tests.unit.retention.cases_world import ADA, ADDRESS, FIRST, REFERENCE, World, ask, facts, mail, members
from tests.unit.retention.versions_world import DAY


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.store.close()


async def test_it_holds_what_was_ordered_as_it_is_stored(world: World) -> None:
    case_id = await world.approved()
    archive = await world.archive(case_id)
    found = members(archive)
    assert list(found) == [
        "README.txt",
        "case.json",
        "mail/member_mail/0001",
        "mail/member_mail/0002",
        "facts/account/account.json",
        "manifest.json",
    ]
    assert found["mail/member_mail/0001"] == b'{"message": "0001", "scheme": "openpgp"}\n\xc1\x84sealed'
    # `quota` is a fact that the policy does not name.
    assert json.loads(found["facts/account/account.json"]) == {"address": ADDRESS, "created_day": 20000}
    about = json.loads(found["case.json"])
    assert (about["case"], about["order_reference"], about["address"]) == (case_id, REFERENCE, ADDRESS)
    assert FIRST.encode() not in archive


async def test_the_manifest_vouches_for_each_member_and_the_ledger_for_the_manifest(world: World) -> None:
    case_id = await world.approved()
    archive = await world.archive(case_id)
    found = members(archive)
    manifest = found.pop("manifest.json")
    assert json.loads(manifest)["sha256"] == {name: sha256(content).hexdigest() for name, content in found.items()}
    begun, done = [data for kind, data in await world.entries() if kind == "case_exported"]
    assert begun == {"case": case_id, "part": "begun"}
    assert done == {
        "case": case_id,
        "part": "done",
        "manifest": sha256(manifest).hexdigest(),
        "archive": sha256(archive).hexdigest(),
        "bytes": len(archive),
    }
    case = await world.rpc.get(ask(FIRST, case_id))
    assert (case.state, case.archive_hash, case.archive_size) == ("exported", sha256(archive).digest(), len(archive))


async def test_owners_are_asked_for_no_more_than_was_ordered(world: World) -> None:
    now = world.time.now()
    case_id = await world.approved(data_classes=["member_mail"], since=now - DAY, until=now + DAY)
    world.clock.advance(hours=5)
    await world.archive(case_id)
    ((subject, wanted),) = world.storage.asked
    # Nothing that came in after the case was opened.
    assert (subject, wanted.since, wanted.until, wanted.disclosure) == (ADA, now - DAY, now, True)
    assert wanted.data_classes == ("member_mail",)
    assert not world.accounts.asked


async def test_each_export_is_recorded(world: World) -> None:
    case_id = await world.approved()
    await world.archive(case_id)
    await world.archive(case_id, FIRST)
    assert (await world.kinds()).count("case_exported") == 4


@pytest.mark.parametrize(
    "parts",
    [
        facts(verifier="x"),
        [Part("credential", "x.json", "json", b"{}", True)],
        [Part("account", "../../x", "json", b"{}", True)],
        [Part("account", "x.json", "key", b"{}", True)],
        [Part("account", "x.json", "json", b"[1]", True)],
        [Part("account", "x.json", "json", b"{" * 9, True)],
        [Part("account", "x.json", "json", b" " * ((1 << 20) + 1), True)],
        [Part("account", "x.json", "mail", b'{"scheme": "openpgp"}\n\xc1', True)],
        facts(address={"kdf_salt": "x"}),
    ],
)
async def test_an_owner_who_gives_what_must_not_be_given_ends_it(world: World, parts: list[Part]) -> None:
    # Even where the policy named them.
    named = frozenset({"address", "verifier"})
    allowed = Disclosable(
        frozenset({"court_order"}),
        {"account": "accounts", "member_mail": "storage"},
        {"account": named, "member_mail": None},
    )
    world.accounts.parts = parts
    case_id = await world.approved(data_classes=["account"])
    archives = world.rpc._archives
    with pytest.raises(InternalError, match="disclosure_forbidden"):
        async for _ in archives.stream(FIRST, case_id, allowed):
            pass
    assert [data.get("part") for kind, data in await world.entries() if kind == "case_exported"] == ["begun"]


@pytest.mark.parametrize(
    "parts",
    [
        mail("0001", b"Subject: in the open\r\n\r\nhello"),
        mail("0001", scheme="none"),
        [Part("member_mail", "0001", "mail", b"Received: from\r\n", True)],
        [Part("member_mail", "0001", "mail", b"x" * 100_000, True)],
    ],
)
async def test_mail_that_is_not_sealed_ends_it(world: World, parts: list[Part]) -> None:
    world.storage.parts = parts
    case_id = await world.approved(data_classes=["member_mail"])
    given = b""
    with pytest.raises(InternalError, match="disclosure_forbidden"):
        async for part in world.rpc.export(ask(FIRST, case_id)):
            given += part.data
    assert b"hello" not in given


async def test_a_class_that_may_not_be_disclosed_any_more_ends_it(world: World) -> None:
    case_id = await world.approved()
    allowed = Disclosable(frozenset(), {"account": "accounts"}, {"account": frozenset({"address"})})
    with pytest.raises(InternalError, match="disclosure_forbidden"):
        async for _ in world.rpc._archives.stream(FIRST, case_id, allowed):
            pass


async def test_an_owner_that_breaks_off_leaves_no_archive(world: World) -> None:
    case_id = await world.approved()
    world.storage.breaks_after = 2
    with pytest.raises(UnavailableError, match="owner_down"):
        await world.archive(case_id)
    world.storage.breaks_after = None
    world.storage.parts = mail("0001")[:1]
    with pytest.raises(UnavailableError, match="export_torn"):
        await world.archive(case_id)


async def test_nothing_is_handed_over_while_the_ledger_is_down(world: World) -> None:
    case_id = await world.approved()
    world.ledger.down = True
    given = []
    with pytest.raises(UnavailableError, match="ledger"):
        given.extend([part async for part in world.rpc.export(ask(FIRST, case_id))])
    assert not given
    assert not world.storage.asked


async def test_no_archive_ends_without_its_record(world: World) -> None:
    world.storage.parts = [part for number in range(30) for part in mail(f"{number:04d}", b"\xc1" + b"x" * 9000)]
    case_id = await world.approved()
    given = b""
    with pytest.raises(UnavailableError, match="ledger"):
        async for part in world.rpc.export(ask(FIRST, case_id)):
            given += part.data
            world.ledger.down = True
    assert given
    # The directory at the end, by which a program finds the members.
    assert b"PK\x05\x06" not in given
    world.ledger.down = False
    await world.duty.step()
    parts = [data["part"] for kind, data in await world.entries() if kind == "case_exported"]
    assert parts == ["begun", "done"]


async def test_a_case_closed_meanwhile_gives_no_more(world: World) -> None:
    case_id = await world.approved()
    await world.rpc.close(ask(FIRST, case_id))
    with pytest.raises(ConflictError, match="case_state"):
        await world.archive(case_id)


async def test_many_mails_stay_a_stream(world: World) -> None:
    world.storage.parts = [part for number in range(200) for part in mail(f"{number:04d}", b"\xc1" + b"x" * 5000)]
    case_id = await world.approved()
    sizes = [len(part.data) async for part in world.rpc.export(ask(FIRST, case_id))]
    assert len(sizes) > 10
    assert max(sizes) < 128 << 10


async def test_two_exports_at_the_same_moment_are_both_recorded_or_refused(world: World) -> None:
    case_id = await world.approved()
    first = world.rpc.export(ask(FIRST, case_id))
    await anext(first)
    try:
        await world.archive(case_id)
        async for _ in first:
            pass
    except SealpostError as error:
        assert isinstance(error, ConflictError)
    parts = [data["part"] for kind, data in await world.entries() if kind == "case_exported"]
    assert parts.count("begun") == 2
