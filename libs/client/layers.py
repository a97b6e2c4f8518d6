"""PGP/MIME (RFC 3156): what the platform opened may have been encrypted or signed by whoever wrote it, elsewhere.

What is shown of such a mail is what stood inside, and nothing beside it: whoever passes a mail on can put parts of his
own next to an encrypted one (EFAIL). So the outer mail has to be exactly the two parts that the RFC wants, or it is
shown as it came. Fields inside, the subject above all, count before those outside.

The key to check with is the one that is published for the address in From. To ask for it tells the domain of a stranger
that somebody reads his mail; that is for the reader to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message

from libs.client import signatures
from libs.mail.fields import Fields, block_end, read_parameters

ENCRYPTED, SIGNED = "encrypted", "signed"

SENTENCES = {
    signatures.VERIFIED: "signature verified: written by {sender}, with the key that is published for this address",
    signatures.NONE: "NOT VERIFIED: encrypted to you, but nobody signed it; anybody may have written it",
    signatures.OTHER_KEY: "NOT VERIFIED: signed by another key than that of {sender}",
    signatures.BROKEN: "NOT VERIFIED: it was changed after it was signed, or made to look signed",
    signatures.UNCHECKED: "NOT VERIFIED: signed, but no key of {sender} was found to check it with",
}
ASKABLE = (
    "NOT VERIFIED: signed, perhaps by {sender}; read --check asks their domain for the key, "
    "which then learns that somebody reads this"
)
CLOSED = "encrypted once more, and not to this key: shown as it came"
UNREADABLE = "what stands there as a signature is none"

_MOST_HEADER = 256 * 1024
_LINE_END = re.compile(rb"\r?\n")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")


@dataclass(frozen=True)
class Layer:
    """What is inside: `data` is the message that is encrypted, or the part that is signed, to the byte.

    `sender` is the one address in From, lower-case; `signature` stands beside a part that is signed.
    """

    how: str
    data: bytes
    sender: str
    signature: bytes = b""


def find(mail: bytes) -> Layer | None:
    """Return the layer of a mail, None if it has none or is not made exactly as it ought to be."""
    end = block_end(mail, 0, len(mail))
    fields = Fields(mail[:end])
    sender = _sender(fields)
    kind, parameters = read_parameters(fields.first(b"content-type"))
    boundary = parameters.get("boundary", "")
    if not sender or not _BOUNDARY.match(boundary):
        return None
    parts = _two_parts(mail[end:], boundary.encode())
    if parts is None:
        return None
    if kind == "multipart/encrypted":
        return _encrypted(parts, sender)
    return _signed(parts, sender) if kind == "multipart/signed" else None


def agreed(word: str, inner: bytes, sender: str) -> str:
    """Return the word for a signature over `inner`: good only if that names the same sender, or none at all."""
    # What programs on Unix encrypt has their line ends.
    head = _LINE_END.sub(b"\r\n", inner[:_MOST_HEADER])
    fields = Fields(head[: block_end(head, 0, len(head))])
    if word == signatures.VERIFIED and fields.all(b"from") and _sender(fields) != sender:
        return signatures.OTHER_KEY
    return word


def sentence(word: str, sender: str, *, askable: bool) -> str:
    """Return what is said of the signature of a layer."""
    chosen = ASKABLE if askable and word == signatures.UNCHECKED else SENTENCES[word]
    return chosen.format(sender=sender)


def _encrypted(parts: tuple[bytes, bytes], sender: str) -> Layer | None:
    version, data = map(_parsed, parts)
    if version is None or data is None or version.get_content_type() != "application/pgp-encrypted":
        return None
    content = data.get_payload(decode=True)
    if data.get_content_type() != "application/octet-stream" or not isinstance(content, bytes):
        return None
    return Layer(ENCRYPTED, content, sender)


def _signed(parts: tuple[bytes, bytes], sender: str) -> Layer | None:
    beside = _parsed(parts[1])
    signature = beside.get_payload(decode=True) if beside is not None else None
    if beside is None or beside.get_content_type() != "application/pgp-signature" or not isinstance(signature, bytes):
        return None
    return Layer(SIGNED, parts[0], sender, signature)


def _two_parts(body: bytes, boundary: bytes) -> tuple[bytes, bytes] | None:
    """Return the two parts of a multipart that has two, each without the line end that belongs to the delimiter."""
    pieces = re.split(rb"\r\n--" + re.escape(boundary) + rb"(?=(?:--)?[ \t]*(?:\r\n|\Z))", b"\r\n" + body, maxsplit=4)
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        return None
    (_, _, one), (_, _, two) = (piece.partition(b"\r\n") for piece in pieces[1:3])
    return one, two


def _parsed(part: bytes) -> Message | None:
    try:
        return message_from_bytes(part, policy=policy.compat32)
    except (RecursionError, MessageError, ValueError):
        return None


def _sender(fields: Fields) -> str:
    """Return the one address in From, lower-case, "" if there is not one."""
    found = fields.addresses(b"from")
    return found[0].address.lower() if len(fields.all(b"from")) == 1 and len(found) == 1 else ""
