"""The statistical audit: what releases tell about one unit to somebody who knows everything about all others.

Each cell of a release is an experiment of its own: the same count everywhere, and with the unit everywhere that much
more. A million draws, half of them under each input, go through all that a real release goes through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from libs.policy.model import Metric
from services.analytics.domain.ports import CellCounts
from services.analytics.release.drawing import Subject, draw
from services.analytics.release.mechanism import Mechanism, Noise, mechanism_for
from services.analytics.release.outcomes import Place
from tests.support.distinguisher import audit, lower, upper

CONFIDENCE = 0.99
# How often a threshold that is right is called wrong, for a build does not fail by chance.
MISS = 1e-6
CELLS = 10_000
OTHERS = 40
PER_UNIT, EPSILON, DELTA = 3, 0.5, 1e-4
ABSENT = -(10**9)

Draws = NDArray[np.int64]


def _subject(cut: str, epsilon: float = EPSILON, delta: float = 0.0) -> Subject:
    words = [*(f"w{number}" for number in range(99)), "other"]
    declared = {"title": "Cut", "dimensions": ["a", "b"], "window": "hour", "epsilon": epsilon, "delta": delta}
    declared["keys"] = "unknown" if delta else "known"
    metric = Metric.model_validate(
        {
            "title": "Metric",
            "help": "Anything.",
            "unit": "ip",
            "per_unit": PER_UNIT,
            "dimensions": {"a": words, "b": words},
            "cuts": {cut: declared},
        }
    )
    return Subject("metric", cut, metric, metric.cuts[cut])


def _released(subject: Subject, count: int, draws: int) -> Draws:
    """Return values of `draws` cells that `count` facts were counted in; ABSENT where a cell is not released."""
    cells = CellCounts(
        np.zeros(CELLS, np.uint64), np.arange(CELLS, dtype=np.uint32), np.full(CELLS, count, dtype=np.int64)
    )
    place, rows = Place(*subject.id, "hour-0", 0, 3600), []
    for _ in range(draws // CELLS):
        released = draw(subject, place, cells, 1, 0).cells
        row = np.full(CELLS, ABSENT, np.int64)
        row[released.codes if len(released.codes) or subject.cut.delta else slice(None)] = released.values
        rows.append(row)
    return np.concatenate(rows)


def _both(subject: Subject, counts: tuple[int, int], draws: int) -> tuple[Draws, Draws]:
    # OpenDP gives the interpreter's lock away: two cores draw at once.
    with ThreadPoolExecutor(2) as pool:
        without, there = pool.map(lambda count: _released(subject, count, draws), counts)
    return without, there


@pytest.fixture(scope="module")
def million() -> tuple[Draws, Draws]:
    """Draws without the unit, and with all of its bound in the cell."""
    return _both(_subject("cut"), (OTHERS, OTHERS + PER_UNIT), 500_000)


def _with_half_the_noise(subject: Subject) -> Subject:
    cut = subject.cut.model_copy(update={"epsilon": 2 * subject.cut.epsilon})
    return replace(subject, cut=cut)


def test_a_million_draws_tell_no_more_than_epsilon(million: tuple[Draws, Draws]) -> None:
    verdict = audit(million, EPSILON, 0.0, CONFIDENCE)
    assert verdict.epsilon <= EPSILON
    assert verdict.delta <= 0
    # It is a sharp eye that found nothing: there is hardly less to be found than is allowed.
    assert verdict.epsilon > 0.9 * EPSILON


def test_half_the_noise_is_found_out() -> None:
    draws = _both(_with_half_the_noise(_subject("cut")), (OTHERS, OTHERS + PER_UNIT), 100_000)
    verdict = audit(draws, EPSILON, 0.0, CONFIDENCE)
    assert verdict.epsilon > EPSILON
    assert verdict.delta > 0


def test_a_bound_that_is_exceeded_by_one_is_found_out(million: tuple[Draws, Draws]) -> None:
    more = _released(_subject("cut"), OTHERS + 2 * PER_UNIT, 100_000)
    assert audit((million[0], more), EPSILON, 0.0, CONFIDENCE).epsilon > EPSILON


def test_a_unit_that_spreads_over_windows_gives_away_no_more() -> None:
    """One fact in each of three windows of the day; the eye sees all three, weighed as well as can be."""
    without, there = _both(_subject("cut"), (OTHERS, OTHERS + 1), 150_000)
    sums = _units_seen(without), _units_seen(there)
    verdict = audit(sums, EPSILON, 0.0, CONFIDENCE)
    assert 0.7 * EPSILON < verdict.epsilon <= EPSILON
    assert verdict.delta <= 0


def _units_seen(draws: Draws) -> Draws:
    seen: Draws = np.clip(draws.reshape(PER_UNIT, -1) - OTHERS, 0, 1).sum(axis=0, dtype=np.int64)
    return seen


def test_the_noise_is_the_discrete_laplace_distribution(million: tuple[Draws, Draws]) -> None:
    base = math.exp(-EPSILON / PER_UNIT)
    noise = million[0] - OTHERS
    for value in range(-30, 31, 5):
        hits, trials = np.array([float((noise == value).sum())]), len(noise)
        expected = (1 - base) / (1 + base) * base ** abs(value)
        assert lower(hits, trials, 1e-5)[0] <= expected <= upper(hits, trials, 1e-5)[0]


def test_intervals_hold_at_the_stated_rate(million: tuple[Draws, Draws]) -> None:
    width = _mechanism(_subject("cut")).half_width
    for draws, true in zip(million, (OTHERS, OTHERS + PER_UNIT), strict=True):
        held = np.array([float((np.abs(draws - true) <= width).sum())])
        assert upper(held, len(draws), 1e-5)[0] >= 0.95
        narrower = np.array([float((np.abs(draws - true) <= width - 1).sum())])
        assert lower(narrower, len(draws), 1e-5)[0] < 0.95


def _mechanism(subject: Subject) -> Mechanism:
    return mechanism_for(Noise(PER_UNIT, subject.cut.epsilon, subject.cut.delta))


def test_a_thresholded_cell_tells_no_more_than_epsilon_and_delta() -> None:
    subject = _subject("cut", delta=DELTA)
    threshold = _mechanism(subject).threshold
    draws = _both(subject, (threshold - 1, threshold - 1 + PER_UNIT), 100_000)
    assert 0.1 < float((draws[0] == ABSENT).mean()) < 0.9
    verdict = audit(draws, EPSILON, DELTA, CONFIDENCE)
    assert 0.8 * EPSILON < verdict.epsilon <= EPSILON
    assert verdict.delta <= DELTA


def test_somebody_alone_in_a_cell_is_seen_as_rarely_as_delta() -> None:
    alone = _released(_subject("cut", delta=DELTA), PER_UNIT, 100_000)
    assert lower(_hits(alone), len(alone), MISS)[0] <= DELTA
    # Alone in as many cells as the bound allows: any of them gives him away.
    spread = _released(_subject("cut", delta=DELTA), 1, 100_000)[:99_999].reshape(-1, PER_UNIT).max(axis=1)
    assert lower(_hits(spread), len(spread), MISS)[0] <= DELTA


def test_a_threshold_for_less_noise_is_found_out() -> None:
    # The threshold of half the noise, under the noise that there is.
    low = _mechanism(_with_half_the_noise(_subject("cut", delta=DELTA))).threshold
    values = PER_UNIT + _released(_subject("cut"), 0, 100_000)
    seen = np.where(values >= low, values, ABSENT)
    assert lower(_hits(seen), len(seen), MISS)[0] > DELTA


def _hits(draws: Draws) -> NDArray[np.float64]:
    return np.array([float((draws != ABSENT).sum())])


# --- differencing ------------------------------------------------------------------------------------------------


def test_differencing_two_cuts_isolates_nobody() -> None:
    """Somebody who knows everything but whether one unit was there subtracts cuts and windows, and guesses.

    By the definition of differential privacy his hits exceed his false alarms by tanh(epsilon / 2) at most, with the
    epsilon of all cuts he uses; with the exact numbers he would know.
    """
    one, other = _subject("fine", 0.4), _subject("coarse", 0.2)
    trials = 50_000
    allowed = math.tanh((0.4 + 0.2) / 2)
    seen = [
        (_released(one, OTHERS + there, trials), _released(other, 2 * OTHERS + there, trials))
        for there in (0, PER_UNIT)
    ]
    for attack in (_subtract_cuts, _weigh_all):
        assert _advantage([attack(*releases) for releases in seen]) <= allowed
    # The best attack there is comes close: it is not a straw man that is fended off.
    assert _advantage([_weigh_all(*releases) for releases in seen]) > 0.5 * allowed


@pytest.mark.parametrize("attack", ["_subtract_cuts", "_weigh_all"])
def test_without_noise_differencing_isolates_somebody(attack: str) -> None:
    guess: Callable[[Draws, Draws], NDArray[np.bool_]] = globals()[attack]
    guesses = [
        guess(np.full(1000, OTHERS + there, np.int64), np.full(1000, 2 * OTHERS + there, np.int64))
        for there in (0, PER_UNIT)
    ]
    assert _advantage(guesses) > math.tanh(0.3)


def _subtract_cuts(fine: Draws, coarse: Draws) -> NDArray[np.bool_]:
    """Guess from a sum of differences: of each cut and what all others make of it."""
    return (fine - OTHERS) + (coarse - 2 * OTHERS) > PER_UNIT


def _weigh_all(fine: Draws, coarse: Draws) -> NDArray[np.bool_]:
    """Guess by the likelihoods of both numbers, with the unit and without it: nothing can do better."""
    evidence = np.zeros(len(fine))
    for draws, others, epsilon in ((fine, OTHERS, 0.4), (coarse, 2 * OTHERS, 0.2)):
        evidence += (np.abs(draws - others) - np.abs(draws - others - PER_UNIT)) * epsilon / PER_UNIT
    return evidence > 0


def _advantage(guesses: Sequence[NDArray[np.bool_]]) -> float:
    """Return by how much hits certainly exceed false alarms."""
    alarms, hits = (np.array([float(guess.sum())]) for guess in guesses)
    miss = (1 - CONFIDENCE) / 2
    return float(lower(hits, len(guesses[1]), miss)[0] - upper(alarms, len(guesses[0]), miss)[0])
