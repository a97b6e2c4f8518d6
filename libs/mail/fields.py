"""Reads a block of header fields: the fields themselves, lists of addresses, parameters. Bounded and linear.

The email package is not used: it recurses with the nesting of comments, takes control characters, and costs more per
mail than everything else that ingest does.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from libs.mail.text import clean, decode, decode_words, unfold

MAX_FIELDS = 1000
MAX_BLOCK_BYTES = 1024 * 1024
MAX_ADDRESSES = 50
MAX_TEXT = 500

_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:")
_BETWEEN_FIELDS = re.compile(rb"\r\n(?![ \t])")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"?|<([^<>]*)>?|([(),;:])|([^",;:<>()\s]+)|\s+|.', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.DOTALL)
_ROUTE = re.compile(r"@[^:<>]*:")
_SECTIONS = 20


class Address(NamedTuple):
    """An address as a field shows it; both texts are clean."""

    name: str
    address: str


class Fields:
    """The fields of one block, by lower-case name, in order of appearance."""

    __slots__ = ("_values", "count")

    def __init__(self, block: bytes) -> None:
        """Read `block`, complete lines without the empty one; lines that are no fields are left out."""
        self._values: dict[bytes, list[bytes]] = {}
        self.count = 0
        for line in _BETWEEN_FIELDS.split(block):
            name, colon, value = line.partition(b":")
            if colon:
                self.count += 1
                self._values.setdefault(name.strip().lower(), []).append(value)

    def all(self, name: bytes) -> list[bytes]:
        """Return the raw values of every field `name`."""
        return self._values.get(name, [])

    def first(self, name: bytes) -> str:
        """Return the first field `name`, unfolded, not clean; empty if there is none."""
        values = self._values.get(name)
        return unfold(values[0]).strip() if values else ""

    def text(self, name: bytes, limit: int = MAX_TEXT) -> str:
        """Return the first field `name` as clean text, encoded words decoded."""
        return clean(decode_words(self.first(name)), limit)

    def addresses(self, name: bytes) -> list[Address]:
        """Return the addresses of the fields `name`."""
        found: list[Address] = []
        for value in self.all(name)[:MAX_ADDRESSES]:
            found += read_addresses(unfold(value))
            if len(found) >= MAX_ADDRESSES:
                break
        return found[:MAX_ADDRESSES]


def begins_with_field(content: bytes | bytearray) -> bool:
    """Tell whether the mail begins with a header field, rather than with text or an empty line."""
    return _FIELD_START.match(content) is not None


def block_end(content: bytes | bytearray, start: int, end: int) -> int:
    """Return where the block of fields in content[start:end] ends: behind the CRLF of its last field."""
    if content[start : start + 2] == b"\r\n":
        return start
    found = content.find(b"\r\n\r\n", start, end)
    return found + 2 if found >= 0 else end


def count_fields(content: bytes | bytearray, start: int, end: int) -> int:
    """Return how many fields content[start:end] holds, without reading them."""
    folded = content.count(b"\r\n ", start, end) + content.count(b"\r\n\t", start, end)
    return content.count(b"\r\n", start, end) - folded


def read_addresses(text: str, most: int = MAX_ADDRESSES) -> list[Address]:
    """Return at most `most` addresses of a field's unfolded value (RFC 5322 3.4, leniently): groups are taken apart."""
    found: list[Address] = []
    phrase: list[str] = []
    comment: list[str] = []
    angle: str | None = None
    depth = 0

    def finish() -> None:
        nonlocal angle
        address = _address(phrase, comment, angle)
        if address is not None:
            found.append(address)
        phrase.clear()
        comment.clear()
        angle = None

    for match in _TOKEN.finditer(text):
        quoted, inside, special, word = match.groups()
        if special == "(":
            depth += 1
        elif depth:
            depth -= special == ")"
            comment.append(match[0] if depth else "")
        elif special in (",", ";"):
            finish()
            if len(found) >= most:
                return found
        elif special == ":":
            phrase.clear()
        elif inside is not None:
            angle = inside if angle is None else angle
        elif quoted is not None:
            phrase.append(_ESCAPE.sub(r"\1", quoted) if angle is None else "")
        elif word is not None:
            phrase.append(word)
        elif phrase:
            phrase.append(" ")
    finish()
    return found


def read_parameters(text: str) -> tuple[str, dict[str, str]]:
    """Return the lower-case main value of a Content-* field and its parameters (RFC 2045 5.1, RFC 2231), not clean."""
    main = text.partition(";")[0].strip().lower()
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(text):
        value = _ESCAPE.sub(r"\1", match[2]) if match[2] is not None else match[3].strip()
        name, star, rest = match[1].lower().partition("*")
        if not star:
            plain.setdefault(name, value)
            continue
        number = rest.removesuffix("*")
        if len(sections) < _SECTIONS and (not number or (number.isdecimal() and int(number) < _SECTIONS)):
            sections.setdefault(name, {})[int(number or 0)] = (value, rest == "" or rest.endswith("*"))
    plain.update({name: _joined(parts) for name, parts in sections.items()})
    return main, plain


def _address(phrase: list[str], comment: list[str], angle: str | None) -> Address | None:
    text = "".join(phrase).strip()
    if angle is not None:
        return Address(clean(decode_words(text), MAX_TEXT), clean(_ROUTE.sub("", angle, count=1), MAX_TEXT))
    if not text:
        return None
    if "@" not in text:
        return Address(clean(decode_words(text), MAX_TEXT), "")
    return Address(clean(decode_words("".join(comment)), MAX_TEXT), clean(text.replace(" ", ""), MAX_TEXT))


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    charset, data = "", b""
    for number in range(len(parts)):
        if number not in parts:
            break
        value, encoded = parts[number]
        if encoded and number == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        data += unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace")
    return decode(data, charset)
