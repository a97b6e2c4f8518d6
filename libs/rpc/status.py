"""The one table between the error tree and gRPC statuses, used in both directions.

The code decides the status, the reason travels in trailing metadata, because a status message is free text and
programs must not parse it. What does not come from our own code (gRPC itself: no connection, deadline, size limit) is
mapped by a second table, so that a caller only ever sees the tree. The text of a cause never travels.
"""

from __future__ import annotations

import math
import re
from typing import Any

import grpc

from libs.runtime.errors import InternalError, InvalidError, SealpostError, from_code

REASON = "sealpost-reason"
RETRY_AFTER = "sealpost-retry-after"

STATUS_BY_CODE: dict[str, grpc.StatusCode] = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "conflict": grpc.StatusCode.ALREADY_EXISTS,
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "denied": grpc.StatusCode.PERMISSION_DENIED,
    "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "internal": grpc.StatusCode.INTERNAL,
}

_CODE_BY_STATUS = {status: code for code, status in STATUS_BY_CODE.items()}

# Statuses that gRPC makes by itself, without our reason: (code, reason).
_WITHOUT_REASON: dict[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAVAILABLE: ("unavailable", "unreachable"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("unavailable", "deadline"),
    grpc.StatusCode.CANCELLED: ("unavailable", "cancelled"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("exhausted", "rpc_limit"),
    grpc.StatusCode.UNAUTHENTICATED: ("unauthenticated", "unauthenticated"),
    grpc.StatusCode.PERMISSION_DENIED: ("denied", "denied"),
    grpc.StatusCode.UNIMPLEMENTED: ("internal", "unimplemented"),
}

_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_LONGEST_RETRY = 86400.0


def status_of(error: SealpostError) -> grpc.StatusCode:
    """Return the status for `error`; INTERNAL for a code that is not in the table."""
    return STATUS_BY_CODE.get(error.code, grpc.StatusCode.INTERNAL)


def reason_of(error: SealpostError) -> str:
    """Return the reason that may travel: a word, or "unspecified" where somebody put other text into it."""
    return error.reason if _WORD.match(error.reason) else "unspecified"


def trailing_metadata(error: SealpostError) -> tuple[tuple[str, str], ...]:
    """Return the trailing metadata that `from_rpc_error` reads on the other side."""
    reason = (REASON, reason_of(error))
    if error.retry_after is None or not math.isfinite(error.retry_after):
        return (reason,)
    seconds = min(max(error.retry_after, 0.0), _LONGEST_RETRY)
    return (reason, (RETRY_AFTER, f"{seconds:.3f}"))


def from_rpc_error(error: grpc.aio.AioRpcError) -> SealpostError:
    """Return the error of the tree that a failed call stands for."""
    received: Any = error.trailing_metadata() or ()
    metadata: dict[str, str | bytes] = dict(received)
    reason = metadata.get(REASON)
    code = _CODE_BY_STATUS.get(error.code())
    if code is not None and isinstance(reason, str) and _WORD.match(reason):
        translated = from_code(code, reason)
        translated.retry_after = _seconds(metadata.get(RETRY_AFTER))
        return translated
    return _without_reason(error)


def _without_reason(error: grpc.aio.AioRpcError) -> SealpostError:
    status = error.code()
    # The same status means "too many" and "too large"; only gRPC's own text tells them apart, and the difference
    # matters: too large will never fit, too many will.
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in (error.details() or ""):
        return InvalidError("message_too_large")
    known = _WITHOUT_REASON.get(status)
    return from_code(*known) if known is not None else InternalError("internal")


def _seconds(text: str | bytes | None) -> float | None:
    try:
        seconds = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _LONGEST_RETRY else None
