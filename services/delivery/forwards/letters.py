"""The mails that the platform writes itself about forwarding: a question to the address, and bad news to the owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.mail.text import clean
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Recipient
from services.delivery.domain.plain_mail import Head, plain_mail

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
    head = Head("May copies of mail come to your address?", mail_id, question.address)
    return plain_mail(head, paragraphs, site, now)


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
    return plain_mail(Head("Copies of your mail could not be forwarded", mail_id), paragraphs, site, now)
