"""Makes of what was submitted the mail that goes out: checks it, completes it, takes out what is nobody's business.

One pass over the header; the body is searched by C routines only and not copied unless something changes. Fields are
taken out or put in front, and every other byte stays as it came: the mail may be signed by whoever wrote it.

Refused is what two programs could read differently (RFC 5322 3.6, RFC 6409 6.3): line ends other than CRLF, controls in
the header, lines that are no fields, a second From, Subject, Content-Type and so on, a From that is not by the grammar.

Taken out is what is not for recipients (Bcc, Return-Path) and what names the machine, the network or the login behind
the mail (Received, X-Originating-IP and its kin): nobody has to know from where somebody writes. The names of programs
(User-Agent, X-Mailer) stay, their users can tell them not to send them. Authentication-Results that carry our name are
taken out as well, for our own members would believe them (RFC 8601 5). Links to unsubscribe make room for ours where
the sender wants ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from libs.mail.fields import begins_with_field, block_end, count_fields
from libs.mail.text import clean, unfold
from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from services.delivery.domain.authors import domain_of, read_authors
from services.delivery.domain.model import Order

MAX_LINE_BYTES = 998
MAX_HEADER_BYTES = 256 * 1024
MAX_FIELDS = 1000
MAX_RECEIVED = 50

_BETWEEN_FIELDS = re.compile(rb"\r\n(?![ \t])")
_NAME = re.compile(rb"[!-9;-~]+\Z")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HIDDEN = re.compile(
    rb"bcc\Z|resent-bcc\Z|return-path\Z|received\Z|x-originating-|x-sender-?ip\Z|x-client|x-source|x-php|x-remote-"
    rb"|x-real-ip\Z|x-forwarded-for\Z|x-authenticated|x-authuser\Z|x-auth-|x-get-message-sender-via\Z"
)
_ONCE = frozenset(
    b"from sender reply-to to cc bcc subject date message-id in-reply-to references mime-version content-type "
    b"content-transfer-encoding".split()
)
# Whoever stands here is shown as a sender of the mail.
_AUTHORS = (b"from", b"sender", b"resent-from", b"resent-sender")
_RESULTS = b"authentication-results"
_UNSUBSCRIBE = (b"list-unsubscribe", b"list-unsubscribe-post")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail ready to be signed and sent."""

    # Complete, CRLF, with an empty line behind the header and a line end at the end.
    content: bytes
    # As in the field, with its brackets; at most 998 characters, no controls.
    message_id: str
    # Those of From, in order, and after them those of Sender, Resent-From and Resent-Sender: the account must be
    # allowed all of them.
    from_addresses: tuple[str, ...]
    # Of the first address in From; lower case, A-labels.
    sender_domain: str
    # Made by a program (RFC 3834): no notices are sent about it.
    auto_submitted: bool


@dataclass(slots=True)
class _Header:
    """The fields that stay, and what they say."""

    kept: list[bytes]
    values: dict[bytes, list[bytes]]
    removed: bool
    received: int


def prepare(order: Order, hostname: str, now: datetime) -> Prepared:
    """Return the mail of an order as it goes out. `hostname` is our own; `now` is aware.

    Takes 0.1 ms for 4 KB, and about 3 ms for each MB.

    Raises:
        InvalidError: "content_malformed", "from_missing", "from_malformed", "loop".
    """
    content, end = _complete(order.content)
    header = _read(content[:end], hostname.lower().encode(), _UNSUBSCRIBE if order.one_click_unsubscribe else ())
    authors, domain = _authors(header.values)
    added, message_id = _added(header, order.submission_id, domain, now)
    return Prepared(
        content=_composed(content, end, header, added),
        message_id=message_id,
        from_addresses=authors,
        sender_domain=domain,
        auto_submitted=_is_automatic(header.values),
    )


def _complete(content: bytes) -> tuple[bytes, int]:
    """Return the mail with a line end and an empty line behind its header, and where the header's last field ends.

    SMTP would complete both, but behind our signature.
    """
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    end = _check(content)
    return (content + b"\r\n" if end == len(content) else content), end


def _check(content: bytes) -> int:
    line_ends = content.count(b"\r\n")
    if b"\0" in content or content.count(b"\n") != line_ends or content.count(b"\r") != line_ends:
        raise InvalidError("content_malformed")
    if _has_long_line(content) or not begins_with_field(content):
        raise InvalidError("content_malformed")
    end = block_end(content, 0, len(content))
    if end > MAX_HEADER_BYTES or count_fields(content, 0, end) > MAX_FIELDS:
        raise InvalidError("content_malformed")
    return end


def _has_long_line(content: bytes) -> bool:
    """Tell whether a line exceeds 998 bytes (RFC 5322 2.1.1), by steps of nearly that many."""
    position, window = 0, MAX_LINE_BYTES + 2
    while len(content) - position > MAX_LINE_BYTES:
        found = content.rfind(b"\n", position, position + window)
        if found < 0:
            return True
        position = found + 1
    return False


def _read(block: bytes, hostname: bytes, replaced: tuple[bytes, ...]) -> _Header:
    """Read the header. Fields named in `replaced` are not kept."""
    if _CONTROLS.search(block):
        raise InvalidError("content_malformed")
    header = _Header([], {}, removed=False, received=0)
    for line in _BETWEEN_FIELDS.split(block.removesuffix(b"\r\n")):
        written, colon, value = line.partition(b":")
        if not colon or not _NAME.match(written):
            raise InvalidError("content_malformed")
        name = written.lower()
        if name in _ONCE and name in header.values:
            raise InvalidError("from_malformed" if name == b"from" else "content_malformed")
        header.values.setdefault(name, []).append(value)
        header.received += name == b"received"
        if name in replaced or _HIDDEN.match(name) or (name == _RESULTS and hostname in value.lower()):
            header.removed = True
        elif name in (b"date", b"message-id") and not value.strip():
            # An empty one is as good as none; it makes room for ours.
            header.removed = True
        else:
            header.kept.append(line)
    if header.received >= MAX_RECEIVED:
        raise InvalidError("loop")
    return header


def _authors(values: dict[bytes, list[bytes]]) -> tuple[tuple[str, ...], str]:
    if b"from" not in values:
        raise InvalidError("from_missing")
    found: list[str] = []
    for name in _AUTHORS:
        for value in values.get(name, ()):
            found += read_authors(value)
    return tuple(dict.fromkeys(found)), domain_of(found[0])


def _added(header: _Header, submission_id: str, domain: str, now: datetime) -> tuple[bytes, str]:
    """Return the fields that are missing, and the Message-ID of the mail."""
    added = b""
    message_id = clean(unfold(header.values.get(b"message-id", [b""])[0]), MAX_LINE_BYTES)
    if not message_id:
        if not is_id(submission_id):
            raise InvalidError("content_malformed")
        message_id = f"<{submission_id}@{domain}>"
        added = f"Message-ID: {message_id}\r\n".encode()
    if not header.values.get(b"date", [b""])[0].strip():
        added = f"Date: {_date(now.replace(microsecond=0))}\r\n".encode() + added
    return added, message_id


@lru_cache(maxsize=4)
def _date(second: datetime) -> str:
    return format_datetime(second)


def _composed(content: bytes, end: int, header: _Header, added: bytes) -> bytes:
    if not header.removed:
        return added + content if added else content
    fields = b"".join(line + b"\r\n" for line in header.kept)
    return b"".join((added, fields, memoryview(content)[end:]))


def _is_automatic(values: dict[bytes, list[bytes]]) -> bool:
    return any(unfold(value).partition(";")[0].strip().lower() != "no" for value in values.get(b"auto-submitted", ()))
