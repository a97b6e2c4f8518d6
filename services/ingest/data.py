"""Reads what follows 354, in the blocks in which it arrives, and believes only CRLF.

aiosmtpd reads DATA line by line, which costs more than everything else done to a large mail, and it takes almost any
line ending for one. Here a block is looked at as a whole: the end is searched for, CRs, LFs and CRLFs are counted and
must be equally many, dots are unstuffed by one replacement. What could be the beginning of an end that the next block
completes - at most four bytes - is carried over, so that no pattern is ever cut in two.

Only CRLF "." CRLF ends a mail (RFC 5321 4.1.1.4). A bare CR or LF (2.3.8) or a NUL makes it malformed at once, for two
servers that read such bytes differently can be made to see two mails where there is one. Whoever uses the reader must
then close the connection: nothing after that point has a meaning that both sides agree on.

A mail that is too large, or for which there is no room, is read to its end without being kept, so that its sender gets
to hear why; that too is bounded.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

_END = b"\r\n.\r\n"
_LINE_START = b"\r\n"
_PARTIAL_ENDS = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))


class Outcome(Enum):
    """How reading ended."""

    COMPLETE = auto()
    MALFORMED = auto()
    TOO_LARGE = auto()
    NO_ROOM = auto()
    # Too large or no room, and the end did not come within the drain limit.
    ENDLESS = auto()


class Room(Protocol):
    """What mails are admitted to; see admission.Reservation."""

    def reserve(self, size: int) -> bool:
        """Hold `size` bytes in all; False if there is no room."""

    def release(self) -> None:
        """Give everything back."""


class DataReader:
    """Takes blocks until it has an outcome. `content` is then the mail, unstuffed, without the final dot."""

    __slots__ = (
        "_begun",
        "_carry",
        "_drain_limit",
        "_drained",
        "_limit",
        "_refused",
        "_room",
        "content",
        "outcome",
        "rest",
    )

    def __init__(self, limit: int, drain_limit: int, room: Room) -> None:
        """Take the largest mail and the most to read in vain, in bytes, and what the room is asked of.

        What the mail held is given back as soon as it is refused, so that another may have it.
        """
        self.content = bytearray()
        self.outcome: Outcome | None = None
        self.rest = b""
        self._limit = limit
        self._drain_limit = drain_limit
        self._drained = 0
        self._room = room
        self._refused: Outcome | None = None
        # The first line begins where a line would after CRLF: an end may come at once. Taken off in `_keep`.
        self._carry = _LINE_START
        self._begun = False

    @property
    def refused(self) -> Outcome | None:
        """Why nothing is kept any more, while the end is still awaited."""
        return self._refused

    def take(self) -> bytearray:
        """Hand the content over; the reader keeps none of it."""
        content, self.content = self.content, bytearray()
        return content

    def feed(self, block: bytes) -> bool:
        """Take the next block, of any size; return True once there is an outcome.

        Bytes after the end of the mail are in `rest` (commands that were pipelined behind it, RFC 2920 3.1).
        """
        data = self._carry + block
        # Most blocks of an encoded attachment hold no dot at all, and looking for one byte is forty times cheaper.
        dotted = b"." in data
        end = data.find(_END) if dotted else -1
        if end >= 0:
            self.rest = data[end + len(_END) :]
            data = data[: end + 2]
        elif data.endswith(_PARTIAL_ENDS):
            held = next(len(part) for part in _PARTIAL_ENDS if data.endswith(part))
            self._carry = data[-held:]
            data = data[:-held]
        else:
            self._carry = b""
        if not is_strict(data):
            self._finish(Outcome.MALFORMED)
        elif end >= 0:
            self._keep(data.replace(b"\r\n.", _LINE_START))
            self._finish(self._refused or Outcome.COMPLETE)
        else:
            self._keep(data.replace(b"\r\n.", _LINE_START) if dotted else data)
        return self.outcome is not None

    def _keep(self, text: bytes) -> None:
        if self._refused is not None:
            self._drained += len(text)
            if self._drained > self._drain_limit:
                self._finish(Outcome.ENDLESS)
            return
        content = self.content
        if not self._begun and text:
            self._begun = True
            text = text[len(_LINE_START) :]
        size = len(content) + len(text)
        if size > self._limit:
            self._refuse(Outcome.TOO_LARGE)
        elif not self._room.reserve(size):
            self._refuse(Outcome.NO_ROOM)
        else:
            content += text

    def _refuse(self, why: Outcome) -> None:
        self._refused = why
        self._drained = len(self.content)
        self.content = bytearray()
        self._room.release()

    def _finish(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._carry = b""
        if outcome is not Outcome.COMPLETE:
            self.content = bytearray()


def is_strict(data: bytes) -> bool:
    """Tell whether every CR and LF of `data` is part of a CRLF, and no byte is NUL."""
    lines = data.count(b"\r\n")
    return data.count(b"\n") == lines and data.count(b"\r") == lines and b"\0" not in data
