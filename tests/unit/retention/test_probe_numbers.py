"""The probe of the numbers that are published: another policy is one, the version before for some seconds is none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from libs.policy import load_policy
from libs.policy.terms import Terms
from services.retention.ledger.ledger import Ledger
from services.retention.probes.of_pages import stands_alone
from services.retention.probes.world import Answer, Broken, UnknowableError, World
from tests.unit.retention.fakes import TwoHands, opened

POLICY = load_policy()


class Site:
    """World.web and World.smtp: a document is served, and mail is taken."""

    def __init__(self) -> None:
        self.rules = {name: {"value": rule.value} for name, rule in POLICY.rules.items()}

    async def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, object] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        content = {"document": {"rules": self.rules}, "public_domains": ["p.test"]}
        return Answer(200, (), json.dumps(content).encode())

    async def send(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        return 250


class Scene:
    """A probe at a site."""

    def __init__(self, ledger: Ledger, clock: TwoHands) -> None:
        self.ledger, self.clock, self.site = ledger, clock, Site()

    async def activated(self, number: int) -> None:
        entry: dict[str, str | int] = {"version": number, "replaces": number - 1, "document": "00", "material": 1}
        await self.ledger.append("version_activated", entry)

    async def probe(self) -> None:
        nobody, site = cast("Any", None), self.site
        now = self.clock.unix
        await stands_alone(World(site, site, nobody, {}, nobody, nobody, Terms(POLICY), POLICY, self.ledger, now))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = TwoHands()
    async with opened(tmp_path / "store") as store:
        yield Scene(Ledger(store, clock), clock)


async def test_other_numbers_than_those_in_force_are_told(scene: Scene) -> None:
    await scene.activated(1)
    await scene.probe()
    scene.site.rules["public_mail_seconds"]["value"] += 1
    with pytest.raises(Broken, match="other_numbers"):
        await scene.probe()


async def test_a_new_version_gets_around_first(scene: Scene) -> None:
    await scene.activated(1)
    scene.site.rules["public_mail_seconds"]["value"] += 1
    await scene.activated(2)
    scene.clock.advance(100)
    with pytest.raises(UnknowableError, match="version_new"):
        await scene.probe()
    scene.clock.advance(30)
    with pytest.raises(Broken, match="other_numbers"):
        await scene.probe()
