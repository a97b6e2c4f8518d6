"""What may be said of an exception: class names and the place in our code. Its text may quote mail: left unread."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from libs.runtime.errors import SealpostError
from libs.telemetry.fields import word

_ROOT = str(Path(__file__).resolve().parents[2]) + "/"
_OURS = ("libs/", "services/", "tests/")
_MAX_CHAIN = 20


def describe(error: BaseException) -> dict[str, str]:
    """Return the log fields `error`, `at`, `cause` (the first exception of the chain, if another) and `reason`."""
    root = _root_cause(error)
    fields = {"error": type(error).__name__}
    place = _place(error.__traceback__) or _place(root.__traceback__)
    if place is not None:
        fields["at"] = place
    if root is not error:
        fields["cause"] = type(root).__name__
    if isinstance(error, SealpostError) and word(error.reason):
        fields["reason"] = error.reason
    return fields


def _root_cause(error: BaseException) -> BaseException:
    for _ in range(_MAX_CHAIN):
        if isinstance(error, BaseExceptionGroup):
            earlier: BaseException | None = error.exceptions[0]
        else:
            earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if earlier is None:
            break
        error = earlier
    return error


def _place(traceback: TracebackType | None) -> str | None:
    """Return file:line of the innermost frame of ours, relative to the root of the source tree."""
    place = None
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file.startswith(_ROOT) and file.startswith(_OURS, len(_ROOT)):
            place = f"{file[len(_ROOT) :]}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
