"""Scale, threshold and half-width: what OpenDP vouches for, and not more noise than that needs."""

from __future__ import annotations

import math
import threading
import time
from fractions import Fraction

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.policy import load_policy
from libs.runtime.errors import InternalError
from services.analytics.release.drawing import Subject, subjects_of
from services.analytics.release.mechanism import Mechanism, Noise, exactly, half_width, mechanism_for

SUBJECTS = subjects_of(load_policy())


@pytest.mark.parametrize("terms", [1, 2, 5])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: ".".join(subject.id))
def test_every_declared_cut_costs_what_it_pays_and_hardly_less(subject: Subject, terms: int) -> None:
    per_unit, cut = subject.metric.per_unit, subject.cut
    mechanism = mechanism_for(Noise(per_unit, cut.epsilon, cut.delta, terms))
    plain = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), mechanism.scale)
    cost = Fraction(plain.map(terms * per_unit))  # type: ignore[no-untyped-call]
    assert cost <= terms * exactly(cut.epsilon)
    assert float(cost) > terms * cut.epsilon * (1 - 1e-12)
    assert bool(mechanism.threshold) == bool(cut.delta)
    if mechanism.threshold:
        assert _delta(mechanism, terms * per_unit, 0) <= cut.delta < _delta(mechanism, terms * per_unit, -1)


def _delta(mechanism: Mechanism, reach: int, moved: int) -> float:
    cells = dp.map_domain(dp.atom_domain(T="u64"), dp.atom_domain(T="i64"))
    distance = dp.l01inf_distance(dp.absolute_distance(T="i64"))
    threshold = mechanism.threshold + moved
    measurement = dp.m.make_laplace_threshold(cells, distance, mechanism.scale, threshold)
    return float(measurement.map((reach, reach, reach))[1])  # type: ignore[no-untyped-call]


@settings(deadline=None, max_examples=200)
@given(st.floats(0.05, 5000))
def test_the_half_width_is_the_smallest_that_holds_95_percent(scale: float) -> None:
    base = math.exp(-1 / scale)
    # The sum of the probabilities one by one, as the definition has it.

    def within(width: int) -> float:
        return (1 - base) / (1 + base) * (1 + 2 * sum(base**step for step in range(1, width + 1)))

    width = half_width(scale)
    assert within(width) >= 0.95 - 1e-9
    assert width == 0 or within(width - 1) < 0.95 + 1e-9


def test_the_half_width_is_what_opendp_says() -> None:
    for scale in (0.7, 3.0, 66.66, 1000.0):
        # OpenDP's accuracy a has P(|noise| >= a) <= 5 %; ours are the values below it.
        accuracy = dp.discrete_laplacian_scale_to_accuracy(scale=scale, alpha=0.05)
        assert half_width(scale) == math.ceil(accuracy) - 1


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 10**12), max_size=30),
    st.sampled_from([Noise(5, 0.5), Noise(2, 0.3, 1e-6), Noise(2, 0.3, 1e-6, 3)]),
)
def test_releases_are_integers_only(true: list[int], noise: Noise) -> None:
    counts = np.array(true, np.int64)
    mechanism = mechanism_for(noise)
    places, values = mechanism.draw(counts)
    assert values.dtype == np.dtype(np.int64)
    assert len(places) == len(values)
    if mechanism.threshold:
        assert list(places) == sorted(set(places.tolist()))
        assert all(counts[places] > 0)
        assert all(values >= mechanism.threshold)
    else:
        assert list(places) == list(range(len(counts)))


def test_a_cell_that_nobody_is_in_does_not_exist() -> None:
    mechanism = mechanism_for(Noise(2, 0.3, 0.4))
    places, _ = mechanism.draw(np.zeros(100_000, np.int64))
    assert len(places) == 0


def test_more_terms_need_a_higher_threshold() -> None:
    thresholds = [mechanism_for(Noise(2, 0.3, 1e-6, terms)).threshold for terms in (1, 2, 3)]
    assert thresholds == sorted(set(thresholds))


@pytest.mark.parametrize("noise", [Noise(0, 0.5), Noise(1, 0.5, -1.0), Noise(-3, 0.5), Noise(1, math.inf)])
def test_what_opendp_does_not_vouch_for_is_refused(noise: Noise) -> None:
    with pytest.raises(InternalError):
        Mechanism(noise)


def test_drawing_lets_other_threads_run() -> None:
    mechanism = mechanism_for(Noise(5, 0.5))
    true = np.zeros(100_000, np.int64)
    thread = threading.Thread(target=mechanism.draw, args=(true,))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    # The whole takes half a second or more. With the interpreter's lock held there would be hardly any turn.
    assert turns > 20
