"""Reads the framing of OpenPGP packets (RFC 9580 4.2) and what a certificate's rules need of their bodies - no more.

Bounded on purpose: it runs over what strangers send, before any library may see it. One pass, lengths checked against
what is there, a ceiling for the number of packets, no recursion but one level for signatures inside of signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_PACKETS = 64


class Tag(IntEnum):
    """Packet types (RFC 9580 5) that this service tells apart."""

    SESSION_KEY = 1
    SIGNATURE = 2
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    USER_ID = 13
    PUBLIC_SUBKEY = 14
    SEALED = 18


class Subpacket(IntEnum):
    """Signature subpackets (RFC 9580 5.2.3.7) that decide something here."""

    CREATED = 2
    KEY_LIFETIME = 9
    KEY_FLAGS = 27
    FEATURES = 30
    EMBEDDED_SIGNATURE = 32


class MalformedError(ValueError):
    """Not a sequence of packets, or more of them than allowed."""


@dataclass(frozen=True)
class Packet:
    """One packet: its type and its body."""

    tag: int
    body: bytes


@dataclass(frozen=True)
class Key:
    """A public key or subkey. `curve` is the object identifier of an elliptic curve, empty for other algorithms."""

    version: int
    created: int
    algorithm: int
    curve: bytes


@dataclass(frozen=True)
class Signature:
    """What a version 4 signature claims in its hashed part; whether it is genuine is for the library to say."""

    kind: int
    created: int
    key_lifetime: int
    key_flags: int
    features: int


def read_packets(data: bytes, limit: int = MAX_PACKETS) -> list[Packet]:
    """Return the packets of `data`.

    Raises:
        MalformedError: bad framing, a partial or indeterminate length, or more than `limit` packets.
    """
    packets: list[Packet] = []
    at = 0
    while at < len(data):
        if len(packets) == limit:
            raise MalformedError("packets")
        tag, start, end = _header(data, at)
        packets.append(Packet(tag, data[start:end]))
        at = end
    return packets


def read_key(body: bytes) -> Key:
    """Return what matters of the body of a key packet. Raises MalformedError."""
    if not body:
        raise MalformedError("key")
    if body[0] != 4:
        return Key(body[0], 0, 0, b"")
    if len(body) < 7:
        raise MalformedError("key")
    return Key(4, int.from_bytes(body[1:5], "big"), body[5], body[7 : 7 + body[6]])


def read_signature(body: bytes, inner: bool = False) -> Signature:
    """Return what matters of the body of a signature packet. Raises MalformedError, for other versions than 4 too.

    `features` gathers every announcement in it, of the unhashed part and of an embedded signature too: what is
    announced anywhere might be believed by somebody.
    """
    if len(body) < 6 or body[0] != 4:
        raise MalformedError("signature")
    hashed, rest = _area(body, 4)
    unhashed, _ = _area(body, rest)
    values = {Subpacket.CREATED: 0, Subpacket.KEY_LIFETIME: 0, Subpacket.KEY_FLAGS: 0}
    features = 0
    for area in (hashed, unhashed):
        for kind, value in _subpackets(area):
            if kind == Subpacket.FEATURES and value:
                features |= value[0]
            elif kind == Subpacket.EMBEDDED_SIGNATURE:
                if inner:
                    raise MalformedError("nesting")
                features |= read_signature(value, inner=True).features
            elif kind == Subpacket.KEY_FLAGS and area is hashed:
                values[Subpacket.KEY_FLAGS] = value[0] if value else 0
            elif kind in values and area is hashed:
                values[Subpacket(kind)] = int.from_bytes(value[:4], "big")
    return Signature(
        body[1], values[Subpacket.CREATED], values[Subpacket.KEY_LIFETIME], values[Subpacket.KEY_FLAGS], features
    )


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the type of the packet at `at` and where its body starts and ends."""
    first = data[at]
    if not first & 0x80:
        raise MalformedError("header")
    if first & 0x40:
        tag = first & 0x3F
        length, start = _length(data, at + 1)
    else:
        # The old format, which GnuPG still writes; length type 3 has no end and has no place in a certificate.
        tag, size = first >> 2 & 0x0F, 1 << (first & 3)
        if size > 4:
            raise MalformedError("header")
        start = at + 1 + size
        length = int.from_bytes(data[at + 1 : start], "big")
    if tag == 0 or start > len(data) or start + length > len(data):
        raise MalformedError("header")
    return tag, start, start + length


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return a length in the new format and where it ends; 224 to 254 begin partial lengths."""
    first = data[at] if at < len(data) else 224
    if first < 192:
        return first, at + 1
    if first < 224 and at + 1 < len(data):
        return (first - 192 << 8) + data[at + 1] + 192, at + 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise MalformedError("length")


def _area(body: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if end > len(body):
        raise MalformedError("area")
    return body[at + 2 : end], end


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(area):
        first = area[at]
        if 224 <= first < 255 and at + 1 < len(area):
            # Unlike packets, subpackets count up to 254 in two octets (RFC 9580 5.2.3.7).
            length, start = (first - 192 << 8) + area[at + 1] + 192, at + 2
        else:
            length, start = _length(area, at)
        if length < 1 or start + length > len(area):
            raise MalformedError("subpacket")
        yield area[start] & 0x7F, area[start + 1 : start + length]
        at = start + length
