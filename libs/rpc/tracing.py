"""Trace context through metadata (W3C Trace Context), at no cost worth naming where nobody traces.

A caller's current span becomes the parent of the span on the other side. Where neither a context arrives nor an
exporter runs, nothing is opened; where one arrives, it travels on, whether this process exports or not.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import trace

from libs.telemetry import traces


def served(method: str, context: Any) -> AbstractContextManager[None] | None:
    """Return the span around a served call, or None where there is nothing to trace."""
    for key, _ in context.invocation_metadata() or ():
        if key == "traceparent":
            parent = traces.extract(dict(context.invocation_metadata()))
            return traces.span(method[1:], parent, method=method[1:])
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return traces.span(method[1:], method=method[1:])


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """Return the metadata that carry the current span to the other side, or None if there is none."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    return tuple(traces.inject().items())
