from __future__ import annotations

import pytest

from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError
from services.delivery.domain.schedule import PAUSES, Schedule
from services.delivery.settings import Settings

_FAR = 10**9


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def schedule(*pauses: int) -> Schedule:
    return Schedule(lambda _: _FAR, _FAR, middle, pauses or PAUSES)


def test_pauses_grow_as_documented_and_the_last_one_repeats() -> None:
    minutes = [schedule().next_attempt(attempts, 0, _FAR) / 60 for attempts in range(1, 11)]
    # A minute and a half: the first pause is one to two minutes.
    assert minutes == [1.5, 5, 15, 30, 60, 120, 240, 360, 360, 360]


def test_operators_may_have_others() -> None:
    assert [schedule(10, 20).next_attempt(attempts, 100, _FAR) for attempts in (1, 2, 3)] == [115, 120, 120]


def test_the_last_attempt_is_at_the_end() -> None:
    assert schedule().next_attempt(9, 1000, 1500) == 1500
    assert schedule().next_attempt(9, 1500, 1500) == 1501


@pytest.mark.parametrize("pauses", [(), (0,), (60, -1)])
def test_pauses_that_make_no_sense_stop_the_start(pauses: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="SEALPOST_RETRY_SECONDS"):
        Settings(kek=Secret(""), lookup_key=Secret(b""), retry_seconds=pauses)
