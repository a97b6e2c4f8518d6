"""What a report says to people: what happened to a mail, and what they can do about it.

The sentences are chosen by the enhanced status code (RFC 3463, and the registry of RFC 5248), the most exact one that
is known: by all of it, by its last two parts' class, or by nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

_EXACT = {
    "1.1": "There is no such address. Check it for typing mistakes.",
    "1.2": "There is no such mail domain. Check what stands behind the @ for typing mistakes.",
    "1.3": "The address is not written as addresses are. Check it for typing mistakes.",
    "1.6": "The mailbox has moved, and where to is not known. Ask the recipient for the new address.",
    "1.10": "This domain takes no mail at all. Ask the recipient for another address.",
    "2.1": "The mailbox is switched off. Ask the recipient for another address.",
    "2.2": "The mailbox is full. Tell the recipient by other means, and send the mail again later.",
    "2.3": "The mail is larger than the recipient's mailbox takes. Send less, or a link to it.",
    "3.4": "The mail is larger than the recipient's server takes. Send less, or a link to it.",
    "4.1": "The recipient's server could not be reached. Try again later, or tell the recipient by other means.",
    "4.4": "The DNS does not tell which server takes mail for this domain. Check the domain for typing mistakes.",
    "4.6": "The mail goes round in a loop between servers. The recipient's postmaster has to mend this.",
    "4.7": "Nobody took the mail in time. Try again later, or tell the recipient by other means.",
    "6.7": "The recipient's server does not take addresses with letters beyond ASCII. Ask for another address.",
    "7.10": "The recipient's domain demands encryption on the way that its server did not offer; nothing was sent.",
    "7.1": "The recipient's server does not take this mail by its rules. Tell the recipient by other means.",
    "7.26": "The recipient's server could not verify who sent the mail. Tell your postmaster.",
}
_BY_SUBJECT = {
    "1": "The address was not taken. Check it for typing mistakes.",
    "2": "The recipient's mailbox does not take the mail. Tell the recipient by other means.",
    "3": "The recipient's server has a fault or a limit that keeps it from taking the mail.",
    "4": "The recipient's server could not be reached. Try again later, or tell the recipient by other means.",
    "5": "The recipient's server and ours did not understand each other. Tell your postmaster.",
    "6": "The recipient's server does not take mail with this content. Send it in another form.",
    "7": "The recipient's server refused the mail by its rules. Tell the recipient by other means.",
}
_UNKNOWN = "The recipient's server did not take the mail."
UNWANTED = "The recipient has asked for no more mail from you, so it was not sent."
"""For a recipient on the sender's own list of those who are not written to."""


def explain(status: str) -> str:
    """Return one or two sentences on a status code such as "5.1.1"; "" and unknown codes have theirs too."""
    subject_detail = status.partition(".")[2]
    return _EXACT.get(subject_detail) or _BY_SUBJECT.get(subject_detail.partition(".")[0]) or _UNKNOWN


def moment(seconds: int) -> str:
    """Return Unix seconds as "22 November 2026, 17:00 UTC"."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
