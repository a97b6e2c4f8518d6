"""The keeper of canaries: doors that are shut for a while, and what nobody can say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyEncryptionKeys
from libs.policy import load_policy
from libs.policy.terms import Terms
from libs.runtime.secret import Secret
from services.retention.canaries.cage import CANARIES, Cage
from services.retention.canaries.keeping import Keeper, Tools
from services.retention.canaries.planting import OF_ACCOUNT, OF_RELAY, Planter
from services.retention.graph import CORE_COLLECTIONS
from services.retention.ledger.ledger import Ledger
from services.retention.probes.world import Answer, Person, UnknowableError, World
from tests.unit.retention.fakes import DAY, LEAD, TwoHands

MINUTE = 60
POLICY = load_policy()


class Site:
    """World.web, World.smtp and World.people of a platform where mail for the public comes in, and nobody signs up."""

    def __init__(self) -> None:
        self.up = True
        self.mails: list[str] = []
        self.held: set[str] = set()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, object] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if not self.up:
            raise UnknowableError("web")
        if path == "/v1/info":
            domains = {"public_domains": ["p.test"], "member_domains": ["m.test"], "sign_up_open": False}
            return Answer(200, (), json.dumps(domains).encode())
        if path.endswith("/messages"):
            return Answer(200, (), json.dumps({"messages": [{"id": self.mails[-1]}]}).encode())
        if path.startswith("/v1/public/"):
            return Answer(200 if path.rpartition("/")[2] in self.held else 404, (), b"")
        return Answer(429, (), b"")

    async def send(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        self.mails.append(f"mail-{len(self.mails)}")
        self.held.add(self.mails[-1])
        return 250

    async def of(self, profile: str) -> Person:
        raise UnknowableError("no_account")


class Scene:
    """A keeper at a site."""

    def __init__(self, store: SqliteStore) -> None:
        self.clock, self.site = TwoHands(), Site()
        self.ledger = Ledger(store, self.clock)
        self.terms = Terms(POLICY)
        cage = Cage(store, KeyEncryptionKeys({1: Secret(bytes(32))}))
        self.keeper = Keeper(Tools(cage, Planter(self.terms, self.clock), self.world, self.ledger))

    async def world(self) -> World:
        nobody, site = cast("Any", None), self.site
        return World(site, site, site, {}, nobody, nobody, self.terms, POLICY, self.ledger, self.clock.unix)

    async def step(self, seconds: int = 0) -> dict[str, str]:
        """Let time pass, and look; return the states of the newest canary of each class."""
        self.clock.advance(seconds)
        await self.keeper.step(LEAD)
        return {one.data_class: one.state for one in reversed(await self.keeper.states(self.clock.unix))}

    async def public(self) -> list[str]:
        """Return the states of public mails, the newest first."""
        states = await self.keeper.states(self.clock.unix)
        return [one.state for one in states if one.data_class == "public_mail"]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with await SqliteStore.open(tmp_path / "store", (*CORE_COLLECTIONS, CANARIES)) as store:
        yield Scene(store)


async def test_a_door_that_is_shut_for_minutes_fails_nothing(scene: Scene) -> None:
    assert await scene.step() == {"public_mail": "waiting"}
    for _ in range(2):
        assert await scene.step(7 * MINUTE) == {"public_mail": "waiting"}
    failed = dict.fromkeys((*OF_ACCOUNT, *OF_RELAY), "failed")
    assert await scene.step(MINUTE) == {"public_mail": "waiting", **failed}
    before = await scene.ledger.read(1, 100)
    assert [entry.data["state"] for entry in before] == ["failed"] * len(failed)
    # Once a day, and not again.
    await scene.step(MINUTE)
    assert len(await scene.ledger.read(1, 100)) == len(before)
    assert len(scene.site.mails) == 1


async def test_what_was_due_while_the_platform_was_off_is_swept_first(scene: Scene) -> None:
    await scene.step()
    await scene.step(5 * DAY)
    await scene.step(2 * MINUTE)
    assert await scene.public() == ["waiting", "waiting"]
    scene.site.held.clear()
    await scene.step(MINUTE)
    assert await scene.public() == ["waiting", "gone"]
    assert [entry.data["state"] for entry in await scene.ledger.read(1, 100)] == ["gone"]


async def test_what_nobody_can_say_is_looked_for_again(scene: Scene) -> None:
    await scene.step()
    scene.site.up = False
    assert await scene.step(5 * DAY) == {"public_mail": "waiting"}
    scene.site.up = True
    assert (await scene.step(MINUTE))["public_mail"] == "waiting", "that of the new day"
    await scene.step(3 * MINUTE)
    assert await scene.public() == ["waiting", "missed"]
    scene.site.up = False
    await scene.step(MINUTE)
    scene.site.up = True
    scene.site.held.clear()
    await scene.step(MINUTE)
    assert await scene.public() == ["waiting", "gone"]
    kinds = [entry.data["state"] for entry in await scene.ledger.read(1, 100) if entry.data["class"] == "public_mail"]
    assert kinds == ["missed", "gone"]
