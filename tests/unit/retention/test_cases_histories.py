"""Whatever officers do in whatever order, nothing is handed over that two of them did not agree on."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.runtime.errors import DeniedError, SealpostError
from protos.retention.v1 import retention_pb2 as pb
from services.retention.domain.cases import CaseState
from tests.unit.retention.cases_world import ADA, FIRST, SECOND, World, ask
from tests.unit.retention.versions_world import DAY

OFFICERS = st.sampled_from([FIRST, SECOND])
CASES = st.integers(0, 3)


class Histories(RuleBasedStateMachine):
    """Cases of one account, two officers, a ledger and a way for letters that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._world = self._do(World.open(Path(self._directory.name)))
        self._opened: dict[str, str] = {}
        self._approved: dict[str, str] = {}
        self._secrets: dict[str, int] = {}
        self._exported: set[str] = set()

    def _do(self, what: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await what

        return self._runner.run(wait())

    def teardown(self) -> None:
        self._do(self._world.store.close())
        self._runner.close()
        self._directory.cleanup()

    def _case(self, position: int) -> str:
        known = list(self._opened)
        return known[position % len(known)] if known else "0" * 32

    @rule(officer=OFFICERS, secret=st.sampled_from([0, 20, 200]))
    def open(self, officer: str, secret: int) -> None:
        until = self._world.time.now() + secret * DAY if secret else 0
        with contextlib.suppress(SealpostError):
            case_id = self._do(self._world.opened(officer=officer, secret_until=until))
            self._opened[case_id] = officer
            self._secrets[case_id] = until

    @rule(officer=OFFICERS, position=CASES)
    def approve(self, officer: str, position: int) -> None:
        case_id = self._case(position)
        try:
            self._do(self._world.rpc.approve(ask(officer, case_id)))
        except DeniedError:
            assert self._opened[case_id] == officer
        except SealpostError:
            pass
        else:
            self._approved[case_id] = officer

    @rule(officer=OFFICERS, position=CASES)
    def refuse(self, officer: str, position: int) -> None:
        with contextlib.suppress(SealpostError):
            request = pb.RefuseCaseRequest(officer=officer, case_id=self._case(position), reason="no")
            self._do(self._world.rpc.refuse(request))

    @rule(officer=OFFICERS, position=CASES)
    def export(self, officer: str, position: int) -> None:
        with contextlib.suppress(SealpostError):
            self._do(self._world.archive(self._case(position), officer))
            self._exported.add(self._case(position))

    @rule(officer=OFFICERS, position=CASES)
    def close(self, officer: str, position: int) -> None:
        with contextlib.suppress(SealpostError):
            self._do(self._world.rpc.close(ask(officer, self._case(position))))

    @rule(days=st.sampled_from([1, 13, 14, 180]))
    def wait(self, days: int) -> None:
        self._world.clock.advance(days=days)

    @rule(ledger=st.booleans(), letters=st.booleans())
    def break_down(self, ledger: bool, letters: bool) -> None:
        self._world.ledger.down = ledger
        self._world.post.failing = {ADA.account_id} if letters else set()

    @rule()
    def lead(self) -> None:
        with contextlib.suppress(SealpostError):
            self._do(self._world.duty.step())

    @rule()
    def recover(self) -> None:
        self.break_down(False, False)
        self._do(self._world.duty.step())
        for case_id in self._opened:
            assert not self._do(self._world.cases.get(case_id)).owed
        kinds = [(kind, data["case"]) for kind, data in self._do(self._world.entries())]
        for case_id in self._opened:
            assert kinds.count(("case_opened", case_id)) == 1
            assert kinds.count(("case_approved", case_id)) == (case_id in self._approved)
        halves = self._do(self._world.transparency.report(self._world.time.now()))
        summed = {name: sum(half.counts.get(name, 0) for half in halves) for name in ("asked", "granted", "untold")}
        untold = [one for one in self._approved if not self._do(self._world.cases.get(one)).told_at]
        assert summed == {"asked": len(self._opened), "granted": len(self._approved), "untold": len(untold)}

    @invariant()
    def nothing_is_handed_over_without_two(self) -> None:
        assert self._exported <= set(self._approved)
        assert all(self._opened[case_id] != officer for case_id, officer in self._approved.items())

    @invariant()
    def nobody_is_told_before_the_end_of_a_secret_or_twice(self) -> None:
        now = self._world.time.now()
        for case in self._do(self._world.cases.told(ADA.account_id)):
            assert self._secrets[case.case_id] <= case.told_at <= now
            assert case.case_id in self._approved
        assert len(self._world.post.arrived) <= len(self._approved)

    @invariant()
    def what_is_over_has_an_end(self) -> None:
        over = (CaseState.REFUSED, CaseState.CLOSED, CaseState.LAPSED)
        for case_id in self._opened:
            case = self._do(self._world.cases.get(case_id))
            assert bool(case.ended_at) == (case.state in over)


Histories.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestHistories = Histories.TestCase
