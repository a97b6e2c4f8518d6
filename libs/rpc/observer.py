"""Outcomes of calls as metrics and log lines, on both sides.

The series of a method and an outcome is looked up once and kept: what is left for a call is two additions.
"""

from __future__ import annotations

from collections.abc import Callable

from libs.runtime.errors import BY_CODE
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

_OUTCOMES = ("ok", "cancelled", "aborted", *BY_CODE)

SERVED = metrics.counter("sealpost_rpc_served_total", "Calls served.", {"method": (), "outcome": _OUTCOMES})
SERVED_SECONDS = metrics.histogram("sealpost_rpc_served_seconds", "From admission to outcome.", {"method": ()})
MADE = metrics.counter("sealpost_rpc_made_total", "Calls made to others.", {"method": (), "outcome": _OUTCOMES})
MADE_SECONDS = metrics.histogram("sealpost_rpc_made_seconds", "From start to outcome.", {"method": ()})

_log = get_logger("rpc")


class _Calls:
    def __init__(self, total: metrics.Counter, seconds: metrics.Histogram) -> None:
        self._total = total
        self._seconds = seconds
        self._series: dict[tuple[str, str], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def declare(self, method: str) -> None:
        """Make `method` ("/package.Service/Method") known, before its first call."""
        self._total.allow("method", [_label(method)])
        self._seconds.allow("method", [_label(method)])

    def finished(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call and the time it took."""
        series = self._series.get((method, outcome))
        if series is None:
            label = _label(method)
            total, histogram = self._total.labels(method=label, outcome=outcome), self._seconds.labels(method=label)
            series = self._series[method, outcome] = (total.inc, histogram.observe)
        series[0]()
        series[1](seconds)


class ServerObserver(_Calls):
    """Counts served calls and logs what went wrong inside them."""

    def __init__(self) -> None:
        """Count in SERVED."""
        super().__init__(SERVED, SERVED_SECONDS)

    def failed(self, method: str, error: BaseException) -> None:
        """Log an exception that is not of the tree: class and place."""
        _log.error("rpc_failed", method=_label(method), error=error)


class ClientObserver(_Calls):
    """Counts calls made to others."""

    def __init__(self) -> None:
        """Count in MADE."""
        super().__init__(MADE, MADE_SECONDS)


def _label(method: str) -> str:
    return method.removeprefix("/")
