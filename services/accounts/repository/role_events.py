"""What is announced of roles: which one, given or taken, and nobody's name. It rides in the document that changes."""

from __future__ import annotations

from collections.abc import Iterable

from libs.docstore.store import Event
from libs.runtime.ids import new_id
from protos.events.v1.events_pb2 import RoleChanged
from services.accounts.domain.model import Role

ROLE_CHANGED = "role.changed.v1"


def role_events(before: Iterable[Role], after: Iterable[Role]) -> tuple[Event, ...]:
    """Return an event for each role that somebody has only `before` or only `after` a change."""
    old, new = set(before), set(after)
    return tuple(
        Event(new_id(), ROLE_CHANGED, RoleChanged(role=role.value, granted=role in new).SerializeToString())
        for role in Role
        if role in old ^ new
    )
