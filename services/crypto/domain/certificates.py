"""Which OpenPGP certificates are taken, and how mail is sealed to them.

A certificate comes from a stranger's browser, so it passes three gates: the bounded packet reader (size, number and
kind of packets, algorithms, announcements, dates), the library (is it genuine, is it revoked), and a trial: something
is sealed to it and the result is looked at. Only the trial shows for certain that mail sealed to it will be what GnuPG
2.2 can read: a version 3 session key packet for the Curve25519 subkey, and integrity protection of version 1. The
library itself seals to expired keys, so the dates are checked here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pysequoia

from libs.runtime.errors import InvalidError
from services.crypto.domain.packets import (
    Key,
    MalformedError,
    Packet,
    Signature,
    Tag,
    read_key,
    read_packets,
    read_signature,
)

MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_USER_ID_BYTES = 1024

_EDDSA_LEGACY, _ECDH = 22, 18
_ED25519 = bytes.fromhex("2b06010401da470f01")
_CURVE25519 = bytes.fromhex("2b060104019755010501")
_CERTIFICATIONS = range(0x10, 0x14)
_DIRECT, _BINDING, _SUBKEY_REVOCATION = range(0x1F, 0x20), range(0x18, 0x19), 0x28
_REVOCATIONS = (0x20, 0x30)
_SEIPD_V2 = 0x08
_ENCRYPTS = 0x0C
_Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


@dataclass(frozen=True)
class Directed:
    """The directory name that a certificate's user ids have to be of: canonical domain, hashed local part."""

    domain: str
    wkd_hash: str


def parse(data: bytes) -> pysequoia.Cert:
    """Return the library's form of a certificate that was accepted before. Raises InvalidError."""
    try:
        return pysequoia.Cert.from_bytes(data)
    except RuntimeError as error:
        raise InvalidError("certificate_malformed") from error


def seal_to(certificate: pysequoia.Cert, plaintext: bytes) -> bytes:
    """Return one binary OpenPGP message, encrypted to the certificate and signed by nobody (RFC 9580 10.3).

    Raises: RuntimeError, whose text may name the certificate: not for logs.
    """
    return pysequoia.encrypt(plaintext, recipients=[certificate], armor=False)


def accept(data: bytes, directed: Directed | None, now: int) -> pysequoia.Cert:
    """Return the certificate if it is one that this platform seals to at `now` (Unix seconds).

    `directed` None: whose it is cannot be told yet.

    Raises: InvalidError with the reason: certificate_too_large, _not_binary, _malformed, _secret, _several, _packet,
    _version, _algorithm, _seipdv2, _address, _not_yet_valid, _expired, _revoked, _cannot_encrypt.
    """
    packets = _framed(data)
    outline = _outline(packets)
    _check_dates(outline, now)
    _check_names(outline, directed)
    certificate = parse(data)
    _check_genuine(certificate, now)
    _check_trial(certificate, outline.usable_subkeys(now))
    return certificate


def wkd_hash_of(local_part: str) -> str:
    """Return the name under which the Web Key Directory lists a local part: z-base-32 of SHA-1 (draft-koch 3.1)."""
    # Only ASCII letters are folded, as the draft says.
    folded = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in local_part)
    number = int.from_bytes(hashlib.sha1(folded.encode(), usedforsecurity=False).digest(), "big")
    return "".join(_Z_BASE_32[number >> shift & 31] for shift in range(155, -1, -5))


@dataclass
class _Component:
    """A key with the claims made about it, in the order of the certificate."""

    packet: Packet
    key: Key
    signatures: list[Signature]

    def latest(self, kinds: range) -> Signature | None:
        return max((s for s in self.signatures if s.kind in kinds), key=lambda s: s.created, default=None)

    def expired(self, claim: Signature | None, now: int) -> bool:
        return claim is not None and claim.key_lifetime != 0 and self.key.created + claim.key_lifetime <= now

    def key_id(self) -> bytes:
        head = b"\x99" + len(self.packet.body).to_bytes(2, "big")
        return hashlib.sha1(head + self.packet.body, usedforsecurity=False).digest()[-8:]


@dataclass
class _Outline:
    primary: _Component
    names: list[bytes]
    subkeys: list[_Component]

    def usable_subkeys(self, now: int) -> set[bytes]:
        """Return the key ids of subkeys that claim to encrypt, are not expired and not revoked."""
        usable = set()
        for subkey in self.subkeys:
            binding = subkey.latest(_BINDING)
            revoked = any(s.kind == _SUBKEY_REVOCATION for s in subkey.signatures)
            encrypts = binding is not None and binding.key_flags & _ENCRYPTS
            if subkey.key.algorithm == _ECDH and encrypts and not revoked and not subkey.expired(binding, now):
                usable.add(subkey.key_id())
        return usable


def _framed(data: bytes) -> list[Packet]:
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise InvalidError("certificate_too_large")
    if not data or not data[0] & 0x80:
        raise InvalidError("certificate_not_binary")
    try:
        packets = read_packets(data)
    except MalformedError as error:
        raise InvalidError("certificate_malformed") from error
    tags = [packet.tag for packet in packets]
    if Tag.SECRET_KEY in tags or Tag.SECRET_SUBKEY in tags:
        raise InvalidError("certificate_secret")
    if tags.count(Tag.PUBLIC_KEY) > 1:
        raise InvalidError("certificate_several")
    if tags[0] != Tag.PUBLIC_KEY or not set(tags) <= _ALLOWED:
        raise InvalidError("certificate_packet")
    return packets


_ALLOWED = {Tag.PUBLIC_KEY, Tag.PUBLIC_SUBKEY, Tag.USER_ID, Tag.SIGNATURE}


def _outline(packets: list[Packet]) -> _Outline:
    try:
        primary = _component(packets[0], _EDDSA_LEGACY)
        outline, current = _Outline(primary, [], []), primary
        for packet in packets[1:]:
            if packet.tag == Tag.USER_ID:
                outline.names.append(packet.body)
                # Certifications of a name make claims about the primary key.
                current = primary
            elif packet.tag == Tag.PUBLIC_SUBKEY:
                current = _component(packet, _EDDSA_LEGACY, _ECDH)
                outline.subkeys.append(current)
            else:
                current.signatures.append(_signature(packet))
    except MalformedError as error:
        raise InvalidError("certificate_malformed") from error
    return outline


def _component(packet: Packet, *algorithms: int) -> _Component:
    key = read_key(packet.body)
    if key.version != 4:
        raise InvalidError("certificate_version")
    expected = {_EDDSA_LEGACY: _ED25519, _ECDH: _CURVE25519}
    if key.algorithm not in algorithms or key.curve != expected[key.algorithm]:
        raise InvalidError("certificate_algorithm")
    return _Component(packet, key, [])


def _signature(packet: Packet) -> Signature:
    if packet.body[:1] != b"\x04":
        raise InvalidError("certificate_version")
    signature = read_signature(packet.body)
    if signature.features & _SEIPD_V2:
        raise InvalidError("certificate_seipdv2")
    return signature


def _check_dates(outline: _Outline, now: int) -> None:
    if any(s.kind in _REVOCATIONS for s in outline.primary.signatures):
        raise InvalidError("certificate_revoked")
    # No tolerance: the library has none. Clients date their keys back.
    parts = (outline.primary, *outline.subkeys)
    if any(max([part.key.created, *(s.created for s in part.signatures)]) > now for part in parts):
        raise InvalidError("certificate_not_yet_valid")
    claims = (outline.primary.latest(_CERTIFICATIONS), outline.primary.latest(_DIRECT))
    if any(outline.primary.expired(claim, now) for claim in claims):
        raise InvalidError("certificate_expired")


def _check_names(outline: _Outline, directed: Directed | None) -> None:
    """Every user id must be of the address that the entry is for: the directory vouches for nothing else."""
    if not outline.names or not all(directed is None or _is_of(name, directed) for name in outline.names):
        raise InvalidError("certificate_address")


def _is_of(name: bytes, directed: Directed) -> bool:
    if len(name) > MAX_USER_ID_BYTES:
        return False
    try:
        text = name.decode()
        address = text[text.rindex("<") + 1 : -1] if text.endswith(">") else text
        local_part, _, domain = address.rpartition("@")
        ascii_domain = domain.lower() if domain.isascii() else domain.encode("idna").decode().lower()
    except ValueError:
        return False
    return ascii_domain == directed.domain and wkd_hash_of(local_part) == directed.wkd_hash


def _check_genuine(certificate: pysequoia.Cert, now: int) -> None:
    try:
        expiration = certificate.expiration
        revoked = certificate.is_revoked
    except RuntimeError as error:
        raise InvalidError("certificate_malformed") from error
    if revoked:
        raise InvalidError("certificate_revoked")
    if expiration is not None and expiration.timestamp() <= now:
        raise InvalidError("certificate_expired")


def _check_trial(certificate: pysequoia.Cert, usable: set[bytes]) -> None:
    """Seal something and look: this is what every mail will look like."""
    try:
        packets = read_packets(seal_to(certificate, b"trial"))
    except (RuntimeError, MalformedError) as error:
        raise InvalidError("certificate_cannot_encrypt") from error
    keys = [packet.body for packet in packets if packet.tag == Tag.SESSION_KEY]
    if any(key[0] != 3 for key in keys) or (packets[-1].tag, packets[-1].body[0]) != (Tag.SEALED, 1):
        raise InvalidError("certificate_seipdv2")
    if not keys or not all(key[1:9] in usable for key in keys):
        raise InvalidError("certificate_cannot_encrypt")
