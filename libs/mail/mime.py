"""Finds the parts of a mail by one bounded walk over its boundaries, without decoding or copying it.

A parser that builds a tree of a hostile mail is the attack: nesting recurses, parts are millions, bodies are copied at
every level. Here a multipart is a range of the mail; its delimiter lines are searched for in that range only, so each
level of nesting costs one pass of a C search at most, and every count has a bound: depth 50, 1,000 parts, 10,000
candidates for a delimiter line, the header of a part 16 KiB. What lies beyond them is not looked at: `complete` is
False, and the mail is stored whole as any other.

Sizes of attachments are estimated from the encoded length. The first text is decoded, a few kilobytes of it, for the
preview.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from libs.mail.fields import Fields, block_end, count_fields, read_parameters
from libs.mail.text import clean, decode, decode_base64, decode_quoted, decode_words

MAX_DEPTH = 50
MAX_PARTS = 1000
MAX_NAME = 500
_MAX_CANDIDATES = 10_000
_MAX_PART_HEADER = 16 * 1024
_MAX_PART_FIELDS = 100
# How much of a text is decoded for its preview; of HTML more, for most of its beginning is not shown.
_PREVIEW_BYTES = {"text/html": 8192}
_PREVIEW_BYTES_PLAIN = 1024
_PREVIEW_CHARACTERS = 200

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}\Z")
_REST_OF_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")
_TAG = re.compile(r"<(/?[a-zA-Z]*)[^>]*>?")
_HIDDEN = ("head", "style", "script", "title")
_ENTITIES = {"&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
_ARMOUR = "-----BEGIN PGP MESSAGE-----"
_NAME_PATH = re.compile(r".*[/\\]", re.S)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is shown as a file. `size` is in decoded bytes, estimated."""

    name: str
    type: str
    size: int


@dataclass(slots=True)
class Structure:
    """What the walk found."""

    attachments: list[Attachment] = field(default_factory=list)
    preview: str = ""
    encrypted: bool = False
    complete: bool = True


@dataclass(slots=True)
class Part:
    """A range of the mail with its header read."""

    type: str
    parameters: dict[str, str]
    disposition: str
    name: str
    encoding: str
    start: int
    end: int
    depth: int

    @property
    def is_multipart(self) -> bool:
        """Whether it consists of other parts."""
        return self.type.startswith("multipart/") and bool(self.parameters.get("boundary"))


def walk(content: bytearray, header: Fields, body: int) -> Structure:
    """Return the structure of the mail whose fields are `header` and whose body begins at `body`."""
    structure = Structure()
    text_rank = 0
    budget = _Budget()
    for part in _parts(content, header, body, budget):
        if part.is_multipart:
            structure.encrypted |= part.type == "multipart/encrypted"
            continue
        rank = _text_rank(part)
        if rank > text_rank:
            text_rank, structure.preview = rank, _preview(content, part)
            structure.encrypted |= structure.preview.startswith(_ARMOUR)
        elif not rank:
            structure.encrypted |= _is_encrypted(part)
            structure.attachments.append(_attachment(content, part))
    structure.complete = not budget.exceeded
    return structure


def leaves(content: bytearray, header: Fields, body: int, most: int) -> list[Part]:
    """Return the first `most` parts that do not consist of others, in order; see `walk`."""
    found = (part for part in _parts(content, header, body, _Budget()) if not part.is_multipart)
    return list(islice(found, most))


def decoded(content: bytearray, part: Part, limit: int) -> bytes:
    """Return what at most the first `limit` bytes of a part encode."""
    data = bytes(content[part.start : min(part.end, part.start + limit)])
    if part.encoding == "base64":
        return decode_base64(data)
    return decode_quoted(data) if part.encoding == "quoted-printable" else data


@dataclass(slots=True)
class _Budget:
    """What the walk may still do."""

    parts: int = MAX_PARTS
    candidates: int = _MAX_CANDIDATES
    exceeded: bool = False


def _parts(content: bytearray, header: Fields, body: int, budget: _Budget) -> Iterator[Part]:
    """Yield every part, a multipart before those that it consists of."""
    # Ranges still to be looked at; the next one is the last.
    waiting = [_part(header, body, len(content), 0)]
    while waiting:
        part = waiting.pop()
        yield part
        if not part.is_multipart:
            continue
        if part.depth >= MAX_DEPTH:
            budget.exceeded = True
            continue
        inner = [_read(content, start, end, part, budget) for start, end in _ranges(content, part, budget)]
        waiting += reversed(inner)


def _ranges(content: bytearray, part: Part, budget: _Budget) -> Iterator[tuple[int, int]]:
    """Yield the ranges between the delimiter lines of a multipart (RFC 2046 5.1.1)."""
    delimiter = b"--" + part.parameters["boundary"].encode("utf-8", "replace")[:200]
    start, position = -1, part.start
    while True:
        found = _find_line(content, delimiter, position, part.end)
        if found < 0 or budget.candidates <= 0:
            budget.exceeded |= found >= 0
            if start >= 0:
                yield start, part.end
            return
        budget.candidates -= 1
        after = found + len(delimiter)
        rest = _REST_OF_DELIMITER.match(content, after, part.end)
        position = after
        if rest is None:
            continue
        if start >= 0:
            yield start, max(start, found - 2)
        if rest[1]:
            return
        if budget.parts <= 0:
            budget.exceeded = True
            return
        budget.parts -= 1
        start, position = rest.end(), max(after, rest.end() - 2)


def _find_line(content: bytearray, line: bytes, start: int, end: int) -> int:
    if content.startswith(line, start, end) and (start == 0 or content[start - 2 : start] == b"\r\n"):
        return start
    found = content.find(b"\r\n" + line, start, end)
    return found + 2 if found >= 0 else -1


def _read(content: bytearray, start: int, end: int, parent: Part, budget: _Budget) -> Part:
    header_end = block_end(content, start, end)
    limit = min(header_end, start + _MAX_PART_HEADER)
    if limit < header_end or count_fields(content, start, limit) > _MAX_PART_FIELDS:
        budget.exceeded = True
        return _part(Fields(b""), header_end, end, parent.depth + 1)
    body = min(header_end + 2, end)
    part = _part(Fields(bytes(content[start:header_end])), body, end, parent.depth + 1)
    if not part.type and parent.type == "multipart/digest":
        part.type = "message/rfc822"
    return part


def _part(header: Fields, start: int, end: int, depth: int) -> Part:
    kind, parameters = read_parameters(header.first(b"content-type"))
    disposition, about = read_parameters(header.first(b"content-disposition"))
    name = clean(decode_words(about.get("filename") or parameters.get("name", "")), 4 * MAX_NAME)
    encoding = header.first(b"content-transfer-encoding").lower()
    name = _NAME_PATH.sub("", name)[:MAX_NAME]
    return Part(kind if _TYPE.match(kind) else "", parameters, disposition, name, encoding, start, end, depth)


def _text_rank(part: Part) -> int:
    """Return 2 for plain text of the mail itself, 1 for HTML, 0 for anything else."""
    if part.disposition == "attachment" or part.name:
        return 0
    return {"": 2, "text/plain": 2, "text/html": 1}.get(part.type, 0)


def _is_encrypted(part: Part) -> bool:
    if part.type == "application/pgp-encrypted":
        return True
    return part.type in ("application/pkcs7-mime", "application/x-pkcs7-mime") and (
        part.parameters.get("smime-type", "enveloped-data").lower() in ("enveloped-data", "authenveloped-data")
    )


def _attachment(content: bytearray, part: Part) -> Attachment:
    size = part.end - part.start
    if part.encoding == "base64":
        digits = size - 2 * content.count(b"\r\n", part.start, part.end)
        size = digits // 4 * 3 - content.count(b"=", max(part.start, part.end - 6), part.end)
    elif part.encoding == "quoted-printable":
        size -= 2 * content.count(b"=", part.start, part.end)
    return Attachment(part.name, part.type or "application/octet-stream", max(0, size))


def _preview(content: bytearray, part: Part) -> str:
    limit = _PREVIEW_BYTES.get(part.type, _PREVIEW_BYTES_PLAIN)
    text = decode(decoded(content, part, limit), part.parameters.get("charset", ""))
    if part.type == "text/html":
        text = _shown(text)
    return clean(" ".join(text.split()), _PREVIEW_CHARACTERS)


def _shown(html: str) -> str:
    """Return roughly what a reader would see of `html`: enough for a preview, which is shown as text anyway."""
    pieces: list[str] = []
    position, closing = 0, ""
    for match in _TAG.finditer(html):
        tag = match[1].lower()
        if not closing:
            pieces.append(html[position : match.start()])
            closing = "/" + tag if tag in _HIDDEN else ""
        elif tag == closing:
            closing = ""
        position = match.end()
    text = " ".join([*pieces, "" if closing else html[position:]])
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
