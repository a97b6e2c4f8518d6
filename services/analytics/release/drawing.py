"""Makes a release of the counts of a cut: all known cells or those above the threshold, with noise. Blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from libs.policy.model import Cut, Metric, Policy
from services.analytics.domain.ports import CellCounts, CutId
from services.analytics.release.budget import Price
from services.analytics.release.mechanism import Noise, exactly, mechanism_for
from services.analytics.release.outcomes import NO_CODES, NO_KEYS, Cells, Place, Released, Terms

Draw: TypeAlias = Callable[[NDArray[np.int64]], tuple[NDArray[np.intp], NDArray[np.int64]]]


@dataclass(frozen=True)
class Subject:
    """A cut with all that is declared of it."""

    metric_name: str
    cut_name: str
    metric: Metric
    cut: Cut

    @property
    def id(self) -> CutId:
        """Its names."""
        return self.metric_name, self.cut_name

    @property
    def price(self) -> Price:
        """What one term costs."""
        return Price(self.metric_name, self.cut_name, self.metric.per_unit, self.cut.epsilon, self.cut.delta)

    @property
    def dimensions(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Names and vocabularies, in the order of the cut."""
        return tuple((name, self.metric.dimensions[name]) for name in self.cut.dimensions)


def subjects_of(policy: Policy) -> list[Subject]:
    """Return all cuts of a policy, sorted by name."""
    return [
        Subject(metric_name, cut_name, metric, cut)
        for metric_name, metric in sorted(policy.metrics.items())
        for cut_name, cut in sorted(metric.cuts.items())
    ]


def check_noise(policy: Policy) -> None:
    """Have OpenDP vouch for the noise of every cut. Raises: InternalError("noise") if it does not for one."""
    for subject in subjects_of(policy):
        mechanism_for(Noise(subject.metric.per_unit, subject.cut.epsilon, subject.cut.delta))


def draw(subject: Subject, place: Place, counts: CellCounts | None, terms: int, now: int) -> Released:
    """Draw the noise of one cut in one window, whose debit has been made. `counts` None: nobody was counted.

    Counts outside of the vocabularies are left out. Raises: InternalError("noise").
    """
    cut = subject.cut
    mechanism = mechanism_for(Noise(subject.metric.per_unit, cut.epsilon, cut.delta, terms))
    size = subject.metric.size(cut)
    cells = _thresholded(mechanism.draw, counts, size) if mechanism.threshold else _dense(mechanism.draw, counts, size)
    noise = Terms(
        epsilon=float(terms * exactly(cut.epsilon)),
        delta=float(terms * exactly(cut.delta)),
        threshold=mechanism.threshold,
        scale=mechanism.scale,
        half_width=mechanism.half_width,
    )
    return Released(place, noise, subject.dimensions, cells, now)


def _dense(draw: Draw, counts: CellCounts | None, size: int) -> Cells:
    true = np.zeros(size, np.int64)
    if counts is not None:
        inside = counts.codes < size
        np.add.at(true, counts.codes[inside], counts.counts[inside])
    _, values = draw(true)
    return Cells(values, NO_CODES, NO_KEYS)


def _thresholded(draw: Draw, counts: CellCounts | None, size: int) -> Cells:
    if counts is None:
        return Cells(np.zeros(0, np.int64), NO_CODES, NO_KEYS)
    inside = counts.codes < size
    keys, codes, true = counts.keys[inside], counts.codes[inside], counts.counts[inside]
    places, values = draw(true)
    return Cells(values, codes[places], keys[places] if keys.any() else NO_KEYS)
