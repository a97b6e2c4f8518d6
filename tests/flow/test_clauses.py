"""For each clause in force: its probe is red while its mechanism is off, and green again when it is on.

One platform for all; see tests.support.clauses. What a probe finds while everything is on stands first, so that a probe
that is always red shows nothing either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from libs.policy import load_policy
from tests.support.clauses import Broken
from tests.support.clauses_off import SABOTEURS, sabotaged_platform
from tests.support.later import Later
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import PASSWORD, Sender, sign_up

pytestmark = pytest.mark.timeout(240)

CLAUSES = tuple(name for name, clause in load_policy().clauses.items() if clause.pending is None)


@dataclass
class Scene:
    """The platform, what is broken in it, its clocks, and an operator."""

    platform: RunningPlatform
    broken: Broken
    later: Later
    operator: Sender

    def found(self, clause: str) -> tuple[str, str]:
        """Run a probe now; return what it finds and the word for it."""
        with self.operator.http() as http:
            http.timeout = 120
            answer = http.post("/v1/operator/retention/probes", json={"clause": clause})
            if answer.status_code == 404:
                self.operator.client.login(self.operator.address, PASSWORD)
                return self.found(clause)
            probes: list[dict[str, Any]] = answer.raise_for_status().json()["probes"]
        (one,) = [one for one in probes if one["clause"] == clause]
        return one["result"], one["detail"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One platform for all clauses."""
    folder = tmp_path_factory.mktemp("clauses")
    broken, later = Broken(folder / "off"), Later(folder / "later")
    with sabotaged_platform(folder / "home", broken, later) as platform:
        operator = sign_up(platform, "olga")
        make_operator(platform, operator.address)
        yield Scene(platform, broken, later, operator)
        operator.client.close()


def test_every_clause_in_force_has_a_saboteur() -> None:
    assert {one.clause for one in SABOTEURS} <= set(CLAUSES)


ALONE = {"E9", "E14", "R4"}


@pytest.mark.parametrize("clause", [one.clause for one in SABOTEURS if one.clause not in ALONE])
def test_a_probe_sees_that_its_mechanism_is_off(scene: Scene, clause: str) -> None:
    assert scene.found(clause)[0] == "pass", f"{clause}: its probe is not green while everything is on"
    scene.broken.put(clause)
    result, detail = scene.found(clause)
    scene.broken.put()
    assert result == "fail", f"{clause}: its mechanism is off, and its probe says {result} {detail}"
    result, detail = scene.found(clause)
    assert result == "pass", f"{clause}: its mechanism is on again, and its probe says {result} {detail}"
    print(f"{clause}: {detail}")
