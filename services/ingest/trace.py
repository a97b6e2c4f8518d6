"""The fields that the MX writes in front of a mail: Return-Path, Received, Authentication-Results, in this order.

They are the only ones that may be believed, so nothing in the mail may look like them or change them:

- an Authentication-Results field that carries our id was not written by us and is taken out (RFC 8601 5); too many
  fields of that name to look at are refused;
- a mail whose first line is not a header field - folded text, say, which would become part of our last field - gets an
  empty line between our fields and itself, and so is all body;
- what is written into the fields is either ours or has passed a grammar without controls and line breaks.

A mail with 100 Received fields is going round in a loop (RFC 5321 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.runtime.errors import InvalidError
from services.ingest.domain import Mail

MAX_RECEIVED = 100
MAX_RESULTS = 100

_MAX_ID_BYTES = 2048
_RECEIVED = re.compile(rb"received[ \t]*:", re.IGNORECASE)
_RESULTS = re.compile(rb"authentication-results[ \t]*:", re.IGNORECASE)
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
# The header is looked at in pieces of this size, for it may be as large as a mail.
_PIECE = 1024 * 1024


def forged_results(letter: Letter, authserv_id: str) -> list[tuple[int, int]]:
    """Return the ranges of Authentication-Results fields that claim to be ours.

    Raises:
        InvalidError: "loop" at 100 Received fields, "results" at more fields of that name than are looked at.
    """
    for number, _ in enumerate(_starts(letter, b"received", _RECEIVED), 1):
        if number >= MAX_RECEIVED:
            raise InvalidError("loop")
    ranges: list[tuple[int, int]] = []
    for number, match in enumerate(_starts(letter, b"authentication-results", _RESULTS)):
        if number >= MAX_RESULTS:
            raise InvalidError("results")
        end_match = _FIELD_END.search(letter.content, match.end(), letter.header_end)
        end = end_match.end() if end_match else letter.header_end
        if _claims(bytes(letter.content[match.end() : min(end, match.end() + _MAX_ID_BYTES)]), authserv_id):
            ranges.append((match.start(), end))
    return ranges


def compose(mail: Mail, verdict: Verdict, hostname: str, delivery_id: str, now: datetime) -> bytes:
    """Return the trace fields, CRLF at the end of each."""
    client = mail.client
    protocol = ("UTF8SMTP" if mail.smtputf8 else "ESMTP") if client.extended else "SMTP"
    results = verdict.results.replace("; ", ";\r\n\t")
    literal = f"IPv6:{client.address}" if ":" in client.address else client.address
    return (
        f"Return-Path: <{mail.sender}>\r\n"
        f"Received: from {client.hello} ([{literal}])\r\n"
        f"\tby {hostname} with {protocol}{'S' if client.tls else ''} id {delivery_id};\r\n"
        f"\t{format_datetime(now)}\r\n"
        f"Authentication-Results: {hostname}; {results}\r\n"
    ).encode()


def assemble(letter: Letter, trace: bytes, forged: list[tuple[int, int]]) -> bytes:
    """Return the mail as it is sealed: the trace fields, and what came, without the ranges in `forged`."""
    content = memoryview(letter.content)
    pieces: list[bytes | memoryview] = [trace]
    if not letter.has_header and letter.body == 0:
        pieces.append(b"\r\n")
    position = 0
    for start, end in forged:
        pieces.append(content[position:start])
        position = end
    pieces.append(content[position:])
    return b"".join(pieces)


def _starts(letter: Letter, name: bytes, field: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield a match of `field` for each field of the header; `name` is its name in lower case."""
    content, end = letter.content, letter.header_end
    for offset in range(0, end, _PIECE):
        piece = bytes(content[offset : min(end, offset + _PIECE + len(name))]).lower()
        position = piece.find(name)
        while 0 <= position < _PIECE:
            start = offset + position
            if start == 0 or content[start - 2 : start] == b"\r\n":
                match = field.match(content, start, end)
                if match:
                    yield match
            position = piece.find(name, position + 1)


def _claims(value: bytes, authserv_id: str) -> bool:
    """Tell whether the value of a field begins with our id, however it is written; in doubt it does."""
    depth = 0
    plain = bytearray()
    for byte in value.replace(b"\r\n", b""):
        if byte == ord("("):
            depth += 1
        elif byte == ord(")") and depth:
            depth -= 1
        elif not depth:
            plain.append(byte)
    if depth:
        return True
    claimed = bytes(plain).split(b";", 1)[0].replace(b'"', b"").replace(b"\\", b"").split()
    return not claimed or claimed[0].decode("utf-8", "replace").rstrip(".").lower() == authserv_id.lower()
