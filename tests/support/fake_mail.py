"""Builds an envelope (docs/architecture.md) from a mail, for the fake gateway; the real one is made by ingest.

It leans on the standard library's parser and is meant for mails that a test wrote, not for hostile structure.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
from email.message import EmailMessage, Message
from typing import Any


def envelope_of(raw: bytes, rcpt: str) -> dict[str, Any]:
    """Return the envelope of `raw` as a JSON-ready object."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    name, address = email.utils.parseaddr(str(mail.get("From", "")))
    return {
        "v": 1,
        "from": {"name": name, "address": address},
        "to": [{"name": n, "address": a} for n, a in email.utils.getaddresses([str(mail.get("To", ""))])][:50],
        "cc": [],
        "rcpt": rcpt,
        "subject": str(mail.get("Subject", ""))[:500],
        "date": _date(mail),
        "preview": _preview(mail)[:200],
        "attachments": _attachments(mail),
        "message_id": str(mail.get("Message-ID", "")),
        "auth": _auth(str(mail.get("X-Test-Auth", "none none none"))),
        "encrypted": mail.get_content_type() == "multipart/encrypted",
    }


def _date(mail: Message[str, str]) -> str:
    parsed = email.utils.parsedate_to_datetime(str(mail["Date"])) if mail["Date"] else None
    return parsed.isoformat() if parsed else ""


def _preview(mail: Message[str, str]) -> str:
    body = mail.get_body(("plain",)) if isinstance(mail, EmailMessage) else None
    try:
        return " ".join(str(body.get_content()).split()) if body else ""
    except (LookupError, KeyError, UnicodeError):
        return ""


def _attachments(mail: Message[str, str]) -> list[dict[str, Any]]:
    found = []
    for part in mail.walk():
        if part.get_filename() and not part.is_multipart():
            content = part.get_payload(decode=True)
            size = len(content) if isinstance(content, bytes) else 0
            found.append({"name": part.get_filename(), "type": part.get_content_type(), "size": size})
    return found[:50]


def _auth(words: str) -> dict[str, str]:
    spf, dkim, dmarc = (words.split() + ["none"] * 3)[:3]
    return {"spf": spf, "dkim": dkim, "dmarc": dmarc}
