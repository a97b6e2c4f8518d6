"""A mail as text: the fields that people look at, then the text part, then what is attached.

Deliberately plain: HTML is reduced to its words, nothing is loaded, nothing is opened. What the standard parser cannot
take (nesting without end) is shown as it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import HeaderParseError, MessageError
from email.header import decode_header, make_header
from email.message import Message
from html.parser import HTMLParser

_SHOWN = ("From", "To", "Cc", "Date", "Subject", "Authentication-Results")
_OF_SERVER = ("Authentication-Results",)
_MAX_PARTS = 1000
_MAX_TEXT = 1_000_000
_SILENT = {"script", "style", "head", "title", "template"}
_BREAKS = {"p", "br", "div", "tr", "li", "h1", "h2", "h3", "h4", "blockquote", "table", "ul", "ol", "hr"}


def as_text(mail: bytes, inner: bytes | None = None, mark: str = "") -> str:
    """Return a mail for reading. The result is what strangers wrote: not safe for a terminal yet.

    Where `inner` stood in it, encrypted or signed (layers), that is shown; of the fields around it those alone that are
    missing inside, and what our server found, each with `mark` behind its name.
    """
    try:
        outer: Message = message_from_bytes(mail, policy=policy.compat32)
        message: Message = outer if inner is None else message_from_bytes(inner, policy=policy.compat32)
        parts = list(_parts(message))
    except (RecursionError, MessageError, ValueError):
        return (mail if inner is None else inner)[:_MAX_TEXT].decode("utf-8", "replace")
    fields = []
    for name in _SHOWN:
        # Only those in front of the mail are of our server.
        inside = message.get_all(name, []) if inner is None or name not in _OF_SERVER else []
        fields += [f"{name}: {_field(value)}" for value in inside]
        if inner is not None and not inside:
            fields += [f"{name}{mark}: {_field(value)}" for value in outer.get_all(name, [])]
    attached = [f"[attached: {_name(part)}, {part.get_content_type()}]" for part in parts if _is_attached(part)]
    text = _text([part for part in parts if not _is_attached(part)])
    return "\n".join(fields) + "\n\n" + text.rstrip("\n") + "\n" + "".join(f"\n{line}" for line in attached)


def _parts(message: Message) -> Iterator[Message]:
    """Yield the leaves; an endless mail is cut."""
    waiting = [message]
    for _ in range(_MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        inner = part.get_payload() if part.is_multipart() and part.get_content_maintype() == "multipart" else None
        if isinstance(inner, list):
            waiting[:0] = [child for child in inner if isinstance(child, Message)]
        else:
            yield part


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text"


def _text(parts: list[Message]) -> str:
    plain = [part for part in parts if part.get_content_subtype() == "plain"]
    if plain:
        return "\n".join(_decoded(part) for part in plain)
    return "\n".join(_words(_decoded(part)) for part in parts)


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload[:_MAX_TEXT] if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _field(value: object) -> str:
    raw = " ".join(str(value).split())
    try:
        return " ".join(str(make_header(decode_header(raw))).split())
    except (HeaderParseError, ValueError, LookupError):
        return raw


def _name(part: Message) -> str:
    try:
        return _field(part.get_filename("without a name"))
    except (ValueError, LookupError):
        return "without a name"


def _words(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    reader.close()
    lines = ("".join(reader.pieces)).split("\n")
    return "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)


class _Words(HTMLParser):
    """Collects text, breaks lines where blocks end, and leaves out what a page would not show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT and not self._silent:
            self._silent = tag
        if tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""
        if tag in _BREAKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data.replace("\n", " "))
