"""A material change on a whole platform: proposed, announced, refused at 29 days, in force at 30, not for who refused.

The numbers of the candidate are configured all the while, and every service is started anew with them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.client.api import Client
from services.retention.ledger.checking import Checker
from tests.support.amended import amended_platform
from tests.support.later import Later
from tests.support.ledger_procs import wait_for
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import PASSWORD, Sender, sign_up

pytestmark = pytest.mark.timeout(240)

WEAKER = {"session_idle_seconds": 3600}


class Scene:
    """Three accounts on one platform that is started twice."""

    def __init__(self, platform: RunningPlatform, later: Later) -> None:
        """Sign up."""
        self.later = later
        self.people = {
            name: sign_up(platform, name, number=number) for number, name in enumerate(("ada", "bob", "olga"), 1)
        }
        make_operator(platform, self.people["olga"].address)

    def move(self, platform: RunningPlatform) -> None:
        """Go on, on the platform that runs now."""
        self.close()
        for number, (name, one) in enumerate(self.people.items(), 1):
            transport = httpx.HTTPTransport(local_address=f"127.78.0.{number}")
            self.people[name] = Sender(platform, one.address, Client(platform.url, transport=transport), "")
        self.login()

    def close(self) -> None:
        """Let go of what is open."""
        for one in self.people.values():
            one.client.close()

    def login(self, *names: str) -> None:
        """Sign in again, after sessions have ended."""
        for one in (self.people[name] for name in names or self.people):
            one.client.login(one.address, PASSWORD)

    def let_pass(self, *names: str, **delta: float) -> None:
        """Let time go by, and some or all sign in again."""
        self._move(timedelta(**delta))
        self.login(*names)

    def _move(self, delta: timedelta) -> None:
        """Move the clocks, and let every service look at its own."""
        self.later.let_pass(delta)
        time.sleep(0.3)

    def rights(self, name: str) -> dict[str, Any]:
        """Return what an account is shown of its rights."""
        with self.people[name].http() as http:
            answer: dict[str, Any] = http.get("/v1/rights").raise_for_status().json()
            return answer

    def is_asked(self, name: str) -> bool:
        """Tell whether an account is asked about version 2."""
        notice = self.rights(name)["notice"]
        return notice is not None and notice["version"] == 2

    def stays(self, name: str) -> bool:
        """Tell whether a session of an account survives more than the half hour of version 1."""
        self.login(name)
        self._move(timedelta(minutes=40))
        with self.people[name].http() as http:
            return http.get("/v1/session").status_code == 200

    def answer(self, name: str, accept: bool) -> None:
        """Answer the notice."""
        with self.people[name].http() as http:
            http.post("/v1/rights/notice", json={"version": 2, "accept": accept}).raise_for_status()

    def states(self) -> dict[int, str]:
        """Return the states of versions as operators see them."""
        with self.people["olga"].http() as http:
            found = http.get("/v1/operator/policy/versions").raise_for_status().json()["versions"]
            return {one["version"]: one["state"] for one in found}

    def step(self, step: str) -> httpx.Response:
        """Do a step with version 2."""
        with self.people["olga"].http() as http:
            return http.post(f"/v1/operator/policy/versions/2/{step}")

    def letters(self, name: str) -> list[str]:
        """Return the subjects of the mails of an account about the policy."""
        subjects = [str((mail.envelope or {}).get("subject")) for mail in self.people[name].client.list("inbox")]
        return [subject for subject in subjects if "privacy policy" in subject]


def test_a_weaker_number_waits_for_its_notice(tmp_path: Path) -> None:
    later, home = Later(tmp_path / "later"), tmp_path / "home"
    with amended_platform(home, later) as platform:
        scene = Scene(platform, later)
        wait_for("the first version", lambda: scene.states() == {1: "active"})
    with amended_platform(home, later, WEAKER) as platform:
        scene.move(platform)
        wait_for("the candidate", lambda: scene.states() == {1: "active", 2: "proposed"})
        assert scene.rights("ada")["notice"] is None
        assert scene.step("activate").status_code == 409
        scene.step("announce").raise_for_status()
        # Whoever tells them dies while it does.
        os.kill(platform.pids()["retention"], signal.SIGKILL)
        for name in ("ada", "bob"):
            wait_for("the banner", partial(scene.is_asked, name), 60)
            wait_for("the letter", partial(scene.letters, name), 60)
        scene.answer("ada", True)
        scene.answer("bob", False)
        _before_its_time(scene)
        _in_force(platform, scene)
        scene.close()


def _before_its_time(scene: Scene) -> None:
    scene.let_pass(days=29, hours=22)
    refused = scene.step("activate")
    assert (refused.status_code, refused.json()["reason"]) == (403, "notice_running")
    assert scene.states() == {1: "active", 2: "announced"}
    assert [scene.rights(name)["terms"] for name in ("ada", "bob")] == [1, 1]
    assert not scene.stays("ada")


def _in_force(platform: RunningPlatform, scene: Scene) -> None:
    scene.let_pass(hours=3)
    wait_for("version 2 in force", lambda: scene.states() == {1: "replaced", 2: "active"}, 60)
    wait_for("accounts to know it", lambda: scene.rights("ada")["terms"] == 2, 90)
    assert scene.rights("bob")["terms"] == 1
    assert [len(scene.letters(name)) for name in ("ada", "bob")] == [1, 1]
    assert [scene.stays(name) for name in ("ada", "bob")] == [True, False]
    now = scene.later.now()
    days = {"first": (now - timedelta(days=40)).date().isoformat(), "last": now.date().isoformat()}
    answer = httpx.get(f"{platform.url}/evidence/ledger.jsonl", params=days, timeout=30)
    ledger = answer.raise_for_status().content
    lines = ledger.splitlines(keepends=True)
    assert Checker().check(lines).entries
    entries = [json.loads(line).get("entry", {}) for line in lines]
    steps = [(one["kind"], one["data"]["version"]) for one in entries if one.get("kind", "").startswith("version_")]
    assert steps == [
        ("version_activated", 1),
        ("version_proposed", 2),
        ("version_announced", 2),
        ("version_activated", 2),
    ]
    # Old terms last as long as the notice said, and no longer.
    scene.let_pass("bob", days=181)
    wait_for("the end of old terms", lambda: scene.rights("bob")["terms"] == 2, 30)
