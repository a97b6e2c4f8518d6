"""The return path of a mail says which mail and which recipient a report that comes back is about (VERP).

b-<token>@<bounce domain>; the token is base32 (RFC 4648 6) in lower case without padding of the mail's id (16 bytes),
the recipient's position (2 bytes) and 8 bytes of a keyed hash of both. Reports find their mail without anything being
stored for them, and nobody can make up an address that takes reports: 64 bits cannot be guessed over SMTP. Base32,
because local parts are lower-cased on the way; there are 42 characters for 208 bits, and only the spelling made here
is read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from dataclasses import dataclass

from libs.envelope import KeyedHash

# Stands for all recipients of a transaction together.
ALL_RECIPIENTS = 0xFFFF

_CHECK_BYTES = 8
_ADDRESS = re.compile(r"b-([a-z2-7]{42})@([a-z0-9.-]{1,253})\Z")
_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """What a return path stands for. `index` is the recipient's position in the mail, or ALL_RECIPIENTS."""

    mail_id: str
    index: int


class ReturnPaths:
    """Makes and reads return paths."""

    def __init__(self, hashes: KeyedHash, bounce_domain: str) -> None:
        """Take what signs, and the domain of all return paths."""
        self._hashes = hashes
        self._domain = bounce_domain.lower()

    def make(self, mail_id: str, index: int = ALL_RECIPIENTS) -> str:
        """Return the address that reports about recipient `index` (0 to 65534) of a mail come to."""
        if not _ID.match(mail_id) or not 0 <= index <= ALL_RECIPIENTS:
            raise ValueError("a return path is made of an id and a position")
        return f"b-{self._token(bytes.fromhex(mail_id) + index.to_bytes(2, 'big'))}@{self._domain}"

    def read(self, address: str) -> ReturnPath | None:
        """Return what `address` stands for, in any case; None if it was not made here.

        Takes the same time whichever character of a token is wrong.
        """
        match = _ADDRESS.match(address.lower()) if len(address) <= 300 and address.isascii() else None
        if match is None or match[2] != self._domain:
            return None
        try:
            named = base64.b32decode(match[1].upper() + "======")[:-_CHECK_BYTES]
        except binascii.Error:
            return None
        if not hmac.compare_digest(self._token(named), match[1]):
            return None
        return ReturnPath(named[:16].hex(), int.from_bytes(named[16:], "big"))

    def _token(self, named: bytes) -> str:
        check = self._hashes.digest("return_path", named)[:_CHECK_BYTES]
        return base64.b32encode(named + check).decode().rstrip("=").lower()
