"""Makes the envelope: the short JSON that a list of mails is shown from (docs/architecture.md, "Envelope").

It is read off the mail in memory, once, and sealed before anything is stored. Every text in it is clean and bounded.
Should the whole still exceed 16 KiB, lists and texts are cut shorter, step by step, until it does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_tz
from typing import Any, TypeAlias

from libs.mail.fields import MAX_TEXT, Address
from libs.mail.letter import Letter
from libs.mail.mime import Structure, walk
from libs.mail.text import clean
from libs.mail.verdict import Verdict

MAX_BYTES = 16 * 1024
_LISTS = ("to", "cc", "attachments")
_MAX_LIST = 50
# Entries in a list, characters in a text: each step a good deal shorter than the one before.
_CUTS = ((50, 500), (20, 200), (10, 100), (5, 80), (1, 50))

Draft: TypeAlias = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def draft(letter: Letter) -> Draft:
    """Return the envelope without `rcpt` and `auth`, which differ by copy and come later."""
    header = letter.fields
    structure = walk(letter.content, header, letter.body) if letter.readable else Structure(complete=False)
    senders = header.addresses(b"from") or [Address("", "")]
    made: Draft = {
        "v": 1,
        "from": _shown(senders[0]),
        "to": [_shown(address) for address in header.addresses(b"to")],
        "cc": [_shown(address) for address in header.addresses(b"cc")],
        "rcpt": "",
        "subject": header.text(b"subject"),
        "date": read_date(header.first(b"date")),
        "preview": structure.preview,
        "attachments": [
            {"name": part.name, "type": part.type, "size": part.size} for part in structure.attachments[:_MAX_LIST]
        ],
        "message_id": clean(header.first(b"message-id"), MAX_TEXT),
        "auth": {},
        "encrypted": structure.encrypted,
    }
    if not structure.complete:
        made["unparsed"] = True
    return made


def finish(draft: Draft, recipient: str, verdict: Verdict) -> bytes:
    """Return the JSON for the copy of `recipient`, at most 16 KiB."""
    auth = {"spf": verdict.spf, "dkim": verdict.dkim, "dmarc": verdict.dmarc}
    made = draft | {"rcpt": clean(recipient, MAX_TEXT), "auth": auth}
    encoded = _encode(made).encode()
    for entries, characters in _CUTS:
        if len(encoded) <= MAX_BYTES:
            break
        for name in _LISTS:
            made[name] = made[name][:entries]
        encoded = _encode(_shortened(made, characters)).encode()
    return encoded


def read_date(text: str) -> str | None:
    """Return the RFC 3339 time in UTC of a Date field, None if it is none."""
    try:
        parsed = parsedate_tz(text[:100])
        if parsed is None:
            return None
        local = datetime(*parsed[:6], tzinfo=UTC).timestamp()
        moment = datetime.fromtimestamp(local - (parsed[9] or 0), UTC)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1000 else None


def _shown(address: Address) -> dict[str, str]:
    return {"name": address.name, "address": address.address}


def _shortened(value: Any, characters: int) -> Any:
    if isinstance(value, str):
        return value[:characters]
    if isinstance(value, dict):
        return {name: _shortened(part, characters) for name, part in value.items()}
    if isinstance(value, Sequence):
        return [_shortened(part, characters) for part in value]
    return value
