"""The error tree that every domain raises and no wire knows.

Each error carries two texts: the `reason`, a stable word that programs may act on and that is safe to show to anybody,
and the cause (`raise ... from`), which stays inside. One table (libs.rpc.status) turns the tree into gRPC statuses and
back; the edges (SMTP, HTTP) have one table each. An error that is not in the tree is unknown, and unknown is temporary.
"""

from __future__ import annotations


class SealpostError(Exception):
    """Base of the tree. `code` names the class on the wire; `reason` is a snake_case word without user data."""

    code = "internal"

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        """Take the stable word and, where it makes sense, the seconds after which trying again may help."""
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class InvalidError(SealpostError):
    """The input can never be accepted as it is."""

    code = "invalid"


class NotFoundError(SealpostError):
    """No such thing, or not the caller's: both look the same."""

    code = "not_found"


class ConflictError(SealpostError):
    """It exists already, or has changed since it was read."""

    code = "conflict"


class UnauthenticatedError(SealpostError):
    """Nobody is behind this proof."""

    code = "unauthenticated"


class DeniedError(SealpostError):
    """Somebody, but not allowed."""

    code = "denied"


class ExhaustedError(SealpostError):
    """A quota, a rate or a buffer is full."""

    code = "exhausted"


class UnavailableError(SealpostError):
    """Cannot be done now; trying again is right. Nothing has been lost."""

    code = "unavailable"


class InternalError(SealpostError):
    """A fault of ours. Treated like unavailable by whoever holds the user's data."""

    code = "internal"


BY_CODE: dict[str, type[SealpostError]] = {
    kind.code: kind
    for kind in (
        InvalidError,
        NotFoundError,
        ConflictError,
        UnauthenticatedError,
        DeniedError,
        ExhaustedError,
        UnavailableError,
        InternalError,
    )
}


def from_code(code: str, reason: str) -> SealpostError:
    """Return the error that `code` names, InternalError where the code is not one of ours."""
    return BY_CODE.get(code, InternalError)(reason)
