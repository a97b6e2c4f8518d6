"""For each clause in force: its probe is red while its mechanism is off, and green again when it is on.

One platform for all; see tests.support.clauses. What a probe finds while everything is on stands first, so that a probe
that is always red shows nothing either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from libs.policy import load_policy
from tests.support.clauses import Broken, wipe
from tests.support.clauses_off import SABOTEURS, sabotaged_platform
from tests.support.clauses_versions import WEAKER
from tests.support.later import Later
from tests.support.ledger_procs import wait_for
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
        answer = self.ask("POST", "/v1/operator/retention/probes", json={"clause": clause})
        probes: list[dict[str, Any]] = answer.raise_for_status().json()["probes"]
        (one,) = [one for one in probes if one["clause"] == clause]
        return one["result"], one["detail"]

    def assert_red(self, clause: str) -> str:
        """Assert that a probe finds its clause broken; return the word that it has for it."""
        result, detail = self.found(clause)
        assert result == "fail", f"{clause}: its mechanism is off, and its probe says {result} {detail}"
        print(f"{clause}: {detail}")
        return detail

    def wait_green(self, clause: str) -> None:
        """Wait until a probe finds that its clause holds."""
        wait_for(f"the probe of {clause} to be green", lambda: self.found(clause)[0] == "pass", 90.0)

    def states(self) -> dict[int, str]:
        """Return the states of the versions of the policy."""
        found = self.ask("GET", "/v1/operator/policy/versions").raise_for_status().json()["versions"]
        return {one["version"]: one["state"] for one in found}

    def activate(self) -> httpx.Response:
        """Ask for the second version to be in force."""
        return self.ask("POST", "/v1/operator/policy/versions/2/activate")

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask as the operator, signed in anew where the session has ended with the time that went by."""
        for _ in range(2):
            with self.operator.http() as http:
                http.timeout = 120
                answer = http.request(method, path, **given)
            if answer.status_code != 404:
                break
            self.operator.client.login(self.operator.address, PASSWORD)
        return answer


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
    assert {one.clause for one in SABOTEURS} == set(CLAUSES)
    assert len({one.name for one in SABOTEURS}) == len(SABOTEURS)


ALONE = {"E9", "E14", "R4"}


@pytest.mark.parametrize("name", [one.name for one in SABOTEURS if one.name not in ALONE])
def test_a_probe_sees_that_its_mechanism_is_off(scene: Scene, name: str) -> None:
    clause = name.partition("/")[0]
    assert scene.found(clause)[0] == "pass", f"{clause}: its probe is not green while everything is on"
    with scene.broken.by(name):
        scene.assert_red(clause)
    wipe(scene.platform.home / "data")
    result, detail = scene.found(clause)
    assert result == "pass", f"{clause}: its mechanism is on again, and its probe says {result} {detail}"


def test_what_nobody_sweeps_is_overdue(scene: Scene) -> None:
    """E14: days go by in which nobody deletes anything."""
    scene.wait_green("E14")
    with scene.broken.by("E14"):
        scene.later.let_pass(timedelta(days=5))
        assert scene.assert_red("E14").startswith("overdue:")
    scene.wait_green("E14")


def test_whom_nobody_tells_is_not_told(scene: Scene) -> None:
    """R4: a version is announced, a day goes by, and nobody has been told."""
    assert scene.found("R4")[0] == "pass"
    with scene.broken.by("R4", WEAKER):
        wait_for("a version that is announced", lambda: scene.states() == {1: "active", 2: "announced"}, 30.0)
        scene.later.let_pass(timedelta(hours=25))
        scene.assert_red("R4")
    scene.wait_green("R4")


def test_what_is_in_force_too_early_stays_in_the_ledger(scene: Scene) -> None:
    """E9: the last, since what the ledger says of it can never be green again: that a promise was broken once."""
    with scene.broken.by(WEAKER):
        wait_for("a version that is announced", lambda: scene.states() == {1: "active", 2: "announced"}, 30.0)
        assert (scene.activate().status_code, scene.found("E9")[0]) == (403, "pass")
    with scene.broken.by("E9"):
        assert scene.activate().status_code == 200
        wait_for("the ledger", lambda: scene.found("E9")[0] == "fail", 30.0)
        scene.assert_red("E9")
    assert scene.found("E9")[0] == "fail"
