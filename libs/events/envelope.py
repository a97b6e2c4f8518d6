"""What travels beside an event's payload: its id, by which JetStream drops duplicates too, and the trace."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context

from libs.docstore.store import Event
from libs.telemetry import traces

EVENT_ID = "Nats-Msg-Id"
TRACE = "traceparent"
_MAX_ID = 100


def headers_of(event: Event) -> dict[str, str]:
    """Return the NATS headers to publish `event` with, the trace of its cause among them."""
    return {EVENT_ID: event.event_id, **({TRACE: event.trace} if event.trace else traces.inject())}


def event_of(subject: str, headers: Mapping[str, str] | None, payload: bytes) -> Event | None:
    """Return the event of a message, None if it carries no id of ours (then it is not an event)."""
    given = headers or {}
    event_id = given.get(EVENT_ID, "")
    if not 0 < len(event_id) <= _MAX_ID or not event_id.isascii():
        return None
    return Event(event_id, subject, payload, given.get(TRACE, ""))


def trace_of(event: Event) -> Context:
    """Return the trace context in which `event` is handled."""
    return traces.extract({TRACE: event.trace})


def event_type(subject: str) -> str:
    """Return what may be said of an event in logs and metrics: its subject, which holds no ids."""
    return subject
