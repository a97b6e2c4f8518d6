"""Return paths of forwarded mail (Sender Rewriting Scheme): addresses of ours, so that SPF holds for the next hop.

SRS0=<check>=<day>=<copy>@<bounce domain>: 8 bytes of a keyed hash, the day it was made (modulo 1,024, as in SRS), and
which copy to which recipient of it; each in base32 (RFC 4648 6), lower case. The scheme's own form puts the original
sender behind the day in clear. That shows him to everybody who sees the envelope, and does not fit into 64 octets for
every address, sealed even less; the queue knows him anyway, sealed, for as long as the address is good. The shape is
kept, because forwarders behind us know it: they shorten a chain to SRS1=...=<our domain>==<the rest>, and what comes
back unwinds to exactly this. An SRS address that we get as a sender is wrapped like any other.

The day is inside the hash. Whoever holds such an address can have one report delivered to one stranger, for 14 days:
longer than a mail is tried, and than servers take to give up.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass

from libs.envelope import KeyedHash
from libs.runtime.errors import InvalidError

VALID_DAYS = 14
MAX_INDEX = 255

_DAY = 86400
_DAYS = 1024
_CHECK_BYTES = 8
_PREFIX = re.compile(r"srs[01][=+-]")
_LOCAL = re.compile(r"srs0[=+-]([a-z2-7]{13})=([a-z2-7]{2})=([a-z2-7]{28})\Z")
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class ForwardedCopy:
    """What such an address stands for: recipient `index` of a forwarded mail."""

    mail_id: str
    index: int


class ForwardPaths:
    """Makes and reads return paths of forwarded mail."""

    def __init__(self, hashes: KeyedHash, bounce_domain: str) -> None:
        """Take what signs, and the domain of all return paths."""
        self._hashes = hashes
        self._domain = bounce_domain.lower()

    def make(self, copy: ForwardedCopy, now: int) -> str:
        """Return the address that a copy goes out with; 50 octets before the "@". `now` in Unix seconds."""
        if not _ID.match(copy.mail_id) or not 0 <= copy.index <= MAX_INDEX:
            raise ValueError("a return path is made of an id and a position")
        day = now // _DAY % _DAYS
        stamp = _DIGITS[day >> 5] + _DIGITS[day & 31]
        named = _text(bytes.fromhex(copy.mail_id) + bytes([copy.index]))
        return f"SRS0={self._check(stamp, named)}={stamp}={named}@{self._domain}"

    def is_one(self, address: str) -> bool:
        """Tell whether an address has the shape of one: then it is one of ours or forged."""
        local, _, domain = address.lower().rpartition("@")
        return domain == self._domain and _PREFIX.match(local) is not None

    def read(self, address: str, now: int) -> ForwardedCopy:
        """Return what an address stands for, in any case. `now` in Unix seconds.

        Raises: InvalidError("return_path_forged" | "return_path_expired"); the time taken does not tell how forged.
        """
        local, _, domain = address.lower().rpartition("@")
        match = _LOCAL.match(local)
        if match is None or domain != self._domain:
            raise InvalidError("return_path_forged")
        check, stamp, named = match.groups()
        if not hmac.compare_digest(self._check(stamp, named), check):
            raise InvalidError("return_path_forged")
        made = _DIGITS.index(stamp[0]) << 5 | _DIGITS.index(stamp[1])
        # A day of grace for clocks that are ahead of ours.
        if (now // _DAY + 1 - made) % _DAYS > VALID_DAYS + 1:
            raise InvalidError("return_path_expired")
        held = base64.b32decode(named.upper() + "====")
        return ForwardedCopy(held[:16].hex(), held[16])

    def _check(self, stamp: str, named: str) -> str:
        return _text(self._hashes.digest("srs0", f"{stamp}={named}".encode())[:_CHECK_BYTES])


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
