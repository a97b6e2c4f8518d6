"""Probes that look at what is recorded: the ledger of evidence, inventories, notices."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.owner.model import Subject
from libs.policy.classify import affected, classify
from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.common.v1 import common_pb2
from services.retention.domain.ports import ExportWanted
from services.retention.ledger.entries import Entry
from services.retention.probes.world import Broken, UnknowableError, World, encodings

_PAGE = 500
_DAY = 86_400


async def _entries(world: World, since: int) -> AsyncIterator[Entry]:
    """Give the entries of the ledger from `since` on, oldest first."""
    before = await world.ledger.last_until(since)
    first = before.number + 1 if before is not None else 1
    while page := await world.ledger.read(first, _PAGE):
        for entry in page:
            yield entry
        first = page[-1].number + 1


async def notice_has_run(world: World) -> None:
    """E9: no version that takes something away came into force before its notice had run."""
    notice = world.numbers.rule("notice_seconds")
    announced: dict[object, int] = {}
    async for entry in _entries(world, world.now - notice - 400 * _DAY):
        version = entry.data.get("version")
        if entry.kind == "version_announced":
            announced[version] = entry.at
        elif entry.kind == "version_activated" and entry.data.get("material") == 1:
            if version not in announced or entry.at < announced[version] + notice - 60:
                raise Broken("in_force_too_early")


async def disclosure_guarded(world: World) -> None:
    """E11: nothing is handed over without two officers, and no export holds what opens mail."""
    approved: set[object] = set()
    opened: set[object] = set()
    async for entry in _entries(world, world.now - 400 * _DAY):
        case = entry.data.get("case")
        if entry.kind == "case_opened":
            opened.add(case)
        elif entry.kind == "case_approved":
            approved.add(case)
        elif entry.kind == "case_exported" and case in opened and case not in approved:
            raise Broken("exported_unapproved")
    person = await world.people.of("sealed")
    for token in (person.token, ""):
        if (await world.web.ask("GET", "/v1/disclosure/cases", token=token)).status != 404:
            raise Broken("cases_open")
    held = b""
    wanted = ExportWanted(disclosure=True)
    for owner in world.owners.values():
        async for part in owner.export(Subject(person.account_id), wanted):
            held += part.data
    secrets = (person.password, person.authentication_key, person.private_key[-48:])
    if any(needle in held for one in secrets for needle in encodings(one)) or b"wrapped_private_key" in held:
        raise Broken("password_material")


async def nothing_overdue(world: World) -> None:
    """E14: nothing is held past its time by more than a sweep takes, and no canary is found that should be gone."""
    slack = 2 * world.numbers.rule("sweep_seconds") + 120
    for owner in world.owners.values():
        for held in await owner.inventory():
            if held.first_due and held.first_due + slack < world.now:
                raise Broken(f"overdue:{held.data_class}")
    states: dict[object, object] = {}
    async for entry in _entries(world, world.now - world.numbers.rule("canary_seconds")):
        if entry.kind == "canary":
            states[entry.data.get("class"), entry.data.get("day")] = entry.data.get("state")
    if "missed" in states.values():
        raise Broken("canary_missed")


async def owners_are_told(world: World) -> None:
    """R4: while a version is announced, everybody whom it affects gets to know within the day."""
    announced: dict[object, Entry] = {}
    async for entry in _entries(world, world.now - 400 * _DAY):
        version = entry.data.get("version")
        if entry.kind == "version_announced":
            announced[version] = entry
        elif entry.kind in ("version_activated", "version_withdrawn"):
            announced.pop(version, None)
    for number, entry in announced.items():
        if entry.at + _DAY > world.now or not isinstance(number, int):
            continue
        profiles = [common_pb2.Profile.Value(f"PROFILE_{one.upper()}") for one in await _affected(world, entry)]
        # Who is affected is not left to accounts: where nobody was told, nothing is announced to anybody there.
        wanted = pb.GetNoticeStateRequest(version=number, profiles=profiles, before=world.now)
        try:
            state = await world.accounts.GetNoticeState(wanted, timeout=world.timeout)
        except NotFoundError as error:
            raise UnknowableError("notices") from error
        if not state.complete:
            raise Broken("not_told")


async def _affected(world: World, announced: Entry) -> tuple[str, ...]:
    """Return the profiles from which an announced version takes something away, by what is published of it."""
    documents = []
    for name in ("replaces", "version"):
        path = f"/.well-known/sealpost-policy.json?version={announced.data.get(name)}"
        answer = await world.web.ask("GET", path)
        if answer.status != 200:
            raise UnknowableError("policy_not_served")
        documents.append(answer.json()["document"])
    return affected(list(classify(*documents)))
