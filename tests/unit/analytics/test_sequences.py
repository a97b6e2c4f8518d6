"""Each batch of an emitter is counted once."""

from __future__ import annotations

from services.analytics.intake.sequences import FORGET_SECONDS, Sequences, Verdict
from services.analytics.partitions import Heard

COUNT, AGAIN, EARLY = Verdict.COUNT, Verdict.AGAIN, Verdict.EARLY


def test_in_order_and_once() -> None:
    sequences = Sequences({})
    given = [(1, 1), (2, 1), (2, 1), (4, 1), (3, 1), (4, 1), (1, 1)]
    said = [sequences.accept(5, number, floor, 100) for number, floor in given]
    assert said == [COUNT, COUNT, AGAIN, EARLY, COUNT, COUNT, AGAIN]
    assert sequences.confirmed() == {5: 4}


def test_what_the_emitter_gave_up_is_not_waited_for() -> None:
    sequences = Sequences({5: Heard(3, 0)})
    assert sequences.accept(5, 9, 8, 100) is EARLY
    assert sequences.accept(5, 8, 8, 100) is COUNT
    assert sequences.accept(5, 7, 7, 100) is AGAIN
    assert sequences.accept(5, 9, 2, 100) is COUNT
    assert sequences.accept(6, 2, 1, 100) is EARLY
    assert sequences.confirmed() == {5: 9}


def test_the_silent_are_forgotten() -> None:
    heard = {1: Heard(1, 0), 2: Heard(1, 10)}
    assert Sequences(heard).heard(FORGET_SECONDS) == {2: Heard(1, 10)}
    assert heard == {1: Heard(1, 0), 2: Heard(1, 10)}
