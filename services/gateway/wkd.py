"""The Web Key Directory (draft-koch-openpgp-webkey-service): how an address is turned into a look-up.

Both ways: asked by others about our members, and asking others about theirs.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple
from urllib.parse import quote

import idna

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
_NAME = re.compile(rf"[{_ALPHABET}]{{32}}\Z")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")
_HOST = re.compile(r"([a-zA-Z0-9.-]{1,253})(?::[0-9]{1,5})?\Z")


def z_base_32(data: bytes) -> str:
    """Return `data` in z-base-32 (RFC 6189, section 5.1.6); its length must be a multiple of 5 bytes."""
    bits = int.from_bytes(data, "big")
    count = len(data) * 8 // 5
    return "".join(_ALPHABET[(bits >> (5 * (count - 1 - place))) & 31] for place in range(count))


def hash_of(local_part: str) -> str:
    """Return the directory's name of a local part: z-base-32 of the SHA-1 of its lower-case UTF-8."""
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in local_part)
    # SHA-1 is what the draft names; nothing rests on its strength.
    return z_base_32(hashlib.sha1(lowered.encode(), usedforsecurity=False).digest())


def is_hash(text: str) -> bool:
    """Tell whether `text` can be a name in the directory."""
    return _NAME.match(text) is not None


def canonical_domain(text: str) -> str | None:
    """Return a domain in lower-case A-labels, None where it cannot be one."""
    if not 0 < len(text) <= 253:
        return None
    lowered = text.lower()
    if not lowered.isascii():
        try:
            lowered = idna.encode(text, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    return lowered if _DOMAIN.match(lowered) else None


def host_of(field: str) -> str:
    """Return the name in a Host field, without its port; "" where it is an address or malformed."""
    match = _HOST.match(field)
    return match.group(1) if match else ""


class Urls(NamedTuple):
    """Where the certificate of an address is: at a host of its own, or at the domain itself."""

    advanced: str
    direct: str


def urls_of(local_part: str, domain: str, port: int = 443) -> Urls:
    """Return where to look for an address (section 3.1); `domain` is canonical. Another port is for tests alone."""
    at = "" if port == 443 else f":{port}"
    name = f"hu/{hash_of(local_part)}?l={quote(local_part, safe='')}"
    return Urls(
        f"https://openpgpkey.{domain}{at}/.well-known/openpgpkey/{domain}/{name}",
        f"https://{domain}{at}/.well-known/openpgpkey/{name}",
    )


def canonical_address(address: str) -> tuple[str, str] | None:
    """Return local part and canonical domain; None where that cannot be looked up."""
    local_part, at, domain = address.rpartition("@")
    canonical = canonical_domain(domain)
    if not at or not local_part or canonical is None or "." not in canonical:
        return None
    return local_part, canonical
