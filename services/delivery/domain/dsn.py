"""Reports to senders of mail that could not be delivered, or not yet (RFC 3461, 3464; RFC 6533 beyond ASCII).

A multipart/report of three parts: what happened in plain English, the same for programs, and the header of the mail.
Success is not reported. Nothing is reported about mail from <>, which is mail like this itself: reports about reports
never end; about mail that programs made (RFC 3834), delays are not.

What the other side said goes to the sender, who may need it, and nowhere else. It is cleaned, cut and indented, so that
it cannot pass for words of ours. The body of the mail is not sent back: the sender has it.
"""

from __future__ import annotations

import binascii
import re
import secrets
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from libs.mail.fields import Fields, begins_with_field, block_end
from libs.mail.text import clean
from services.delivery.domain.dsn_words import UNWANTED, explain, moment
from services.delivery.domain.model import QueuedMail, Recipient, State
from services.delivery.domain.queue import ReportKind

MAX_TEXT = 500
MAX_HEADER_BYTES = 64 * 1024

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}\Z")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,500}>\Z")
_WIDTH = 76
# RFC 3464 2.3.3.
_ACTIONS = {ReportKind.FAILURE: "failed", ReportKind.DELAY: "delayed"}
_SUBJECTS = {
    ReportKind.FAILURE: "Your mail could not be delivered",
    ReportKind.DELAY: "Your mail is delayed; we keep trying",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Who reports: the host, and the domain whose postmaster signs."""

    hostname: str
    domain: str


@dataclass(frozen=True, slots=True)
class Dsn:
    """What is reported to whom. Times are Unix seconds."""

    kind: ReportKind
    sender: str
    recipients: Sequence[Recipient]
    # The mail, or the beginning of it: only its header is read, at most 64 KiB of it.
    content: bytes
    arrived_at: int
    # Of a delay: when the last attempt will be.
    retry_until: int = 0
    # ENVID of RFC 3461, "" if none was given.
    envelope_id: str = ""


def site_of(hostname: str) -> Site:
    """Return the site of a mail host: its domain is what stands behind its first label, where that is a domain."""
    domain = hostname.partition(".")[2]
    return Site(hostname, domain if "." in domain else hostname)


def dsn_on(kind: ReportKind, mail: QueuedMail, recipients: Sequence[Recipient], retry_until: int = 0) -> Dsn:
    """Return the report on some recipients of a queued mail."""
    return Dsn(kind, mail.order.mail_from, recipients, mail.order.content, mail.submitted_at, retry_until)


def make_dsn(dsn: Dsn, site: Site, dsn_id: str, now: datetime) -> bytes:
    """Return the mail that tells the sender. `dsn_id` becomes its Message-ID; `now` is aware.

    Raises: ValueError for a mail from <>, or without recipients.
    """
    if not dsn.sender or not dsn.recipients:
        raise ValueError("nothing to report, or nobody to report to")
    original = _header_of(dsn.content)
    fields = Fields(original)
    wide = not all(_ascii(one.address) for one in dsn.recipients)
    boundary = f"=_{secrets.token_hex(16)}"
    parts = (
        _part("text/plain; charset=utf-8", "quoted-printable", _quoted(_words(dsn, site, fields))),
        _part(
            "message/global-delivery-status" if wide else "message/delivery-status",
            "8bit" if wide else "7bit",
            _for_programs(dsn, site, now),
        ),
        _original_part(original),
    )
    between = f"--{boundary}\r\n".encode()
    head = _head(dsn, site, fields, dsn_id, now)
    head += f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n\r\n'
    return b"".join((head.encode(), *(between + part for part in parts), f"--{boundary}--\r\n".encode()))


def _head(dsn: Dsn, site: Site, fields: Fields, dsn_id: str, now: datetime) -> str:
    answered = fields.first(b"message-id")
    thread = f"In-Reply-To: {answered}\r\nReferences: {answered}\r\n" if _MESSAGE_ID.match(answered) else ""
    return (
        "Return-Path: <>\r\n"
        f"Date: {format_datetime(now)}\r\n"
        f"From: Mail delivery <postmaster@{site.domain}>\r\n"
        f"To: <{clean(dsn.sender, 320)}>\r\n"
        f"Subject: {_SUBJECTS[dsn.kind]}\r\n"
        f"Message-ID: <{dsn_id}@{site.domain}>\r\n"
        f"{thread}"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
    )


def _words(dsn: Dsn, site: Site, fields: Fields) -> str:
    subject = fields.text(b"subject", 200)
    named = f'"{subject}" ' if subject else ""
    said = "could not be delivered to" if dsn.kind is ReportKind.FAILURE else "is still waiting to be delivered to"
    paragraphs = [
        _wrapped(f"This is the mail service of {site.domain}."),
        _wrapped(f"Your mail {named}of {moment(dsn.arrived_at)} {said}:"),
        *(_on_recipient(recipient) for recipient in dsn.recipients),
    ]
    if dsn.kind is ReportKind.FAILURE:
        paragraphs.append(_wrapped("We will not try again. To send the mail once more, take it from your sent mail."))
    else:
        until = f" until {moment(dsn.retry_until)}" if dsn.retry_until else ""
        paragraphs.append(_wrapped(f"You need not do anything: we keep trying{until}, and tell you if we give up."))
    return "\r\n\r\n".join(paragraphs) + "\r\n"


def _on_recipient(recipient: Recipient) -> str:
    lines = [f"  {clean(recipient.address, 320)}"]
    lines += textwrap.wrap(_reason(recipient), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    if recipient.text:
        who = recipient.host if _HOST.match(recipient.host) else "We"
        lines.append(f"    {who} said: {clean(recipient.text, MAX_TEXT)}")
    return "\r\n".join(lines)


def _for_programs(dsn: Dsn, site: Site, now: datetime) -> bytes:
    groups = [f"Reporting-MTA: dns; {site.hostname}\r\nArrival-Date: {_date(dsn.arrived_at)}\r\n"]
    if dsn.envelope_id:
        groups[0] += f"Original-Envelope-Id: {_plain(dsn.envelope_id, 100)}\r\n"
    for recipient in dsn.recipients:
        address = clean(recipient.address, 320)
        fallback = "5.0.0" if dsn.kind is ReportKind.FAILURE else "4.0.0"
        group = (
            f"Final-Recipient: {'rfc822' if _ascii(address) else 'utf-8'}; {address}\r\n"
            f"Action: {_ACTIONS[dsn.kind]}\r\n"
            f"Status: {recipient.status if _STATUS.match(recipient.status) else fallback}\r\n"
        )
        if _HOST.match(recipient.host):
            group += f"Remote-MTA: dns; {recipient.host}\r\n"
        if recipient.text:
            group += f"Diagnostic-Code: smtp; {_plain(recipient.text, MAX_TEXT)}\r\n"
        group += f"Last-Attempt-Date: {format_datetime(now)}\r\n"
        if dsn.kind is ReportKind.DELAY and dsn.retry_until:
            group += f"Will-Retry-Until: {_date(dsn.retry_until)}\r\n"
        groups.append(group)
    return "\r\n".join(groups).encode()


def _header_of(content: bytes) -> bytes:
    """Return the header of a mail, whole fields and at most 64 KiB; nothing where there is none."""
    if not begins_with_field(content):
        return b""
    end = block_end(content, 0, len(content))
    if end <= MAX_HEADER_BYTES:
        return content[:end]
    cut = content[:MAX_HEADER_BYTES].rfind(b"\r\n")
    # Not in the middle of a field.
    while cut > 0 and content[cut + 2 : cut + 3] in (b" ", b"\t"):
        cut = content.rfind(b"\r\n", 0, cut)
    return content[: cut + 2] if cut > 0 else b""


def _original_part(header: bytes) -> bytes:
    if header.isascii():
        return _part("text/rfc822-headers", "7bit", header)
    # RFC 6533 4: headers beyond ASCII are UTF-8; other bytes are not to be guessed at.
    return _part("message/global-headers", "8bit", header.decode("utf-8", "replace").encode())


def _part(kind: str, encoding: str, body: bytes) -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body + b"\r\n"


def _quoted(text: str) -> bytes:
    lines = text.encode().replace(b"\r\n", b"\n")
    return binascii.b2a_qp(lines, istext=True).replace(b"\n", b"\r\n")


def _wrapped(text: str) -> str:
    return "\r\n".join(textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _plain(text: str, limit: int) -> str:
    return clean(text, limit).encode("ascii", "replace").decode()


def _ascii(text: str) -> bool:
    return text.isascii()


def _date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def _reason(recipient: Recipient) -> str:
    return UNWANTED if recipient.state is State.SUPPRESSED else explain(recipient.status)
