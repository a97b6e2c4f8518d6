"""Where the links of a mail's HTML are, and the same mail with other ones: nothing else of it changes.

The HTML is cut into what stays and what is replaced (tags.py). A part that could not be written back exactly as it was,
for its charset is unknown or does not hold some character, lines are too long for its transfer encoding, or the page is
cut off, stays as it came, and so do mails that are signed or encrypted by whoever wrote them: a changed link would
break what they promise.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.mail.letter import Letter
from libs.mail.mime import Part, decoded, leaves
from services.delivery.measuring.links import MAX_TARGET
from services.delivery.measuring.tags import NotUnderstoodError, Target, scan

_MAX_PARTS = 50
_MAX_HTML = 1024 * 1024
_MAX_LINKS = 500
_LINE = 998
_MAX_PAGES = 4
# Where bytes are written as they are, a line holds what a link becomes: four thirds of its target and a little.
_MAX_PLAIN_TARGET = 400
_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso-8859-(1[0-6]?|[2-9])|windows-125[0-8]|koi8-[ru]|gb2312|gbk|gb18030|big5|euc-(jp|kr)"
    r"|shift_jis|iso-2022-jp",
    re.IGNORECASE,
)
_SEALED = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_ENCODINGS = ("", "7bit", "8bit", "base64", "quoted-printable")


@dataclass(frozen=True)
class Writing:
    """What stands in the mail of one recipient: `link` makes of a target the URL in its place, `end` ends the page."""

    link: Callable[[str], str]
    end: str


@dataclass(frozen=True)
class _Page:
    """An HTML part, the links in it that are replaced, and where its end is."""

    part: Part
    charset: str
    text: str
    targets: Sequence[Target]
    end: int

    def render(self, writing: Writing) -> bytes | None:
        """Return the part for one recipient in its transfer encoding, None if it cannot be written so."""
        # Links after the end of the body are links all the same.
        changes = [(one.start, one.end, f'"{writing.link(one.url)}"') for one in self.targets]
        changes.append((self.end, self.end, writing.end))
        pieces, place = [], 0
        for start, end, written in sorted(changes):
            pieces += [self.text[place:start], written]
            place = end
        return _encode("".join([*pieces, self.text[place:]]), self.charset, self.part.encoding)


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
    shown = [part for part in parts if part.type == "text/html" and part.disposition != "attachment"]
    pages = [page for part in shown[:_MAX_PAGES] if (page := _page(letter, part, clicks, spare)) is not None]
    return Measurable(content, pages) if pages else None


def _page(letter: Letter, part: Part, clicks: bool, spare: Callable[[str], bool]) -> _Page | None:
    size = part.end - part.start
    if not 0 < size <= _MAX_HTML or part.encoding not in _ENCODINGS:
        return None
    charset = part.parameters.get("charset", "utf-8")
    if not _CHARSET.fullmatch(charset):
        return None
    data = decoded(letter.content, part, size)
    try:
        text = data.decode(charset)
        exact = text.encode(charset) == data
        found = scan(text)
    except (LookupError, UnicodeError, binascii.Error, NotUnderstoodError):
        return None
    if not exact:
        return None
    most = MAX_TARGET if part.encoding in ("base64", "quoted-printable") else _MAX_PLAIN_TARGET
    targets = [one for one in found.targets if _leads_elsewhere(one.url, most) and not spare(one.url)] if clicks else []
    return _Page(part, charset, text, targets[:_MAX_LINKS], found.end)


def _leads_elsewhere(url: str, most: int) -> bool:
    if not url.lower().startswith(("https://", "http://")) or len(url.encode("utf-8", "replace")) > most:
        return False
    return url.isprintable() and " " not in url


def _encode(text: str, charset: str, encoding: str) -> bytes | None:
    try:
        data = text.encode(charset)
    except UnicodeError:
        return None
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return b"\r\n".join(map(_quoted, data.split(b"\r\n")))
    if (encoding != "8bit" and not data.isascii()) or any(len(line) > _LINE for line in data.split(b"\r\n")):
        return None
    return data


def _quoted(line: bytes) -> bytes:
    # As text the library would take all ends of lines for the same; as bytes the only ones left are its own.
    return binascii.b2a_qp(line, istext=False).replace(b"\n", b"\r\n")
