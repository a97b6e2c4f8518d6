"""The letters of the platform: what each says. There are no others, and what a caller may fill in is a word or a date.

Two are written by people: the newsletter and a question of the operator; of these subject and text are given, and what
stands around them is ours. Links lead below this installation's own address and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from libs.mail.text import clean
from libs.runtime.errors import InvalidError
from services.delivery.platform import letters_billing
from services.delivery.platform.letter import Fields, Letter, Place, Written, hello, said

MAX_FIELDS = 20
MAX_CHARACTERS = 2000
_MAX_SUBJECT = 200
# A day that says that there is no bound.
_LONG_AGO = "1970-01-01"
# A line of a mail has at most 998 bytes (RFC 5322 2.1.1).
_MAX_WORD = 900
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}\Z")


def write(name: str, fields: Fields, place: Place) -> Written:
    """Return a letter. Raises: InvalidError("letter" | "letter_fields")."""
    letter = LETTERS.get(name)
    if letter is None:
        raise InvalidError("letter")
    if len(fields) > MAX_FIELDS or any(len(value) > MAX_CHARACTERS for value in fields.values()):
        raise InvalidError("letter_fields")
    if not all(map(_NAME.match, fields)) or not all(fields.get(need, "").strip() for need in letter.needs):
        raise InvalidError("letter_fields")
    return letter.write(fields, place)


def _segment(fields: Fields, name: str) -> str:
    """Return a field that goes into a link. Raises: InvalidError("letter_fields")."""
    value = fields.get(name, "")
    if value and not _TOKEN.match(value):
        raise InvalidError("letter_fields")
    return value


def _paragraphs(text: str) -> list[str]:
    """Return what people wrote, in lines of our own. Raises: InvalidError("letter_fields") for an endless word."""
    parts = [clean(part, MAX_CHARACTERS).split() for part in re.split(r"\r?\n[ \t]*\r?\n", text)]
    if any(len(word.encode()) > _MAX_WORD for part in parts for word in part):
        raise InvalidError("letter_fields")
    return [" ".join(part) for part in parts if part]


def _policy_change(fields: Fields, place: Place) -> Written:
    effective, until = said(fields, "effective"), said(fields, "old_terms_until")
    since, version = _segment(fields, "from"), _segment(fields, "version")
    page = f"privacy/diff?from={since}&to={version}" if since else f"privacy?version={version}"
    refused = f" until {until}" if until else ""
    return Written(
        f"Our privacy policy changes on {effective}",
        (
            f"{hello(place)} Our privacy policy changes. The new version takes effect on {effective} at the earliest; "
            "until then everything stays as it is.",
            "This is what changes, line by line:",
            place.link(page),
            "You can accept it or refuse it, here:",
            place.link("settings/data"),
            f"Who refuses keeps the old terms{refused}. Nothing of yours is lost in any case: you can take all of it "
            "with you or have it erased, at the same place.",
        ),
    )


def _erasure_asked(fields: Fields, place: Place) -> Written:
    due, token = said(fields, "due"), _segment(fields, "receipt_token")
    receipt = (
        ("What has been erased can be seen afterwards on this page; keep the link:", place.link(f"erasure/{token}"))
        if token
        else ()
    )
    return Written(
        f"Your account is erased on {due}",
        (
            f"{hello(place)} Somebody who knows your password has asked us to erase your account and all it holds.",
            f"This happens on {due}. Until then everything works as before, and you can undo it here:",
            place.link("settings/data"),
            "After that nobody can bring anything back, nor can we. If you want to keep something, export it before.",
            "If it was not you, undo it and change your password.",
            *receipt,
        ),
    )


def _erasure_cancelled(fields: Fields, place: Place) -> Written:
    return Written(
        "Your account stays",
        (
            f"{hello(place)} The erasure of your account was undone. Everything is as it was before.",
            "If it was not you, change your password; who may sign in can be seen here:",
            place.link("settings/data"),
        ),
    )


def _disclosure(fields: Fields, place: Place) -> Written:
    basis = said(fields, "legal_basis").replace("_", " ")
    day, since, until = (said(fields, name) for name in ("decided", "since", "until"))
    when, why = (f" on {day}" if day else ""), (f" ({basis})" if basis else "")
    period = f" from {since} to {until}" if since > _LONG_AGO and until > _LONG_AGO else ""
    return Written(
        "Data of your account is disclosed",
        (
            f"{hello(place)} A legal order{why} obliges us to hand over data of your account; that was decided{when}.",
            f"What the order names is your messages{period}. They are handed over as they are stored: encrypted, and "
            "we cannot decrypt them. Passwords, and what opens your key, are not among it; we do not have them.",
            "What we may tell you about it stands here:",
            place.link("settings/data"),
        ),
    )


def _concern_answered(fields: Fields, place: Place) -> Written:
    return Written(
        "There is an answer to what you told us",
        (
            f"{hello(place)} You have raised a concern, and somebody has answered it. For your privacy the answer is "
            "not in this mail but here:",
            place.link("settings/data"),
        ),
    )


def _newsletter(fields: Fields, place: Place) -> Written:
    end = "You get this because you have asked for news of this service."
    return Written(said(fields, "subject", _MAX_SUBJECT), (*_paragraphs(fields["text"]), end))


def _contact(fields: Fields, place: Place) -> Written:
    end = f"You can answer to postmaster@{place.domain}, or raise a concern at {place.link('settings/data')}"
    return Written(said(fields, "subject", _MAX_SUBJECT), (hello(place), *_paragraphs(fields["text"]), end))


_PAUSED = {
    "bounces": (
        "Of the last {settled} recipients of your mail, {count} ({percent} %) do not exist or refused it for good. "
        "That usually means that a list is old or was not collected by yourself. Mail servers take it for a sign of "
        "unwanted mail, and then also refuse the mail of everybody else who sends from here; so we stop above 10 %."
    ),
    "complaints": (
        "Of the last {settled} recipients of your mail, {count} ({percent} %) reported it as unwanted. Mail servers "
        "that see this also refuse the mail of everybody else who sends from here; so we stop above 0.3 %."
    ),
}


def _sending_paused(fields: Fields, place: Place) -> Written:
    told = {name: said(fields, name, 20) for name in ("settled", "count", "percent")}
    why = _PAUSED.get(fields["reason"], "An operator of this installation has paused your sending.")
    return Written(
        "Your sending is paused",
        (
            f"{hello(place)} We have paused the sending of mail from your account.",
            why.format(**told),
            "Nothing is lost: you go on receiving mail, and you can read, export and delete everything as before. Only "
            "new mail from you is not taken for now.",
            "What helps: take the addresses that failed or complained off your lists, write only to people who asked "
            f"for it, and offer a way to unsubscribe in each mail. Then write to postmaster@{place.domain} and say "
            "what you have changed; a person will look at it and switch your sending on again.",
            "Should this be our mistake, we are sorry; the same address helps.",
        ),
    )


def _forwarding_limited(fields: Fields, place: Place) -> Written:
    return Written(
        "No more copies of your mail today",
        (
            f"{hello(place)} {said(fields, 'most', 20)} of your mails have been forwarded today: as many as are "
            "forwarded in a day. What else comes in until midnight UTC is not.",
            "Nothing is lost: every mail is in your mailbox here.",
        ),
    )


LETTERS: Mapping[str, Letter] = MappingProxyType(
    {
        "policy_change": Letter(("version", "effective"), _policy_change),
        "erasure_asked": Letter(("due",), _erasure_asked),
        "erasure_cancelled": Letter((), _erasure_cancelled),
        "disclosure": Letter((), _disclosure),
        "concern_answered": Letter((), _concern_answered),
        "newsletter": Letter(("subject", "text"), _newsletter),
        "contact": Letter(("subject", "text"), _contact),
        "sending_paused": Letter(("reason",), _sending_paused),
        "forwarding_limited": Letter(("most",), _forwarding_limited),
        **letters_billing.LETTERS,
    }
)


def names() -> Sequence[str]:
    """Return the names of all letters."""
    return tuple(LETTERS)
