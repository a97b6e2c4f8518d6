"""Ids of events that are the same whenever the same thing is told again."""

from __future__ import annotations

import hashlib

from services.delivery.domain.ports import Kind


def event_id_of(mail_id: str, index: int, kind: Kind, attempt: int = 0) -> str:
    """Return the id (32 hexadecimal digits) of what happened to recipient `index` of a mail.

    A deferral can happen at each attempt and is told apart by its number; everything else happens once.
    """
    return hashlib.sha256(f"{mail_id}/{index}/{kind.value}/{attempt}".encode()).hexdigest()[:32]
