"""What the signature of a sealed mail is worth, told in one of five words and never in a better one than is true.

A certificate is only what the directory said; "verified" therefore means: made by the key that the directory has for
the address that the mail names as its sender, over this very mail, for this very reader. The last two matter, for a
reader can seal on what was sealed to him: what he passes on still carries its writer's signature, but the envelope
inside names another reader, or belongs to another mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from typing import Any

import pysequoia

from libs.mail.letter import Letter

# Made by the sender's key, for us.
VERIFIED = "verified"
# There is no signature.
NONE = "none"
# A key made it, but not the one that the directory has for the sender.
OTHER_KEY = "other-key"
# The right key is named, but the signature does not fit.
BROKEN = "broken"
# There is no certificate to check it with.
UNCHECKED = "unchecked"
# Good signatures on things that do not belong together, or to somebody else.
MISMATCH = "mismatch"

SENTENCES = {
    VERIFIED: "signature verified: written by {sender}",
    NONE: "NOT VERIFIED: sealed by its sender without a signature; anybody here may have written it",
    OTHER_KEY: "NOT VERIFIED: signed by another key than that of {sender}",
    BROKEN: "NOT VERIFIED: the signature does not fit the mail",
    UNCHECKED: "NOT VERIFIED: there is no certificate of {sender} to check the signature with",
    MISMATCH: "NOT VERIFIED: signed by {sender}, but for somebody else or for another mail",
}


@dataclass(frozen=True)
class Opened:
    """A message that was opened, and the word for its signature."""

    plaintext: bytes
    signature: str


def open_checked(decryptor: pysequoia.PyDecryptor, message: bytes, writer: bytes | None) -> Opened:
    """Open `message` and check its signature with the certificate `writer` (None: there is none).

    Raises: RuntimeError for anything but an intact message to the key of `decryptor`.
    """
    certificate = _certificate(writer)
    named: list[str] = []

    def lookup(ids: Sequence[str]) -> list[pysequoia.Cert]:
        named.extend(one.lower() for one in ids)
        return [certificate] if certificate is not None else []

    try:
        found = pysequoia.decrypt(message, decryptor=decryptor, store=lookup)
    except RuntimeError:
        # Not verified, or not intact; the second shows now.
        plain = pysequoia.decrypt(message, decryptor=decryptor).bytes
        return Opened(plain or b"", _why_not(certificate, named))
    return Opened(found.bytes or b"", VERIFIED if found.valid_sigs else NONE)


def check_detached(content: bytes, signature: bytes, writer: bytes | None) -> str:
    """Return the word for a signature beside what it signs (RFC 3156 5). Raises: RuntimeError if it is none."""
    certificate = _certificate(writer)
    made = pysequoia.Sig.from_bytes(signature)
    named: list[str] = []

    def lookup(ids: Sequence[str]) -> list[pysequoia.Cert]:
        named.extend(one.lower() for one in ids)
        return [certificate] if certificate is not None else []

    try:
        found = pysequoia.verify(content, store=lookup, signature=made)
    except RuntimeError:
        return _why_not(certificate, named)
    return VERIFIED if found.valid_sigs else NONE


def judge(envelope: Any, content: bytes, words: Sequence[str], reader: str) -> str:
    """Return the word for a mail whose envelope and content have these words each, opened by `reader`."""
    for word in (OTHER_KEY, BROKEN, UNCHECKED, NONE):
        if word in words:
            return word
    fields = Letter(bytearray(content)).fields
    writers = [address.lower() for _, address in getaddresses([fields.first(b"from")]) if address]
    together = (
        len(fields.all(b"from")) == 1
        and writers == [sender_of(envelope)]
        and isinstance(envelope, dict)
        and envelope.get("message_id") == fields.first(b"message-id")
    )
    return VERIFIED if together and is_for(envelope, reader) else MISMATCH


def is_for(envelope: Any, reader: str) -> bool:
    """Tell whether the envelope of a mail that its sender has sealed names `reader` as whom it was sealed to."""
    return isinstance(envelope, dict) and str(envelope.get("rcpt", "")).lower() == reader.lower()


def sender_of(envelope: Any) -> str:
    """Return the address that an envelope names as the sender, lower-case; "" if none."""
    sender = envelope.get("from") if isinstance(envelope, dict) else None
    return str(sender.get("address", "")).lower() if isinstance(sender, dict) else ""


def _certificate(data: bytes | None) -> pysequoia.Cert | None:
    try:
        return pysequoia.Cert.from_bytes(data) if data else None
    except RuntimeError:
        return None


def _why_not(certificate: pysequoia.Cert | None, named: Sequence[str]) -> str:
    if not named:
        return NONE
    if certificate is None:
        return UNCHECKED
    primary = str(certificate.fingerprint).lower()
    return BROKEN if any(primary.endswith(one) for one in named) else OTHER_KEY
