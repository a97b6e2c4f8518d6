"""Whatever happens in whatever order, nobody gets other terms without having had notice of them."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.runtime.errors import SealpostError
from services.retention.domain.versions import State
from tests.unit.retention.versions_world import DAY, Configuration, World

NOTICE = 30 * DAY
LIMITS = st.sampled_from([3 * DAY, 4 * DAY, 7 * DAY, 9 * DAY])
ACCOUNTS = [f"{number:032x}" for number in range(6)]


class Histories(RuleBasedStateMachine):
    """Configurations come and go, operators try everything, processes die, time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._world = self._do(World.open(Path(self._directory.name)))
        self._in_force = 0

    def _do(self, what: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await what

        return self._runner.run(wait())

    def _try(self, what: Awaitable[Any]) -> None:
        with contextlib.suppress(SealpostError):
            self._do(what)

    def teardown(self) -> None:
        self._do(self._world.store.close())
        self._runner.close()
        self._directory.cleanup()

    @initialize()
    def begin(self) -> None:
        self._world.people.sign_up(ACCOUNTS[0], "public")
        self._do(self._world.run(Configuration()))

    @rule(limit=LIMITS, words=st.sampled_from(["one", "other"]))
    def configure(self, limit: int, words: str) -> None:
        self._world.start(Configuration(Configuration().changed(public_mail_seconds=limit).rules, words))

    @rule(number=st.sampled_from(ACCOUNTS))
    def sign_up(self, number: str) -> None:
        if number not in self._world.people.profiles:
            self._world.people.sign_up(number, "public")

    @rule(days=st.sampled_from([0.01, 1, 10, 29, 30]))
    def wait(self, days: float) -> None:
        self._world.clock.advance(days=days)

    @rule()
    def lead(self) -> None:
        self._try(self._world.step())

    @rule(back=st.integers(0, 2), what=st.sampled_from(["announce", "activate", "withdraw"]))
    def operate(self, back: int, what: str) -> None:
        found = self._do(self._world.versions.newest(3))
        number = found[min(back, len(found) - 1)].number
        self._try(getattr(self._world.versions, what)(number))

    @rule(failing=st.sets(st.sampled_from(ACCOUNTS)), down=st.booleans())
    def break_down(self, failing: set[str], down: bool) -> None:
        self._world.post.failing = failing
        self._world.people.down = down

    @rule()
    def repair(self) -> None:
        self._world.post.failing, self._world.people.down = set(), False

    @invariant()
    def one_is_in_force_and_never_an_older_one(self) -> None:
        versions = self._do(self._world.versions.numbers())
        assert [one.active for one in versions] == [True] + [False] * (len(versions) - 1) if versions else True
        in_force = versions[0].version if versions else 0
        assert in_force >= self._in_force
        self._in_force = in_force

    @invariant()
    def nothing_material_without_notice(self) -> None:
        people = self._world.people
        for one in self._do(self._world.versions.newest(100)):
            if one.material and one.state in (State.ACTIVE, State.REPLACED):
                assert one.announced_at and one.activated_at - one.announced_at >= NOTICE
                told = [at for at in people.told.get(one.number, {}).values() if at is not None]
                assert all(one.activated_at - at >= NOTICE for at in told if at <= one.activated_at)

    @invariant()
    def nobody_is_written_to_twice(self) -> None:
        about = [(letter.account_id, letter.fields["version"]) for letter in self._world.post.arrived.values()]
        assert len(about) == len(set(about))

    @invariant()
    def every_step_is_in_the_ledger_once(self) -> None:
        entries = self._do(self._world.entries())
        assert len(entries) == len(set(entries))
        for one in self._do(self._world.versions.newest(100)):
            if not one.owed and one.state is State.WITHDRAWN:
                assert ("version_withdrawn", one.number) in entries
            if not one.owed and one.activated_at:
                assert ("version_activated", one.number) in entries


Histories.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase
