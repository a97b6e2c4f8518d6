"""Tells two inputs apart by what a mechanism makes of them, and says how sure it is: the audit of a privacy claim.

For every event of a family (a value at or above a threshold, and below it) the probabilities under both inputs are
bounded from their frequencies by Clopper and Pearson (1934), exactly, at a confidence that all bounds share
(Bonferroni). If P(event) under one input certainly exceeds e^epsilon times that under the other plus delta, the claim
is false. The quantiles of the beta distribution come from its continued fraction (Numerical Recipes, 6.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_ROUNDS = 60
_TINY = 1e-300
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


@dataclass(frozen=True)
class Verdict:
    """`epsilon`: what the draws prove it to be at least; `delta`: the same of delta, if epsilon is as claimed."""

    epsilon: float
    delta: float


Draws = NDArray[np.int64]


def audit(pair: tuple[Draws, Draws], epsilon: float, delta: float, confidence: float) -> Verdict:
    """Compare draws under two inputs in both directions, by every threshold that a draw has."""
    thresholds = np.unique(np.concatenate(pair))
    shares = [_shares(draws, thresholds) for draws in pair]
    # Two bounds for each event and input.
    miss = (1 - confidence) / (4 * shares[0].size)
    low = [lower(hits, len(draws), miss) for hits, draws in zip(shares, pair, strict=True)]
    high = [upper(hits, len(draws), miss) for hits, draws in zip(shares, pair, strict=True)]
    proven_epsilon, proven_delta = 0.0, 0.0
    for first, second in ((0, 1), (1, 0)):
        excess = low[first] - delta
        found = excess > 0
        if found.any():
            proven_epsilon = max(proven_epsilon, float(np.log(excess[found] / high[second][found]).max()))
        proven_delta = max(proven_delta, float((low[first] - math.exp(epsilon) * high[second]).max()))
    return Verdict(proven_epsilon, proven_delta)


def _shares(draws: Draws, thresholds: Draws) -> Numbers:
    below = np.searchsorted(np.sort(draws), thresholds, side="left").astype(np.float64)
    return np.concatenate([below, len(draws) - below])


def lower(hits: Numbers, trials: int, miss: float) -> Numbers:
    """Return what a probability is at least, but for a chance of `miss`."""
    return np.where(hits == 0, 0.0, _quantile(np.maximum(hits, 1), trials - hits + 1, miss))


def upper(hits: Numbers, trials: int, miss: float) -> Numbers:
    """Return what a probability is at most, but for a chance of `miss`."""
    return np.where(hits == trials, 1.0, _quantile(hits + 1, np.maximum(trials - hits, 1), 1 - miss))


def _quantile(a: Numbers, b: Numbers, level: float) -> Numbers:
    """Return x with I_x(a, b) = level, by bisection around the mean."""
    mean = a / (a + b)
    reach = 12 * np.sqrt(mean * (1 - mean) / (a + b)) + 60 / (a + b)
    low, high = np.maximum(0.0, mean - reach), np.minimum(1.0, mean + reach)
    scale = _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        above = _beta(middle, a, b, scale) > level
        low, high = np.where(above, low, middle), np.where(above, middle, high)
        if float((high - low).max()) < 1e-12:
            break
    return (low + high) / 2


def _beta(x: Numbers, a: Numbers, b: Numbers, scale: Numbers) -> Numbers:
    """Return the regularized incomplete beta function."""
    x = np.clip(x, 1e-15, 1 - 1e-15)
    front = np.exp(scale + a * np.log(x) + b * np.log1p(-x))
    mirrored = x > (a + 1) / (a + b + 2)
    p, q, y = np.where(mirrored, b, a), np.where(mirrored, a, b), np.where(mirrored, 1 - x, x)
    part = front * _fraction(y, p, q) / p
    return np.where(mirrored, 1 - part, part)


def _fraction(x: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """Return the continued fraction by Lentz's method."""
    c = np.ones_like(x)
    d = 1 / _apart(1 - (a + b) * x / (a + 1))
    result = d.copy()
    for m in range(1, 20_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _apart(1 + even * d), _apart(1 + even / c)
        result *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _apart(1 + odd * d), _apart(1 + odd / c)
        step = d * c
        result *= step
        if float(np.abs(step - 1).max()) < 1e-12:
            return result
    raise ArithmeticError("the continued fraction does not converge")


def _apart(x: Numbers) -> Numbers:
    return np.where(np.abs(x) < _TINY, _TINY, x)
