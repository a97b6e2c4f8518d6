"""What mail servers say, turned into outcomes.

4xx is temporary and 5xx permanent (RFC 5321 4.2.1), with two liberties: 552 for a recipient is temporary, for old
servers say so when there are too many recipients (4.5.3.1.10), and a reply that fits no place is temporary, since
trying again costs less than a bounce that need not be. An enhanced code (RFC 3463, RFC 2034) is believed only where it
agrees with the reply code; else it is made from the code and the place.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import Enum

from services.delivery.domain.model import Outcome, Result

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|\Z)")
_MAX_TEXT = 500
_MAX_RAW = 4 * _MAX_TEXT


class Stage(Enum):
    """Where in the conversation a reply came."""

    GREETING = "greeting"
    HELLO = "hello"
    TLS = "tls"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"


# RFC 5248 has these beside the reply codes of RFC 5321.
_DEFAULTS: dict[tuple[Stage, int], str] = {
    (Stage.MAIL, 452): "4.3.1",
    (Stage.MAIL, 552): "5.3.4",
    (Stage.RCPT, 450): "4.2.0",
    (Stage.RCPT, 452): "4.5.3",
    (Stage.RCPT, 552): "4.5.3",
    (Stage.RCPT, 550): "5.1.1",
    (Stage.RCPT, 551): "5.1.6",
    (Stage.RCPT, 553): "5.1.3",
    (Stage.CONTENT, 452): "4.3.1",
    (Stage.CONTENT, 552): "5.3.4",
    (Stage.CONTENT, 554): "5.6.0",
}
_BY_CODE = {421: "4.3.2", 451: "4.3.0", 521: "5.3.2", 556: "5.1.10", 555: "5.5.4"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of one or several lines, codes taken off."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether it says that what was asked is done."""
        return 200 <= self.code < 300


def read_outcome(reply: Reply, stage: Stage, host: str) -> Outcome:
    """Return what `reply` means for whom it concerns."""
    text = clean(" ".join(reply.lines))
    enhanced = _ENHANCED.match(reply.lines[0].strip() if reply.lines else "")
    result = _result(reply.code, stage, enhanced)
    digit = {Result.DELIVERED: "2", Result.TEMPORARY: "4", Result.PERMANENT: "5"}[result]
    if enhanced and enhanced[1] == digit:
        status = f"{digit}.{int(enhanced[2])}.{int(enhanced[3])}"
    elif result is Result.TEMPORARY and not 400 <= reply.code < 600:
        status = "4.5.0"
    else:
        status = _DEFAULTS.get((stage, reply.code)) or _BY_CODE.get(reply.code) or f"{digit}.0.0"
    return Outcome(result, reply.code, status, text, host)


def temporary(status: str, text: str, host: str = "", *, elsewhere: bool = True) -> Outcome:
    """Return the outcome of something that did not come to a reply; the destination's fault unless told otherwise."""
    return Outcome(Result.TEMPORARY, 0, status, text, host, elsewhere)


def permanent(status: str, text: str, host: str = "") -> Outcome:
    """Return the outcome of something that never will."""
    return Outcome(Result.PERMANENT, 0, status, text, host)


def of_destination(outcome: Outcome) -> Outcome:
    """Return `outcome` as one that says nothing about the recipient."""
    return replace(outcome, elsewhere=True)


def clean(text: str) -> str:
    """Return `text` on one line without what could steer a terminal or reorder what is read, at most 500 characters."""
    text = text[:_MAX_RAW]
    if text.isascii() and text.isprintable():
        return " ".join(text.split())[:_MAX_TEXT]
    kept = (" " if unicodedata.category(sign) in _UNWANTED else sign for sign in text)
    return " ".join("".join(kept).split())[:_MAX_TEXT]


# Control, format (bidirectional overrides for one), surrogates, line and paragraph separators.
_UNWANTED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def _result(code: int, stage: Stage, enhanced: re.Match[str] | None) -> Result:
    if 200 <= code < 300:
        return Result.DELIVERED
    if not 500 <= code < 600:
        return Result.TEMPORARY
    too_many = code == 552 and stage is Stage.RCPT and (enhanced is None or enhanced[0] in ("5.5.3", "5.0.0"))
    return Result.TEMPORARY if too_many else Result.PERMANENT
