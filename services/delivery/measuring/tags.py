"""Finds the links of an HTML page, with their places in the text: as much of the HTML standard's tokenizer as it takes.

One pass, and linear in the length whatever the page is: the standard library's parser begins again at every unclosed
tag, and a page of 150 KB can keep it busy for minutes. What is inside of comments, scripts, styles and titles is no
tag. A page that ends in the midst of one of these, or of a tag, is not understood: what comes after would be lost.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.entities import html5

_SPACE = "\t\n\f\r "
_NAME = re.compile(rf"[A-Za-z][^{_SPACE}/>]*+")
_ATTRIBUTE = re.compile(rf"[{_SPACE}/]*+([^{_SPACE}/>][^{_SPACE}/>=]*+)(?:[{_SPACE}]*+=[{_SPACE}]*+)?")
_VALUE = re.compile(rf"""=[{_SPACE}]*+\Z""")
_UNQUOTED = re.compile(rf"[^{_SPACE}>]*+")
_CLOSE = re.compile(rf"[{_SPACE}/]*+>")
_RAW = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_ENDS = {name: re.compile(rf"</{name}(?=[{_SPACE}/>])", re.IGNORECASE) for name in _RAW}
_COMMENT_END = re.compile(r"--!?>")
_REFERENCE = re.compile(r"&(#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{0,40};?)(=?)")


class NotUnderstoodError(Exception):
    """The page ends where no page ends."""


@dataclass(frozen=True)
class Target:
    """A link: where its value stands in the text, quotes included, and what it is once references are resolved."""

    start: int
    end: int
    url: str


@dataclass(frozen=True)
class Found:
    """The links of a page in their order, and where something at its end can be put."""

    targets: Sequence[Target]
    end: int


def scan(text: str) -> Found:
    """Return the links of a page: of `a` and `area`, with one href. Raises: NotUnderstoodError."""
    targets: list[Target] = []
    end, place = len(text), 0
    while (place := text.find("<", place)) >= 0:
        following = text[place + 1 : place + 2]
        if following == "/" and (name := _NAME.match(text, place + 2)) is not None:
            if name[0].lower() == "body":
                end = place
            _, place = _attributes(text, name.end())
        elif (name := _NAME.match(text, place + 1)) is not None:
            attributes, place = _attributes(text, name.end())
            tag = name[0].lower()
            if tag in ("a", "area"):
                targets += _target(attributes)
            elif tag in _RAW:
                place = _after(_ENDS[tag].search(text, place))
            elif tag == "plaintext":
                raise NotUnderstoodError
        elif following and following in "!?/":
            place = _after_comment(text, place)
        else:
            place += 1
    return Found(targets, end)


def resolved(value: str) -> str:
    """Return an attribute's value with its character references resolved, as the HTML standard has it (13.2.5.73)."""
    return _REFERENCE.sub(_character, value)


def _attributes(text: str, place: int) -> tuple[list[Target], int]:
    """Return the attributes named href from `place` on, unresolved, and the place after the tag."""
    found: list[Target] = []
    while (close := _CLOSE.match(text, place)) is None:
        attribute = _ATTRIBUTE.match(text, place)
        if attribute is None:
            raise NotUnderstoodError
        place = start = attribute.end()
        if not _VALUE.search(text, attribute.end(1), start):
            continue
        if text[start : start + 1] in ('"', "'"):
            place = text.find(text[start], start + 1) + 1
            if place == 0:
                raise NotUnderstoodError
            value = text[start + 1 : place - 1]
        else:
            unquoted = _UNQUOTED.match(text, start)
            place = start if unquoted is None else unquoted.end()
            value = text[start:place]
        if attribute[1].lower() == "href":
            found.append(Target(start, place, value))
    return found, close.end()


def _target(attributes: Sequence[Target]) -> Iterator[Target]:
    # Of several the first counts for most readers, and for some the last: what they could take differently stays.
    if len(attributes) == 1:
        (one,) = attributes
        yield Target(one.start, one.end, resolved(one.url).strip(_SPACE))


def _after_comment(text: str, place: int) -> int:
    if text.startswith("<!--", place):
        if text.startswith((">", "->"), place + 4):
            return text.index(">", place + 4) + 1
        return _after(_COMMENT_END.search(text, place + 4))
    if text[place : place + 9].upper() == "<![CDATA[":
        # Readers differ in where it ends.
        raise NotUnderstoodError
    end = text.find(">", place)
    if end < 0:
        raise NotUnderstoodError
    return end + 1


def _after(found: re.Match[str] | None) -> int:
    if found is None:
        raise NotUnderstoodError
    # An end tag is read as such: its attributes may hold anything.
    return found.start() if found[0].startswith("</") else found.end()


def _character(found: re.Match[str]) -> str:
    name, equals = found[1], found[2]
    if name.startswith("#"):
        return html.unescape("&" + name) + equals
    # "&copy=1" is a parameter of a URL and no sign; only with its semicolon a name always stands for one.
    if name not in html5 or (equals and not name.endswith(";")):
        return found[0]
    return html5[name] + equals
