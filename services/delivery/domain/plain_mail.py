"""Short mails of our own: plain text in paragraphs, from the postmaster of this installation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from services.delivery.domain.dsn import Site

WIDTH = 76


@dataclass(frozen=True, slots=True)
class Head:
    """`to` is an address, or "" where it needs not be said; `fields` are further ones, each with CRLF at its end."""

    subject: str
    message_id: str
    to: str = ""
    fields: str = ""


def plain_mail(head: Head, paragraphs: Sequence[str], site: Site, now: datetime) -> bytes:
    """Return a whole mail, CRLF. `now` is aware. The lines of a paragraph that begins with a blank stay as they are."""
    to = f"<{head.to}>" if head.to and head.to.isascii() else "undisclosed-recipients:;"
    subject = head.subject if head.subject.isascii() else Header(head.subject, "utf-8").encode(linesep="\r\n")
    lines = (
        f"Date: {format_datetime(now)}\r\n"
        f"From: Mail service <postmaster@{site.domain}>\r\n"
        f"To: {to}\r\n"
        f"Subject: {subject}\r\n"
        f"Message-ID: <{head.message_id}@{site.domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        f"{head.fields}"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    return (lines + "\r\n\r\n".join(map(_wrapped, paragraphs)) + "\r\n").encode()


def _wrapped(text: str) -> str:
    if text.startswith(" "):
        return text
    return "\r\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))
