"""The mails that the platform writes itself about forwarding: a question to the address, and bad news to the owner."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from libs.mail.text import clean
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Recipient

_WIDTH = 76
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks whom, and where the answer is given."""

    account_address: str
    address: str
    link: str


def make_question(question: Question, site: Site, mail_id: str, now: datetime) -> bytes:
    """Return the mail that asks whether copies may come; only its two addresses are not ours. `now` is aware."""
    who = clean(question.account_address, _MAX_TEXT)
    paragraphs = (
        f"This is the mail service of {site.domain}.",
        f"{who} would like copies of all mail that comes in there to be forwarded to this address. "
        "Nothing is forwarded unless you agree, within 48 hours, on this page:",
        question.link,
        "If you agree, keep this mail: the same page stops the copies at any time, with one click.",
        "If you do not know what this is about, you need not do anything. The page can also say no, and then you are "
        "not asked again for this entry.",
        "The copies come as they arrived: they are not encrypted by us and are no longer private to that mailbox.",
    )
    return _mail("May copies of mail come to your address?", _To(question.address), paragraphs, site, mail_id, now)


def make_failure(failed: Sequence[Recipient], site: Site, mail_id: str, now: datetime) -> bytes:
    """Return the mail that tells an owner that copies of his mail could not be forwarded; at most one a day is kept."""
    lines = [
        f"  {clean(one.address, _MAX_TEXT)}\r\n    {clean(one.status, 20)} {clean(one.text, _MAX_TEXT)}".rstrip()
        for one in failed
    ]
    paragraphs = (
        f"This is the mail service of {site.domain}. A mail that came in for you could not be forwarded to:",
        "\r\n".join(lines),
        "Nothing is lost: the mail itself is in your mailbox here. There may be others today; you are told once a day.",
        "Under Settings, Forwarding, you can take an address out.",
    )
    return _mail("Copies of your mail could not be forwarded", _To(""), paragraphs, site, mail_id, now)


def make_limited(most: int, site: Site, mail_id: str, now: datetime) -> bytes:
    """Return the mail that tells an owner that no more copies are forwarded today."""
    paragraphs = (
        f"This is the mail service of {site.domain}. {most:,} of your mails have been forwarded today: as many as "
        "are forwarded in a day. What else comes in until midnight UTC is not.",
        "Nothing is lost: every mail is in your mailbox here.",
    )
    return _mail("No more copies of your mail today", _To(""), paragraphs, site, mail_id, now)


@dataclass(frozen=True, slots=True)
class _To:
    address: str

    def __str__(self) -> str:
        shown = self.address if self.address.isascii() else ""
        return f"<{shown}>" if shown else "undisclosed-recipients:;"


def _mail(subject: str, to: _To, paragraphs: Sequence[str], site: Site, mail_id: str, now: datetime) -> bytes:
    head = (
        f"Date: {format_datetime(now)}\r\n"
        f"From: Mail service <postmaster@{site.domain}>\r\n"
        f"To: {to}\r\n"
        f"Subject: {subject}\r\n"
        f"Message-ID: <{mail_id}@{site.domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    return (head + "\r\n\r\n".join(map(_wrapped, paragraphs)) + "\r\n").encode()


def _wrapped(text: str) -> str:
    if text.startswith(" ") or "://" in text:
        return text
    return "\r\n".join(textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
