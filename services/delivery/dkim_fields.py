"""Makes DKIM-Signature fields (RFC 6376) around a signature that is made elsewhere: private keys never come here.

dkimpy's own signing wants the private key. Canonicalisation is relaxed/relaxed, which survives what relays do to white
space; only fields that are signed are brought into that form, and in fewer steps than dkimpy takes. The body is hashed
in blocks (libs.mail.bodyhash): in one piece, dkimpy's way takes many copies, and holds the interpreter for as long as a
mail of 50 MB takes.

Fields that a reader sees, or that decide how the body is read, are signed once more than they are there, so that none
can be added (RFC 6376 8.15). There is no `l=`: what is appended to a body breaks the signature (8.2).
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
_LINE_END = re.compile(rb"\r?\n")
_SPACES = re.compile(rb"[\t ]+")
# What bytes.split() takes for white space as well, and RFC 5322 does not.
_ODD = re.compile(rb"[\x0b\x0c\r\n]")
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
    """A mail as far as signatures need it: names to be signed, the hash of these fields so far, that of the body.

    The names stand as they do in `h=`, folded.
    """

    signed: bytes
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
    fields: dict[bytes, list[bytes]] = {}
    for line in _BETWEEN_FIELDS.split(content[:end].removesuffix(_END)):
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower().rstrip(), []).append(value)
    names = _signed_names(fields)
    # From the last of each name to the first (RFC 6376 5.4.2); one that is not there adds nothing.
    chosen = [b"%b:%b\r\n" % (name, canonical(fields[name].pop())) for name in names if fields.get(name)]
    lines = [b":".join(names[at : at + _NAMES_PER_LINE]) for at in range(0, len(names), _NAMES_PER_LINE)]
    # The same for every key: each adds its own field.
    hasher = hashlib.sha256(b"".join(chosen))
    return Digested(b":\r\n\t ".join(lines), hasher, bodies.of(content, min(end + 2, len(content))))


def unsigned_field(digested: Digested, domain: str, key: Key, now: int) -> bytes:
    """Return the value of the field with an empty `b=` at its end. `now` in Unix seconds."""
    about = f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\r\n\ts={key.selector}"
    times = f"t={now}; x={now + LIFETIME_SECONDS}"
    hashed = base64.b64encode(digested.body_hash)
    return f" {about}; {times};\r\n\th=".encode() + digested.signed + b";\r\n\tbh=" + hashed + b";\r\n\tb="


def header_digest(digested: Digested, unsigned: bytes) -> bytes:
    """Return the SHA-256 of the canonical header (RFC 6376 3.7) that the key signs; `unsigned` is unsigned_field's."""
    hasher = digested.header.copy()
    hasher.update(b"dkim-signature:" + canonical(unsigned))
    return hasher.digest()


def signed_field(unsigned: bytes, signature: bytes) -> bytes:
    """Return the whole field, CRLF at its end."""
    encoded = base64.b64encode(signature)
    lines = [encoded[at : at + 72] for at in range(0, len(encoded), 72)]
    return b"DKIM-Signature:" + unsigned + b"\r\n\t ".join(lines) + _END


def canonical(value: bytes) -> bytes:
    """Return the value of a field in relaxed form (RFC 6376 3.4.2), without a line end."""
    if b"\n" in value:
        value = _LINE_END.sub(b"", value)
    if _ODD.search(value):
        return _SPACES.sub(b" ", value).strip()
    return b" ".join(value.split())


def _signed_names(fields: Mapping[bytes, Sequence[bytes]]) -> list[bytes]:
    names: list[bytes] = []
    for name in _CLOSED:
        names += [name] * (min(len(fields.get(name, ())), _MOST_REPEATED) + 1)
    for name in _OPEN:
        if name in fields:
            names += [name] * min(len(fields[name]), _MOST_REPEATED)
    return names
