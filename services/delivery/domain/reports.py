"""Reads what comes back for mail that went out: bounces (RFC 3464), complaints (RFC 5965), and everything else.

Anybody can send to a return path that he has seen, so a report is a stranger's word: it is read within bounds (512 KiB,
20 parts, 1,000 recipients), and nothing of it is believed but what it says of one recipient. Much of what comes is no
report: replies of people who are away, lists that send to the wrong address. Bounces of servers that know no RFC 3464
are taken for such where a daemon sent them and they name an enhanced status code 5.x.y; there is no better sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from libs.mail.fields import Fields
from libs.mail.letter import Letter
from libs.mail.mime import Part, decoded, leaves
from libs.mail.text import clean, decode

MAX_BYTES = 512 * 1024
MAX_PARTS = 20
MAX_GROUPS = 1000
MAX_TEXT = 500
_MAX_STATUS_BYTES = 256 * 1024
_MAX_WORDS = 4096

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_COMPLAINTS = ("abuse", "fraud")
_DAEMONS = ("mailer-daemon", "mailerdaemon", "mail-daemon", "postmaster")
_NOT_DELIVERED = frozenset({"failed"})
_BETWEEN_GROUPS = re.compile(rb"\r\n(?:[ \t]*\r\n)+")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_FAILED_STATUS = re.compile(r"(?<![\d.])(5\.[0-7]\.\d{1,3})(?!\.?\d)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
# Below, bounces quote the mail itself, which may speak of status codes as well.
_QUOTE = re.compile(
    r"copy of the message|original message|message headers|\r\n(?:received|return-path):", re.IGNORECASE
)


class Kind(Enum):
    """What came."""

    FAILED = "failed"
    # A delay, or a success that nobody asked to be told of.
    TEMPORARY = "temporary"
    COMPLAINED = "complained"
    # By a program that answers for somebody.
    AUTOMATIC = "automatic"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a report says of one recipient; every text is clean, bounded, and a stranger's."""

    # As whom the report names the recipient: what it was there, and what it was before forwarding. May be empty.
    addresses: tuple[str, ...] = ()
    # RFC 3463, "4..." or "5..." for a failure.
    status: str = ""
    text: str = ""
    host: str = ""
    # Text in which the recipient may be named, where nothing says who it is.
    words: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came, and of whom it speaks."""

    kind: Kind
    findings: tuple[Finding, ...] = ()


def read_report(content: bytes) -> Reading:
    """Return what a mail to a return path is. Never raises; linear, on 512 KiB at most."""
    letter = Letter(bytearray(content[:MAX_BYTES]))
    if not letter.readable:
        return Reading(Kind.NOISE)
    parts = leaves(letter.content, letter.fields, letter.body, MAX_PARTS)
    for part in parts:
        if part.type in _STATUS_TYPES:
            return _delivery_status(decoded(letter.content, part, _MAX_STATUS_BYTES))
        if part.type == "message/feedback-report":
            return _feedback(Fields(decoded(letter.content, part, _MAX_STATUS_BYTES)))
    if _is_from_daemon(letter.fields):
        return _bounce_in_words(letter, parts)
    return Reading(Kind.AUTOMATIC if _is_automatic(letter.fields) else Kind.NOISE)


def _delivery_status(data: bytes) -> Reading:
    # What was encoded may have line ends of any kind.
    lines = data.replace(b"\r\n", b"\n").strip(b"\n").replace(b"\n", b"\r\n")
    groups = [Fields(block) for block in _BETWEEN_GROUPS.split(lines, MAX_GROUPS)[:MAX_GROUPS]]
    reporter = _host(groups[0].first(b"reporting-mta")) if groups else ""
    findings = tuple(
        _finding(group, reporter)
        for group in groups
        if group.first(b"action").lower() in _NOT_DELIVERED and (group.all(b"final-recipient") or group.all(b"status"))
    )
    return Reading(Kind.FAILED, findings) if findings else Reading(Kind.TEMPORARY)


def _finding(group: Fields, reporter: str) -> Finding:
    diagnostic = _after_type(group.first(b"diagnostic-code"))
    named = (_after_type(group.first(name)) for name in (b"final-recipient", b"original-recipient"))
    return Finding(
        addresses=tuple(dict.fromkeys(filter(None, map(_address, named)))),
        status=_status_in(group.first(b"status")) or _status_in(diagnostic) or "5.0.0",
        text=clean(diagnostic, MAX_TEXT),
        host=_host(group.first(b"remote-mta")) or reporter,
    )


def _feedback(fields: Fields) -> Reading:
    if fields.first(b"feedback-type").lower() not in _COMPLAINTS:
        return Reading(Kind.NOISE)
    named = [value.decode("utf-8", "replace") for value in fields.all(b"original-rcpt-to")[:MAX_GROUPS]]
    addresses = tuple(dict.fromkeys(filter(None, map(_address, named))))
    return Reading(Kind.COMPLAINED, tuple(Finding((address,)) for address in addresses) or (Finding(),))


def _bounce_in_words(letter: Letter, parts: list[Part]) -> Reading:
    words = next(_texts(letter, parts), "")
    quoted = _QUOTE.search(words)
    said = words[: quoted.start()] if quoted else words
    status = _FAILED_STATUS.search(said)
    if status is None:
        return Reading(Kind.AUTOMATIC if _is_automatic(letter.fields) else Kind.NOISE)
    # Where the line begins that tells.
    text = clean(said[said.rfind("\n", 0, status.start()) + 1 :].partition("\n")[0], MAX_TEXT)
    named = [address.address for address in letter.fields.addresses(b"x-failed-recipients")]
    found = [
        Finding((address,), status[1], text, words=said)
        for address in dict.fromkeys(filter(None, map(_address, named)))
    ]
    return Reading(Kind.FAILED, tuple(found) or (Finding((), status[1], text, words=said),))


def _texts(letter: Letter, parts: list[Part]) -> Iterator[str]:
    """Yield the beginnings of the texts of a mail, plain ones first."""
    for kinds in (("", "text/plain"), ("text/html",)):
        for part in parts:
            if part.type in kinds:
                yield decode(decoded(letter.content, part, _MAX_WORDS), part.parameters.get("charset", ""))


def _is_from_daemon(fields: Fields) -> bool:
    """Tell whether a mail looks as if it had come from <>; who it came from by SMTP is not known here."""
    if fields.first(b"return-path") == "<>":
        return True
    senders = fields.addresses(b"from")
    if not senders:
        return True
    return senders[0].address.partition("@")[0].lower() in _DAEMONS or senders[0].name.lower().startswith(
        ("mail delivery", "mailer-daemon")
    )


def _is_automatic(fields: Fields) -> bool:
    if fields.first(b"auto-submitted").partition(";")[0].strip().lower() not in ("", "no"):
        return True
    if any(fields.all(name) for name in (b"x-autoreply", b"x-autorespond", b"x-auto-response-suppress")):
        return True
    return fields.first(b"precedence").lower() in ("auto_reply", "bulk", "junk", "list")


def _after_type(value: str) -> str:
    """Return the value of a field of RFC 3464 without its type ("rfc822;", "smtp;")."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and "@" not in kind and " " not in kind.strip() else value.strip()


def _address(text: str) -> str:
    """Return an address in lower case, without brackets; "" where it is none."""
    address = clean(text, 320).strip("<> ").lower()
    return address if 0 < address.find("@") < len(address) - 1 and " " not in address else ""


def _status_in(text: str) -> str:
    found = _STATUS.search(text)
    return found[1] if found and found[1][0] in "45" else ""


def _host(value: str) -> str:
    host = _after_type(value).partition(" ")[0].strip("[]")
    return host if _HOST.match(host) else ""
