"""Makes DKIM-Signature fields (RFC 6376) around a signature that is made elsewhere: private keys never come here.

dkimpy's own signing wants the private key, so its pieces are used one by one for the header, and what is written here
is only the field itself. Canonicalisation is relaxed/relaxed, which survives what relays do to white space. The body is
hashed in blocks (libs.mail.bodyhash): in one piece, dkimpy's way takes many copies, and holds the interpreter for as
long as a mail of 50 MB takes.

Fields that a reader sees, or that decide how the body is read, are signed once more than they are there, so that none
can be added (RFC 6376 8.15). There is no `l=`: what is appended to a body breaks the signature (8.2).
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

import dkim
from dkim.canonicalization import Relaxed

from libs.mail.bodyhash import body_hash
from libs.mail.fields import block_end

LIFETIME_SECONDS = 7 * 86400

# Signed once more than they are there.
_CLOSED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"references", b"in-reply-to"),
    *(b"mime-version", b"content-type", b"list-unsubscribe", b"list-unsubscribe-post"),
)
# Signed where they are there; mailing lists add some of them.
_OPEN = (
    *(b"sender", b"content-transfer-encoding", b"content-disposition", b"auto-submitted", b"feedback-id", b"list-id"),
    *(b"list-help", b"list-subscribe", b"list-post", b"list-owner", b"list-archive", b"autocrypt"),
)
_MOST_REPEATED = 50
_BETWEEN_FIELDS = re.compile(rb"\r\n(?![ \t])")
_END = b"\r\n"
_NAMES_PER_LINE = 5

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Key:
    """A published key. `algorithm` is "rsa-sha256" or "ed25519-sha256"."""

    selector: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class Digested:
    """A mail as far as signatures need it: names to be signed, the hash of these fields so far, that of the body."""

    signed: list[bytes]
    header: hashlib._Hash
    body_hash: bytes


class BodyHashes:
    """Remembers the hashes of a few bodies: a mail to a thousand recipients, each with fields of his own, has one body.

    It is found again by the hash of its bytes, which costs less than the canonical form. Thread-safe.
    """

    def __init__(self, most: int = 64) -> None:
        """Remember `most` bodies."""
        self._most = most
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, content: bytes, start: int) -> bytes:
        """Return the SHA-256 of the relaxed body content[start:]."""
        name = hashlib.sha256(memoryview(content)[start:]).digest()
        with self._lock:
            known = self._known.get(name)
        if known is not None:
            return known
        made, _ = body_hash(content, start, b"relaxed", b"rsa-sha256")
        with self._lock:
            self._known[name] = made
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


def digest(content: bytes, bodies: BodyHashes) -> Digested:
    """Read a mail that was prepared (domain.prepare). Large new bodies take a while: 30 ms for each MB."""
    end = block_end(content, 0, len(content))
    fields: list[Field] = []
    for line in _BETWEEN_FIELDS.split(content[:end].removesuffix(_END)):
        name, _, value = line.partition(b":")
        fields.append((name, value + _END))
    canonical = Relaxed.canonicalize_headers(fields)
    signed = _signed_names(canonical)
    # The same for every key: each adds its own field.
    hasher = hashlib.sha256()
    for name, value in dkim.select_headers(canonical, signed):
        hasher.update(b"%b:%b" % (name, value))
    return Digested(signed, hasher, bodies.of(content, min(end + 2, len(content))))


def unsigned_field(digested: Digested, domain: str, key: Key, now: int) -> bytes:
    """Return the value of the field with an empty `b=` at its end. `now` in Unix seconds."""
    names = digested.signed
    lines = [b":".join(names[at : at + _NAMES_PER_LINE]) for at in range(0, len(names), _NAMES_PER_LINE)]
    about = f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\r\n\ts={key.selector}"
    times = f"t={now}; x={now + LIFETIME_SECONDS}"
    folded = b":\r\n\t ".join(lines)
    hashed = base64.b64encode(digested.body_hash)
    return f" {about}; {times};\r\n\th=".encode() + folded + b";\r\n\tbh=" + hashed + b";\r\n\tb="


def header_digest(digested: Digested, unsigned: bytes) -> bytes:
    """Return the SHA-256 of the canonical header (RFC 6376 3.7) that the key signs; `unsigned` is unsigned_field's."""
    ((name, value),) = Relaxed.canonicalize_headers([(b"DKIM-Signature", unsigned)])
    hasher = digested.header.copy()
    hasher.update(b"%b:%b" % (name, value.rstrip()))
    return hasher.digest()


def signed_field(unsigned: bytes, signature: bytes) -> bytes:
    """Return the whole field, CRLF at its end."""
    encoded = base64.b64encode(signature)
    lines = [encoded[at : at + 72] for at in range(0, len(encoded), 72)]
    return b"DKIM-Signature:" + unsigned + b"\r\n\t ".join(lines) + _END


def _signed_names(fields: list[Field]) -> list[bytes]:
    count = dict.fromkeys((*_CLOSED, *_OPEN), 0)
    for name, _ in fields:
        if name in count:
            count[name] += 1
    names: list[bytes] = []
    for name, times in count.items():
        names += [name] * (min(times, _MOST_REPEATED) + (name in _CLOSED))
    return names
