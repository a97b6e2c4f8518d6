"""Changes of staff roles, as accounts announces them, become entries of the ledger: which role, and nobody's name."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from libs.docstore.store import Event
from libs.runtime.errors import InvalidError
from protos.events.v1.events_pb2 import RoleChanged
from services.retention.domain.ports import Evidence

ROLE_CHANGED = "role.changed.v1"
DURABLE = "retention-roles"
ROLES = frozenset(("operator", "statistics", "disclosure", "production", "support"))


class Roles:
    """Handles events of role.changed.v1."""

    def __init__(self, evidence: Evidence) -> None:
        """Write into the ledger."""
        self._evidence = evidence

    async def handle(self, event: Event) -> None:
        """Write one change down; the same event again changes nothing. Raises: InvalidError, UnavailableError."""
        try:
            changed = RoleChanged.FromString(event.payload)
        except DecodeError as error:
            raise InvalidError("event_payload") from error
        if changed.role not in ROLES:
            raise InvalidError("event_payload")
        kind = "role_granted" if changed.granted else "role_revoked"
        await self._evidence.append(kind, {"role": changed.role}, once=f"role:{event.event_id}")
