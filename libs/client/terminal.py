"""Text for terminals: what strangers wrote must not steer the terminal that shows it.

A mail can carry escape sequences that move the cursor, set the title, or write into the clipboard, and letters that
turn the direction of a line around so that one file type looks like another. All of them are shown as escapes.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Format characters (category Cf) that joined letters and emoji need; the others are shown.
_JOINERS = {"\u200c", "\u200d"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_STAGES = {"derive": "Deriving keys", "list": "Opening mails", "download": "Loading mail", "send": "Sending"}


def one_line(text: str) -> str:
    """Return `text` safe for a terminal, on one line."""
    return "".join(character if _is_plain(character) else _escaped(character) for character in text)


def lines(text: str) -> str:
    """Return `text` safe for a terminal; its line ends and tabs stay."""
    return "".join(
        character if character in "\n\t" or _is_plain(character) else _escaped(character)
        for character in text.replace("\r\n", "\n")
    )


def width(text: str) -> int:
    """Return how many columns `text` takes."""
    return sum(_columns(character) for character in text)


def fitted(text: str, columns: int) -> str:
    """Return `text` safe and exactly `columns` wide: cut with an ellipsis, or filled up."""
    text = one_line(text)
    if width(text) > columns:
        used, kept = 0, ""
        for character in text:
            used += _columns(character)
            if used > columns - 1:
                break
            kept += character
        text = kept + "…"
    return text + " " * (columns - width(text))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """Yield the lines of a table at most `columns` wide; the last column takes what is left."""
    sizes = [max(width(one_line(row[at])) for row in (head, *rows)) for at in range(len(head))]
    sizes[1:-1] = [min(size, 32) for size in sizes[1:-1]]
    sizes[-1] = max(10, min(sizes[-1], columns - sum(sizes[:-1]) - 2 * (len(head) - 1)))
    for row in (head, *rows):
        yield "  ".join(fitted(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip()


class ProgressBar:
    """A libs.client.model.Progress on standard error; silent unless that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Draw on `stream`, once there is something to draw: until then the terminal is for prompts."""
        self._stream = stream or sys.stderr
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show how far `stage` is."""
        if not self._stream.isatty():
            return
        if self._bars is None:
            self._bars = _bars(self._stream)
            self._bars.start()
        if self._task is None or stage != self._stage:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task, self._stage = self._bars.add_task(_STAGES.get(stage, stage), total=total), stage
        self._bars.update(self._task, completed=done, total=total)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None


def _bars(stream: TextIO) -> Progress:
    # Only a terminal needs it, and scripts start faster without.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(file=stream),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def envelope_row(envelope: Mapping[str, object] | None) -> tuple[str, str]:
    """Return sender and subject of an envelope as they are listed; both as strangers wrote them."""
    if envelope is None:
        return "?", "(does not open with this key)"
    sender = envelope.get("from")
    name = ""
    if isinstance(sender, Mapping):
        name = str(sender.get("name") or sender.get("address") or "")
    return name, str(envelope.get("subject") or "(no subject)")


def _is_plain(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _HIDDEN


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def _columns(character: str) -> int:
    if unicodedata.combining(character) or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
