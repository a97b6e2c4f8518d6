"""What clients say inside AUTH (RFC 4954): base64, PLAIN (RFC 4616) and LOGIN, read strictly.

LOGIN was never more than a draft, but there are programs that know nothing else. Nobody may act as somebody else here,
so an authorization identity is either left out or the same. A password is wrapped the moment it is read; no error
carries any of it: exceptions of decoders do, so none of them is passed on, not even as a context.
"""

from __future__ import annotations

import base64
import binascii

from libs.runtime.secret import Secret
from services.ingest import replies
from services.ingest.domain import Proof

MECHANISMS = ("PLAIN", "LOGIN")
# "Username:" and "Password:", the only challenges that every client of LOGIN understands.
USER_NAME = "VXNlcm5hbWU6"
PASSWORD = "UGFzc3dvcmQ6"  # noqa: S105 - a prompt
# 767 octets (RFC 4616 2: three strings of up to 255, two NULs) in base64, and room.
MAX_RESPONSE = 2048

_MAX_OCTETS = 255
_CANCEL = b"*"
_EMPTY = b"="


class SaslError(Exception):
    """The exchange has failed; `reply` says how, `outcome` is a word of meters.SIGN_INS."""

    def __init__(self, reply: str, outcome: str = "malformed") -> None:
        """Take the reply."""
        super().__init__(outcome)
        self.reply = reply
        self.outcome = outcome


def decode(response: bytes) -> bytes:
    """Return the octets of a response. Raises SaslError: cancelled, too long, or not base64."""
    if response == _CANCEL:
        raise SaslError(replies.CANCELLED, "cancelled")
    if len(response) > MAX_RESPONSE:
        raise SaslError(replies.PROOF_TOO_LONG)
    decoded = _base64(response)
    if decoded is None:
        raise SaslError(replies.NOT_A_PROOF)
    return decoded


def decode_initial(response: str) -> bytes:
    """Return the octets of an initial response, in which "=" stands for none. Raises SaslError."""
    encoded = response.encode()
    return b"" if encoded == _EMPTY else decode(encoded)


def read_plain(message: bytes) -> Proof:
    """Return what the message of PLAIN says. Raises SaslError."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError(replies.NOT_A_PROOF)
    authorization, authentication, password = parts
    proof = read_login(authentication, password)
    if authorization not in (b"", authentication):
        raise SaslError(replies.WRONG_PROOF, "wrong")
    return proof


def read_login(name: bytes, password: bytes) -> Proof:
    """Return what the two responses of LOGIN say. Raises SaslError."""
    return Proof(_text(name), Secret(_text(password)))


def _text(octets: bytes) -> str:
    text = _utf8(octets) if len(octets) <= _MAX_OCTETS else ""
    if not text or "\0" in text:
        raise SaslError(replies.NOT_A_PROOF)
    return text


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return ""


def _base64(encoded: bytes) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
