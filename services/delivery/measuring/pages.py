"""Where the links of a mail's HTML are, and the same mail with other ones: nothing else of it changes.

The HTML is read by the standard library's tokenizer, which knows what is a tag and what only looks like one, and is cut
into what stays and what is replaced. A part that could not be written back exactly as it was - an unknown charset,
characters it does not hold, lines too long for its transfer encoding - stays as it came, and so do mails that are
signed or encrypted by whoever wrote them: a changed link would break what they promise.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from libs.mail.letter import Letter
from libs.mail.mime import Part, decoded, leaves
from services.delivery.measuring.links import MAX_TARGET

_MAX_PARTS = 50
_MAX_HTML = 1024 * 1024
_MAX_LINKS = 500
_LINE = 998
_HREF = re.compile(r"""(?<![\w-])href\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_SEALED = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_ENCODINGS = ("", "7bit", "8bit", "base64", "quoted-printable")


@dataclass(frozen=True)
class Writing:
    """What stands in the mail of one recipient: `link` makes of a target the URL in its place, `end` ends the page."""

    link: Callable[[str], str]
    end: str


@dataclass(frozen=True)
class _Page:
    """An HTML part: text between targets, one piece more than there are targets; `end`: where the end goes in it."""

    part: Part
    charset: str
    pieces: Sequence[str]
    targets: Sequence[str]

    def render(self, writing: Writing) -> bytes | None:
        """Return the part for one recipient in its transfer encoding, None if it cannot be written so."""
        text = self.pieces[0]
        for target, piece in zip(self.targets, self.pieces[1:], strict=True):
            text += f'"{writing.link(target)}"{piece}'
        return _encode(_with_end(text, writing.end), self.charset, self.part.encoding)


@dataclass(frozen=True)
class Measurable:
    """A mail in which something can be measured."""

    content: bytes
    pages: Sequence[_Page]

    def render(self, writing: Writing) -> bytes:
        """Return the mail for one recipient."""
        written, end = [], 0
        for page in self.pages:
            new = page.render(writing)
            if new is not None:
                written += [self.content[end : page.part.start], new]
                end = page.part.end
        return b"".join([*written, self.content[end:]])


def find(content: bytes, clicks: bool, spare: Callable[[str], bool]) -> Measurable | None:
    """Return what can be measured in a mail (complete, CRLF), None if nothing.

    `clicks`: whether links are to be replaced; those that `spare` answers True for stay.
    """
    letter = Letter(bytearray(content))
    if not letter.readable:
        return None
    parts = leaves(letter.content, letter.fields, letter.body, _MAX_PARTS)
    top = letter.fields.first(b"content-type").partition(";")[0].strip().lower()
    if top in _SEALED or any(part.type in (*_SEALED, "application/pgp-signature") for part in parts):
        return None
    pages = [page for part in parts if (page := _page(letter, part, clicks, spare)) is not None]
    return Measurable(content, pages) if pages else None


def _page(letter: Letter, part: Part, clicks: bool, spare: Callable[[str], bool]) -> _Page | None:
    size = part.end - part.start
    if part.type != "text/html" or part.disposition == "attachment" or not 0 < size <= _MAX_HTML:
        return None
    if part.encoding not in _ENCODINGS:
        return None
    charset = part.parameters.get("charset", "utf-8")
    try:
        text = decoded(letter.content, part, size).decode(charset)
        codecs.lookup(charset).encode("")
    except (LookupError, UnicodeError, binascii.Error):
        return None
    if not clicks:
        return _Page(part, charset, [text], [])
    finder = _Finder(text, spare)
    return _Page(part, charset, *finder.cut())


class _Finder(HTMLParser):
    """Finds the targets of links, with their places in the text."""

    def __init__(self, text: str, spare: Callable[[str], bool]) -> None:
        super().__init__(convert_charrefs=False)
        self._text = text
        self._spare = spare
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._found: list[tuple[int, int, str]] = []

    def cut(self) -> tuple[list[str], list[str]]:
        """Return the text between targets, and the targets."""
        self.feed(self._text)
        self.close()
        pieces, targets, end = [], [], 0
        for start, stop, target in self._found:
            pieces.append(self._text[end:start])
            targets.append(target)
            end = stop
        return [*pieces, self._text[end:]], targets

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the target of a link to elsewhere."""
        source = self.get_starttag_text() or ""
        if tag not in ("a", "area") or len(self._found) >= _MAX_LINKS:
            return
        places = list(_HREF.finditer(source))
        named = [value for name, value in attrs if name == "href" and value is not None]
        # What two readers could take differently stays.
        if len(places) != 1 or len(named) != 1:
            return
        written, target = places[0][1], named[0].strip()
        if html.unescape(written.strip("\"'")).strip() != target:
            return
        if not target.lower().startswith(("https://", "http://")) or len(target) > MAX_TARGET or self._spare(target):
            return
        if any(sign <= " " or sign == "\x7f" for sign in target):
            return
        line, column = self.getpos()
        start = self._lines[line - 1] + column + places[0].start(1)
        if self._text[start : start + len(written)] == written:
            self._found.append((start, start + len(written), target))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Do the same for <a href=... />."""
        self.handle_starttag(tag, attrs)


def _with_end(text: str, end: str) -> str:
    place = text.lower().rfind("</body")
    return text + end if place < 0 else text[:place] + end + text[place:]


def _encode(text: str, charset: str, encoding: str) -> bytes | None:
    try:
        data = text.encode(charset)
    except UnicodeError:
        return None
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return binascii.b2a_qp(data, istext=True)
    if (encoding != "8bit" and not data.isascii()) or any(len(line) > _LINE for line in data.split(b"\r\n")):
        return None
    return data
