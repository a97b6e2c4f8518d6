"""Makes ARC sets (RFC 8617) around signatures that are made elsewhere: private keys never come here.

A set says what our MX found out about a mail (ARC-Authentication-Results), signs the mail as it leaves
(ARC-Message-Signature, like DKIM), and seals both with all the sets before it (ARC-Seal). The mail itself stays as it
is: the fields go in front, and what its author signed still holds.

The chain before us is one of three: none, valid, or found broken by our MX. A broken one is sealed as that, over our
own set alone (5.1.2), once: behind a seal that says "fail", or at 50 sets, nobody may add one. dkimpy could make all
this, but wants the private key; its canonical forms are used one by one, as with DKIM.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import dkim
from dkim.canonicalization import Relaxed

from libs.mail.fields import begins_with_field, block_end
from services.delivery.dkim_fields import BodyHashes, Field

MAX_SETS = 50

_SET = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_SIGNED = (
    *(b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding", b"content-id", b"content-description"),
    *(b"resent-date", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-message-id"),
    *(b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post"),
    *(b"list-owner", b"list-archive", b"feedback-id", b"autocrypt", b"dkim-signature"),
)
_MOST_REPEATED = 20
_BETWEEN_FIELDS = re.compile(rb"\r\n(?![ \t])")
_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*\Z")
_INSTANCE = re.compile(rb"(?:\A|;)\s*i\s*=\s*(\d{1,9})\s*(?:;|\r|\Z)")
_END = b"\r\n"
_NAMES_PER_LINE = 5
_BASE64_LINE = 72


@dataclass(frozen=True, slots=True)
class Link:
    """Who adds a set: domain and selector of the key, the id under which results are told, and when (Unix seconds)."""

    domain: str
    selector: str
    authserv_id: str
    now: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A mail as far as a new set needs it: its number, the sets that the seal covers, and the canonical header."""

    instance: int
    status: str
    before: Sequence[Field]
    header: Sequence[Field]
    body_hash: bytes


def read_chain(content: bytes, status: str, bodies: BodyHashes) -> Chain | None:
    """Return what a new set is made of, None where none may be added or the mail is none that can be signed.

    `status` is what was found of the chain: "none", "pass" or "fail"; for anything else there is nothing to say.
    """
    if status not in ("none", "pass", "fail") or not begins_with_field(content):
        return None
    end = block_end(content, 0, len(content))
    fields: list[Field] = []
    for line in _BETWEEN_FIELDS.split(content[:end].removesuffix(_END)):
        name, colon, value = line.partition(b":")
        if not colon or not _FIELD_NAME.match(name):
            return None
        fields.append((name, value + _END))
    canonical: list[Field] = Relaxed.canonicalize_headers(fields)
    sets = _sets(canonical)
    newest = max(sets, default=0)
    if newest >= MAX_SETS or not any(name == b"from" for name, _ in canonical):
        return None
    before: list[Field] = []
    if status == "pass":
        if sorted(sets) != list(range(1, newest + 1)) or any(set(one) != set(_SET) for one in sets.values()):
            return None
        before = [(name, sets[number][name]) for number in range(1, newest + 1) for name in _SET]
    elif status == "none" and newest:
        return None
    return Chain(newest + 1, status, before, canonical, bodies.of(content, min(end + 2, len(content))))


def results_field(chain: Chain, link: Link, results: str) -> Field:
    """Return ARC-Authentication-Results. `results`: everything after "authserv-id;" of Authentication-Results."""
    folded = results.replace("; ", ";\r\n\t")
    return b"ARC-Authentication-Results", f" i={chain.instance}; {link.authserv_id};\r\n\t{folded}\r\n".encode()


def unsigned_message_field(chain: Chain, link: Link) -> tuple[bytes, bytes]:
    """Return the value of ARC-Message-Signature with an empty `b=` at its end, and the SHA-256 that the key signs."""
    names = _signed_names(chain.header)
    lines = [b":".join(names[at : at + _NAMES_PER_LINE]) for at in range(0, len(names), _NAMES_PER_LINE)]
    about = f" i={chain.instance}; a=rsa-sha256; c=relaxed/relaxed; d={link.domain};\r\n\ts={link.selector}"
    hashed = base64.b64encode(chain.body_hash)
    value = f"{about}; t={link.now};\r\n\th=".encode() + b":\r\n\t ".join(lines) + b";\r\n\tbh=" + hashed + b";\r\n\tb="
    return value, _digest(dkim.select_headers(chain.header, names), (b"ARC-Message-Signature", value))


def unsigned_seal(chain: Chain, link: Link, own: Sequence[Field]) -> tuple[bytes, bytes]:
    """Return the value of ARC-Seal with an empty `b=` at its end, and the SHA-256 that the key signs.

    `own`: ARC-Authentication-Results and ARC-Message-Signature of this set, complete.
    """
    value = (
        f" i={chain.instance}; a=rsa-sha256; t={link.now}; cv={chain.status};\r\n"
        f"\td={link.domain}; s={link.selector};\r\n\tb="
    ).encode()
    return value, _digest([*chain.before, *Relaxed.canonicalize_headers(list(own))], (b"ARC-Seal", value))


def signed(name: bytes, unsigned: bytes, signature: bytes) -> Field:
    """Return a whole field, CRLF at its end."""
    encoded = base64.b64encode(signature)
    lines = [encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE)]
    return name, unsigned + b"\r\n\t ".join(lines) + _END


def _digest(covered: Sequence[Field], own: Field) -> bytes:
    hasher = hashlib.sha256()
    for name, value in covered:
        hasher.update(b"%b:%b" % (name, value))
    ((name, value),) = Relaxed.canonicalize_headers([own])
    hasher.update(b"%b:%b" % (name, value.rstrip()))
    return hasher.digest()


def _sets(canonical: Sequence[Field]) -> dict[int, dict[bytes, bytes]]:
    sets: dict[int, dict[bytes, bytes]] = {}
    for name, value in canonical:
        if name in _SET:
            found = _INSTANCE.search(value)
            sets.setdefault(int(found[1]) if found else 0, {})[name] = value
    return sets


def _signed_names(canonical: Sequence[Field]) -> list[bytes]:
    present = [name for name, _ in canonical]
    return [name for name in _SIGNED for _ in range(min(present.count(name), _MOST_REPEATED))]
