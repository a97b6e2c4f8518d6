"""Whatever the order of announcements, answers, activations and time: a refusal holds as long as was promised.

What was promised is written down by the test itself, when a refused version takes effect, and compared with what
services.accounts.domain.notices makes of its few fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.runtime.errors import ConflictError
from services.accounts.domain.model import Answer, Standing
from services.accounts.domain.notices import Marking, answered, terms_in_force, told_of

DAY = 86400
# Round lengths make dates fall together, and lie on both sides of each other.
WAIT = st.sampled_from([0, 1, DAY, 30 * DAY, 90 * DAY, 210 * DAY - 1, 210 * DAY])
ANSWERS = st.sampled_from([(), ("refuse",), ("accept",), ("accept", "refuse"), ("refuse", "accept")])
ROUND = st.tuples(
    st.sampled_from(["tell", "tell", "again", ""]),
    ANSWERS,
    WAIT,
    st.sampled_from(["activate", "quietly", ""]),
    ANSWERS,
    WAIT,
)
STEPS = st.lists(ROUND, min_size=1, max_size=6).map(
    lambda rounds: [
        step
        for told, early, wait, taken, late, more in rounds
        for step in (told, *early, wait, taken, *late, more)
        if step != ""
    ]
)


@dataclass
class History:
    """One account among versions, and what its owner was promised: by version refused, until when."""

    now: int = 1_800_000_000
    active: int = 1
    newest: int = 1
    standing: Standing = field(default_factory=lambda: Standing(noticed=1))
    promised: dict[int, int] = field(default_factory=dict)
    refused_ever: bool = False

    def do(self, step: str | int) -> None:
        if isinstance(step, int):
            self.now += step
        elif step in ("accept", "refuse"):
            self.answer(step == "accept")
        elif step == "tell":
            self.newest += 1
            self.tell(self.newest)
        elif step == "again":
            self.tell(self.standing.noticed)
        else:
            if step == "quietly":
                # One that changes nothing for anybody needs no notice.
                self.newest += 1
            self.activate()

    def tell(self, version: int) -> None:
        marking = Marking(version, self.now, self.now + 30 * DAY, self.now + 210 * DAY)
        before = self.standing
        self.standing = told_of(before, marking, self.active)
        if before.noticed == version and before.answer is Answer.REFUSED and version in self.promised:
            # A date that is put off after the fact is put off for what was promised too.
            self.promised[version] = self.standing.old_until

    def activate(self) -> None:
        pending = self.standing.noticed > self.active
        self.active = self.newest
        if pending and self.standing.noticed <= self.active:
            if self.standing.answer is Answer.REFUSED:
                self.promised[self.standing.noticed] = self.standing.old_until
            elif self.standing.answer is Answer.ACCEPTED:
                self.promised.clear()

    def answer(self, accept: bool) -> None:
        takes_back = accept and self.standing.noticed <= self.active
        try:
            self.standing = answered(self.standing, accept, self.active, self.now)
        except ConflictError:
            return
        self.refused_ever |= not accept
        if takes_back:
            self.promised.clear()

    def check(self) -> None:
        terms = terms_in_force(self.standing, self.active, self.now)
        assert 1 <= terms <= self.active
        standing_promises = [version for version, until in self.promised.items() if self.now < until]
        if standing_promises:
            assert terms < min(standing_promises)
        else:
            assert terms == self.active


@given(STEPS)
@settings(max_examples=400, deadline=None)
def test_terms_are_those_that_were_promised(steps: list[str | int]) -> None:
    history = History()
    for step in steps:
        history.do(step)
        history.check()
        if not history.refused_ever:
            assert terms_in_force(history.standing, history.active, history.now) == history.active


@given(STEPS, st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_being_told_again_changes_neither_the_first_time_nor_the_answer(steps: list[str | int], times: int) -> None:
    history = History()
    for step in steps:
        history.do(step)
    before = history.standing
    for _ in range(times):
        history.now += DAY
        history.tell(before.noticed)
    after = history.standing
    assert (after.noticed_at, after.told_at, after.answer) == (before.noticed_at, before.told_at, before.answer)
    assert after.old_until >= before.old_until
