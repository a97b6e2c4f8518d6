"""The noise of releases, by OpenDP: exact samplers of the discrete Laplace distribution, and its privacy maps.

A unit moves all cells of a cut on one day by at most `per_unit` in sum (L1) in each of the day's terms. Noise of scale
per_unit / epsilon on every cell therefore costs it at most epsilon a term, over all windows of that day together
(Ghosh, Roughgarden, Sundararajan 2009; sampled as in Canonne, Kamath, Steinke 2020). Nothing here computes with
floating point but the scale, which is moved up until OpenDP's own map, which rounds outwards, stays within what was
debited.

Cells that are not known beforehand exist only where somebody was counted, so existing tells. They are released only if
count plus noise reach a threshold (Korolova et al. 2009; Rogers 2023, arXiv 2309.09170, whose bound OpenDP implements
as make_laplace_threshold). With t terms a unit may be alone in up to t * per_unit cells (L0) and fill any of them with
up to t * per_unit (Linf): the threshold is the smallest integer for which OpenDP's map of these three distances has a
delta of at most that of the cut. Each number of terms a day has seen pays one delta, and so t terms pay at most t of
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray
from opendp.mod import OpenDPException

from libs.runtime.errors import InternalError

# What OpenDP calls so is reviewed by its maintainers, and not yet vetted in full: every mechanism there is.
dp.enable_features("contrib")

CONFIDENCE = 0.95
_STEPS = 64
_MOST = 1 << 40

Counts: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Noise:
    """What the noise of a cut must hide. `delta` 0: all cells are known. `terms`: of the day so far, at least 1."""

    per_unit: int
    epsilon: float
    delta: float = 0.0
    terms: int = 1


def exactly(amount: float) -> Fraction:
    """Return the decimal number that policy.yaml says, not the binary one beside it."""
    return Fraction(repr(amount))


class Mechanism:
    """Draws the noise of one cut. Made by `mechanism_for`."""

    def __init__(self, noise: Noise) -> None:
        """Find scale and threshold. Raises: InternalError("noise") where OpenDP does not vouch for them."""
        # OpenDP takes a scale of 0 for what it is, no noise at all; here it can only be a fault.
        sound = noise.per_unit >= 1 and 0 < noise.epsilon < math.inf and 0 <= noise.delta < 1 and noise.terms >= 1
        if not sound:
            raise InternalError("noise")
        try:
            self.scale = _scale(noise)
            self.threshold = _threshold(noise, self.scale) if noise.delta else 0
            self._measurement = _measure(self.scale, self.threshold)
        except OpenDPException as error:
            raise InternalError("noise") from error
        self.half_width = half_width(self.scale)

    def draw(self, counts: Counts) -> tuple[NDArray[np.intp], Counts]:
        """Return which cells are released, ascending, and their values. Blocks; lets other threads run.

        With a threshold only cells that somebody is counted in are considered: the others do not exist.
        Raises: InternalError("noise").
        """
        try:
            if not self.threshold:
                values = self._measurement(counts.tolist()) if len(counts) else []
                return np.arange(len(counts)), np.array(values, np.int64)
            there = np.flatnonzero(counts > 0)
            # OpenDP is told places instead of cells: it treats all alike and returns them in random order.
            drawn = (
                self._measurement(dict(zip(there.tolist(), counts[there].tolist(), strict=True))) if len(there) else {}
            )
        except OpenDPException as error:
            raise InternalError("noise") from error
        places = np.array(sorted(drawn), np.intp)
        return places, np.array([drawn[place] for place in places.tolist()], np.int64)


@lru_cache(maxsize=256)
def mechanism_for(noise: Noise) -> Mechanism:
    """Return the mechanism. Raises: InternalError("noise"): nothing may be released then."""
    return Mechanism(noise)


def half_width(scale: float) -> int:
    """Return the smallest integer t with P(|noise| <= t) >= 95 %.

    P(|X| > t) = 2 a^(t+1) / (1 + a) with a = exp(-1/scale). It is a statement about the noise of a cell, before anybody
    looks whether the cell passed a threshold.
    """
    base = math.exp(-1 / scale)

    def missed(width: int) -> float:
        return 2 * base ** (width + 1) / (1 + base)

    width = max(0, math.ceil(scale * math.log(2 / ((1 - CONFIDENCE) * (1 + base)))) - 1)
    while missed(width) > 1 - CONFIDENCE:
        width += 1
    while width and missed(width - 1) <= 1 - CONFIDENCE:
        width -= 1
    return width


def _scale(noise: Noise) -> float:
    """Return per_unit / epsilon, rounded up until OpenDP agrees that all terms cost no more than they pay."""
    scale = noise.per_unit / noise.epsilon
    for _ in range(_STEPS):
        measurement = _measure(scale, 0)
        if all(
            Fraction(measurement.map(terms * noise.per_unit)) <= terms * exactly(noise.epsilon)
            for terms in {1, noise.terms}
        ):
            return scale
        scale = math.nextafter(scale, math.inf)
    raise InternalError("noise")


def _threshold(noise: Noise, scale: float) -> int:
    """Return the smallest threshold that betrays a unit with a probability of at most delta."""
    reach = noise.terms * noise.per_unit

    def betrays(threshold: int) -> bool:
        epsilon, delta = _measure(scale, threshold).map((reach, reach, reach))
        return Fraction(delta) > exactly(noise.delta) or Fraction(epsilon) > noise.terms * exactly(noise.epsilon)

    # Whoever fills a cell alone up to a threshold within his reach is seen with a probability of one half at least.
    low, high = reach, 2 * reach
    while betrays(high):
        low, high = high, 2 * high
        if high > _MOST:
            raise InternalError("noise")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if betrays(middle) else (low, middle)
    return high


def _measure(scale: float, threshold: int) -> Any:
    if not threshold:
        return dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)
    cells = dp.map_domain(dp.atom_domain(T="u64"), dp.atom_domain(T="i64"))
    distance = dp.l01inf_distance(dp.absolute_distance(T="i64"))
    return dp.m.make_laplace_threshold(cells, distance, scale=scale, threshold=threshold)
