"""What delivery tells the statistics: each recipient, how it went and what protected the way, and nobody's address."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.mailbox.model import Route, Standing
from libs.policy import load_policy
from libs.telemetry.facts import NoFacts
from services.delivery.domain.model import Outcome, Outgoing, Profile
from tests.unit.delivery.world import ACCOUNT, DELIVERED, LATER, REFUSED, SILENT, World, a_store

BOB = "b" * 32


class Recording(NoFacts):
    """Keeps what is recorded, and checks it against the policy."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, bytes, tuple[str, ...]]] = []

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Take a fact."""
        declared = load_policy().metrics[metric].dimensions
        assert set(dimensions) == set(declared)
        assert all(value in declared[name] for name, value in dimensions.items())
        self.facts.append((metric, unit, tuple(dimensions[name] for name in declared)))

    def of(self, metric: str) -> Counter[tuple[str, ...]]:
        """Return how often each combination was recorded."""
        return Counter(values for name, _, values in self.facts if name == metric)


@pytest.fixture
def facts() -> Recording:
    return Recording()


@pytest.fixture
def world(facts: Recording) -> World:
    made = World(facts=facts)
    made.mailboxes.routes["bob@sealpost.test"] = Route(Standing.OK, "box-bob", BOB, "sealpost.test")
    return made


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with a_store(tmp_path) as opened:
        yield opened


async def test_each_recipient_is_told_with_what_protected_the_way(
    world: World, store: SqliteStore, facts: Recording
) -> None:
    ways = {
        "ann@none.test": replace(DELIVERED, tls="none"),
        "ben@sts.test": replace(DELIVERED, tls="mta_sts"),
        "eve@dane.test": replace(REFUSED, tls="dane"),
        "joe@silent.test": SILENT,
    }
    world.servers.answers = lambda outgoing, address: ways[address]
    node = world.node(store)
    await node.submit(*ways, "bob@sealpost.test")
    await node.turn()
    assert facts.of("deliveries") == Counter(
        {
            ("sealed", "delivered", "none"): 1,
            ("sealed", "delivered", "mta_sts"): 1,
            ("sealed", "bounced", "dane"): 1,
            ("sealed", "deferred", "other"): 1,
            ("sealed", "delivered", "inside"): 1,
        }
    )
    assert {unit for metric, unit, _ in facts.facts if metric == "deliveries"} == {ACCOUNT.encode()}


async def test_what_is_not_tried_is_told_too(world: World, store: SqliteStore, facts: Recording) -> None:
    world.customers.suppressed.add("quiet@example.org")
    node = world.node(store)
    relay: dict[str, Any] = {"profile": Profile.RELAY, "mail_from": "news@shop.test"}
    world.customers.domains.add((ACCOUNT, "shop.test"))
    await node.submit("quiet@example.org", **relay)
    stopped = await node.submit("ann@example.org", campaign="spring", send_at=world.now + 60, **relay)
    world.customers.stopped_ones.add((ACCOUNT, "spring"))
    world.clock.advance(61)
    assert await node.until_settled(stopped) == ["cancelled"]
    assert world.servers.addresses() == []
    assert facts.of("deliveries") == Counter({("relay", "suppressed", "other"): 1, ("relay", "cancelled", "other"): 1})


async def test_each_look_is_told_until_time_is_over(world: World, store: SqliteStore, facts: Recording) -> None:
    later: Outcome = replace(LATER, tls="opportunistic")

    def answer(outgoing: Outgoing, address: str) -> Outcome:
        return later

    world.servers.answers = answer
    node = world.node(store)
    mail = await node.submit("ann@example.org")
    await node.turn()
    assert facts.of("deliveries") == Counter({("sealed", "deferred", "opportunistic"): 1})
    world.clock.advance(8 * 86_400)
    assert await node.until_settled(mail) == ["expired"]
    assert facts.of("deliveries")["sealed", "expired", "opportunistic"] == 1
    assert not [unit for _, unit, _ in facts.facts if b"@" in unit]
