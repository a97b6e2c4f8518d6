"""What travels beside an event's payload: its id, by which JetStream drops duplicates too, and the trace."""

from __future__ import annotations

from collections.abc import Mapping

from libs.docstore.store import Event
from libs.telemetry import traces

EVENT_ID = "Nats-Msg-Id"
_MAX_ID = 100


def headers_of(event: Event) -> dict[str, str]:
    """Return the NATS headers to publish `event` with, the current trace context among them."""
    return {EVENT_ID: event.event_id, **traces.inject()}


def event_of(subject: str, headers: Mapping[str, str] | None, payload: bytes) -> Event | None:
    """Return the event of a message, None if it carries no id of ours (then it is not an event)."""
    event_id = (headers or {}).get(EVENT_ID, "")
    if not 0 < len(event_id) <= _MAX_ID or not event_id.isascii():
        return None
    return Event(event_id, subject, payload)


def event_type(subject: str) -> str:
    """Return what may be said of an event in logs and metrics: its subject, which holds no ids."""
    return subject
