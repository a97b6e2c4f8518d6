"""The marker of a delivery to several recipients: one document whose insertion decides whether all copies are seen.

Its key is the delivery id, so there can be only one: `committed` (copies are being shown), then `finished`; or else
`aborted`. `due` is when recovery looks at it: soon while committed, after a day to forget it otherwise. Which copies
there were is needed while they are being shown; afterwards a digest of their keys tells whether a retry is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

from libs.docstore.store import Body, Document, Insert, Patch, Written
from libs.runtime.errors import ConflictError, InternalError, NotFoundError, SealpostError, UnavailableError
from services.storage.repository import DELIVERIES, text

STAGED_SECONDS = 15 * 60
REVEAL_SECONDS = 10
FINISHED_SECONDS = 24 * 3600

COMMITTED, FINISHED, ABORTED = "committed", "finished", "aborted"


def commit(delivery_id: str, keys: Sequence[str], now: int) -> Insert:
    """Return the operation that decides for the delivery."""
    due = now + REVEAL_SECONDS
    body: Body = {"state": COMMITTED, "copies": list(keys), "same": _digest(keys), "due": due}
    return Insert(DELIVERIES, delivery_id, body)


def abort(delivery_id: str, now: int) -> Insert:
    """Return the operation that decides against the delivery."""
    return Insert(DELIVERIES, delivery_id, {"state": ABORTED, "due": now + FINISHED_SECONDS})


def finish(delivery_id: str, now: int) -> Patch:
    """Return the operation that notes that all copies are shown."""
    fields: Body = {"state": FINISHED, "due": now + FINISHED_SECONDS, "copies": None}
    return Patch(DELIVERIES, delivery_id, fields)


def postpone(delivery_id: str, now: int) -> Patch:
    """Return the operation that has recovery look again later, not at once."""
    return Patch(DELIVERIES, delivery_id, {"due": now + 2 * REVEAL_SECONDS})


def copies(marker: Document) -> list[str]:
    """Return the keys of the messages of a delivery that is committed and not finished."""
    return cast("list[str]", marker.body.get("copies") or [])


def _digest(keys: Sequence[str]) -> bytes:
    return hashlib.sha256("\n".join(sorted(set(keys))).encode()).digest()


def state(marker: Document) -> str:
    """Return COMMITTED, FINISHED or ABORTED."""
    return text(marker.body, "state")


def is_same(marker: Document | None, keys: Sequence[str]) -> bool:
    """Tell whether `marker` has decided for a delivery of exactly these copies."""
    if marker is None:
        return False
    # Markers of before there were digests have the keys for a day.
    digest = marker.body.get("same") or _digest(copies(marker))
    return digest == _digest(keys)


def is_finished(marker: Document | None, keys: Sequence[str]) -> bool:
    """Tell whether the marker that another attempt has left is finished; if not, the copies are to be shown.

    Raises:
        UnavailableError: it is gone again.
        ConflictError: the delivery was aborted, or the marker belongs to another one.
    """
    if marker is None:
        raise UnavailableError("delivery_changed")
    if state(marker) == ABORTED:
        raise ConflictError("delivery_aborted")
    if not is_same(marker, keys):
        raise ConflictError("delivery_id")
    return state(marker) == FINISHED


def is_settled(message: Document | None) -> bool:
    """Tell whether a message needs no more: it is listed, or was deleted and left a tombstone."""
    return message is not None and (message.body.get("listed") is not None or bool(message.body.get("gone")))


def check_copy(message: Document | None, delivery_id: str) -> None:
    """Raise unless the document that took a copy's place is that copy. `delivery_id` is "" for a single recipient.

    UnavailableError where it is gone again, ConflictError where it is a staged copy of another delivery.
    """
    if message is None:
        raise UnavailableError("message_changed")
    if not is_settled(message) and text(message.body, "delivery") != delivery_id:
        raise ConflictError("message_id")


def is_revealed(result: Written | Exception) -> bool:
    """Tell whether a reveal needs no more: done now, done before, or the message has been deleted since."""
    return isinstance(result, Written | ConflictError | NotFoundError)


def as_error(result: Written | Exception) -> SealpostError:
    """Return the error in `result`, which is one."""
    return result if isinstance(result, SealpostError) else InternalError("storage_fault")
