"""What is shown of the health of the installation, and from which metrics it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["per_second", "seconds", "bytes", "ratio", "count"]


@dataclass(frozen=True)
class Line:
    """One series of a service; a value for each time of the report, NaN where unknown."""

    name: str
    unit: Unit
    values: tuple[float, ...]


@dataclass(frozen=True)
class ServiceReport:
    """One service: `up` processes answer of `expected`."""

    service: str
    up: int
    expected: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Report:
    """All services at the same times (Unix seconds, ascending)."""

    times: tuple[int, ...]
    services: tuple[ServiceReport, ...]


@dataclass(frozen=True)
class Source:
    """Samples of one metric: those whose label has one of the words, or all."""

    metric: str
    label: str = ""
    words: frozenset[str] = frozenset()

    def takes(self, labels: dict[str, str]) -> bool:
        """Tell whether a sample with these labels belongs."""
        return not self.label or labels.get(self.label, "") in self.words


@dataclass(frozen=True)
class Signals:
    """How the work of a service is read from its metrics (RED: rate, errors, duration; and what waits)."""

    requests: tuple[Source, ...]
    errors: tuple[Source, ...]
    # Histograms, without suffix.
    durations: tuple[Source, ...]
    # Gauges.
    queue: tuple[Source, ...] = ()


_CALLS = Source("sealpost_rpc_served_total")
_FAILED_CALLS = Source("sealpost_rpc_served_total", "outcome", frozenset({"internal", "unavailable"}))
_RPC = Signals((_CALLS,), (_FAILED_CALLS,), (Source("sealpost_rpc_served_seconds"),))
_UNPUBLISHED = Source("sealpost_events_waiting")
_UNSTORED = frozenset({"failed", "no_room"})
# Live streams last as long as somebody looks on: no duration of a request.
_ANSWERED = frozenset({"page", "accounts", "mailbox", "public", "directory", "outbound"})

SIGNALS: dict[str, Signals] = {
    "ingest": Signals(
        requests=(Source("sealpost_smtp_mails_total"), Source("sealpost_submission_mails_total")),
        errors=(
            Source("sealpost_smtp_mails_total", "outcome", _UNSTORED),
            Source("sealpost_submission_mails_total", "outcome", _UNSTORED),
        ),
        durations=(Source("sealpost_smtp_receive_seconds"), Source("sealpost_submission_seconds")),
        queue=(Source("sealpost_smtp_connections"),),
    ),
    "gateway": Signals(
        requests=(Source("sealpost_gateway_request_seconds_count"),),
        errors=(Source("sealpost_gateway_request_seconds_count", "outcome", frozenset({"failed"})),),
        durations=(Source("sealpost_gateway_request_seconds", "area", _ANSWERED),),
    ),
    "storage": Signals(_RPC.requests, _RPC.errors, _RPC.durations, (_UNPUBLISHED,)),
    "delivery": Signals(_RPC.requests, _RPC.errors, _RPC.durations, (Source("sealpost_delivery_held"),)),
}


def signals_of(service: str) -> Signals:
    """Return how `service` is read: by its RPCs where nothing else is said."""
    return SIGNALS.get(service, _RPC)
