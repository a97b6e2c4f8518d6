"""Builds mails: a header that says nothing of the machine it was written on, a text, files.

Each mail is built once and serves every recipient; only Bcc is in the sender's own copy alone. For people elsewhere who
have a key the same parts become PGP/MIME (RFC 3156), with the header inside once more and the subject nowhere else.
"""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from libs.client.errors import UsageError
from libs.mail import envelope
from libs.mail.letter import Letter as Read
from libs.mail.verdict import Verdict

_ASCII = SMTP.clone(cte_type="7bit")
# Where an address has other letters, the whole header is UTF-8 (RFC 6532).
_WIDE = SMTP.clone(cte_type="7bit", utf8=True)
_LONGEST_LINE = 990


@dataclass(frozen=True)
class Attachment:
    """A file to send along."""

    name: str
    content: bytes

    @classmethod
    def of_file(cls, path: Path) -> Attachment:
        """Return the file at `path`. Raises UsageError."""
        try:
            return cls(path.name, path.read_bytes())
        except OSError as error:
            raise UsageError("attachment", f"the file {path.name} cannot be read") from error


@dataclass(frozen=True)
class Letter:
    """A mail to be sent; addresses are plain ("name@domain")."""

    to: Sequence[str]
    subject: str
    text: str
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()

    @property
    def recipients(self) -> list[str]:
        """Everybody it goes to, each once."""
        return list({address.lower(): address for address in (*self.to, *self.cc, *self.bcc)}.values())


class Composed:
    """A letter of one sender at one moment, with its Message-ID."""

    def __init__(self, letter: Letter, sender: str, date: datetime) -> None:
        """Take what it says. Raises UsageError for addresses that are none, and a subject of several lines."""
        if len(letter.subject.splitlines()) > 1:
            raise UsageError("subject", "a subject is one line")
        self._letter = letter
        self._sender = sender
        self._date = format_datetime(date.replace(microsecond=0))
        self.message_id = f"<{secrets.token_hex(16)}@{sender.rpartition('@')[2]}>"
        addresses = (sender, *letter.recipients)
        self._policy = _ASCII if all(one.isascii() for one in addresses) else _WIDE
        for one in addresses:
            _address(one)

    def mail(self, *, with_bcc: bool = False) -> bytes:
        """Return the whole mail, CRLF."""
        message = _content(self._letter, self._policy)
        self._head(message, self._letter.subject)
        if with_bcc:
            _people(message, "Bcc", self._letter.bcc)
        return message.as_bytes(policy=self._policy)

    def protected(self) -> bytes:
        """Return what PGP/MIME encrypts: the parts, with the header that nobody on the way sees or changes."""
        message = _content(self._letter, self._policy)
        self._head(message, self._letter.subject)
        del message["MIME-Version"]
        message.set_param("protected-headers", "v1")
        return message.as_bytes(policy=self._policy)

    def around(self, armoured: str) -> bytes:
        """Return the mail around an armoured message (RFC 3156, section 4)."""
        message = EmailMessage(self._policy)
        self._head(message, "...")
        boundary = "=_" + secrets.token_hex(16)
        message["MIME-Version"] = "1.0"
        lines = [
            'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";',
            f' boundary="{boundary}"',
            "",
            f"--{boundary}",
            "Content-Type: application/pgp-encrypted",
            "",
            "Version: 1",
            "",
            f"--{boundary}",
            'Content-Type: application/octet-stream; name="encrypted.asc"',
            'Content-Disposition: inline; filename="encrypted.asc"',
            "",
            *armoured.strip().splitlines(),
            "",
            f"--{boundary}--",
            "",
        ]
        head = message.as_bytes(policy=self._policy).removesuffix(b"\r\n")
        return head + "\r\n".join(lines).encode("ascii")

    def envelope(self, rcpt: str) -> bytes:
        """Return the envelope (docs/architecture.md) of the copy for `rcpt`."""
        draft = envelope.draft(Read(bytearray(self.mail()))) | {"sealed_by_sender": True}
        return envelope.finish(draft, rcpt, Verdict())

    def _head(self, message: EmailMessage, subject: str) -> None:
        # In front of the fields of the content.
        fields = message.items()
        for name, _ in fields:
            del message[name]
        message["Date"] = self._date
        _people(message, "From", [self._sender])
        _people(message, "To", self._letter.to)
        _people(message, "Cc", self._letter.cc)
        if subject:
            message["Subject"] = subject
        message["Message-ID"] = self.message_id
        for name, value in fields:
            message[name] = value


def _content(letter: Letter, policy: EmailPolicy[Any]) -> EmailMessage:
    message = EmailMessage(policy)
    lines = letter.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    text = "\n".join(lines) + "\n"
    plain = text.isascii() and all(len(line) <= _LONGEST_LINE for line in lines)
    message.set_content(text, cte="7bit" if plain else "quoted-printable")
    for attachment in letter.attachments:
        kind = mimetypes.guess_type(attachment.name)[0] or ""
        main, _, sub = kind.partition("/")
        if not sub or main in ("message", "multipart"):
            # Neither may be in base64 (RFC 2046, 5.2.1); as plain bytes they may.
            main, sub = "application", "octet-stream"
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name or None)
    return message


def _people(message: EmailMessage, field: str, addresses: Sequence[str]) -> None:
    if addresses:
        message[field] = [_address(one) for one in addresses]


def _address(text: str) -> Address:
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or any(character in text for character in "\r\n<>,; "):
        raise UsageError("address", "an address has the form name@domain")
    try:
        return Address(username=local, domain=domain)
    except (ValueError, IndexError) as error:
        raise UsageError("address", "an address has the form name@domain") from error
