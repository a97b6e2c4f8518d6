"""Which of the certificates that a stranger's server hands out mail may be sealed to.

The library checks signatures, but it seals to keys that have expired or were revoked, and to certificates of whomever.
So what is used is taken out of what came: the primary key, the user ids that are the address that was asked for, with
what the key itself says about them, and the subkeys that are neither revoked nor past their time. Of these few packets
a certificate is made anew, and something is sealed to it for a trial. What is left over is also all that is handed on:
no strangers' signatures, no photographs, no other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pysequoia
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

MAX_BYTES = 64 * 1024
_MAX_CERTIFICATES = 8
_MAX_PACKETS = 500
_SECRETS = (Tag.SecretKey, Tag.SecretSubkey)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that mail may be sealed to, binary; the fingerprint in lower-case hexadecimal."""

    data: bytes
    fingerprint: str


def usable(data: bytes, address: str, now: datetime) -> Certificate | None:
    """Return the first certificate in `data` that is good for `address` at `now`, None if none is.

    `address` in its canonical spelling; case counts in neither half of it. Blocks for some milliseconds.
    """
    if not 0 < len(data) <= MAX_BYTES:
        return None
    try:
        if any(packet.tag in _SECRETS for packet in PacketPile.from_bytes(data)):
            # Whoever publishes a private key has no secrets any more.
            return None
        found = pysequoia.Cert.split_bytes(data)
    except (RuntimeError, ValueError):
        return None
    for certificate in found[:_MAX_CERTIFICATES]:
        try:
            chosen = _choose(certificate, address.lower(), now)
        except (RuntimeError, ValueError, OverflowError):
            continue
        if chosen is not None:
            return chosen
    return None


@dataclass
class _Component:
    """A key, user id or anything else, with the signatures that follow it."""

    head: Packet
    signatures: list[Packet]


def _choose(certificate: pysequoia.Cert, address: str, now: datetime) -> Certificate | None:
    if certificate.is_revoked or (certificate.expiration is not None and certificate.expiration <= now):
        return None
    # Those that the library holds to be certified by the key and not revoked.
    names = {str(user_id) for user_id in certificate.user_ids}
    components = _components(list(PacketPile.from_bytes(bytes(certificate))))
    if not components:
        return None
    primary = components[0]
    if primary.head.tag != Tag.PublicKey or primary.head.key_created is None or primary.head.key_created > now:
        return None
    kept = [primary, *(part for part in components[1:] if _is_kept(part, names, address, now))]
    if not any(part.head.tag == Tag.UserID for part in kept):
        return None
    own = {primary.head.fingerprint, primary.head.key_id}
    packets = [packet for part in kept for packet in (part.head, *_own(part.signatures, own))]
    made = pysequoia.Cert.from_packets(packets)
    if not {str(user_id) for user_id in made.user_ids} & names:
        return None
    pysequoia.encrypt(b"", recipients=[made], armor=False)
    return Certificate(bytes(made), str(made.fingerprint).lower())


def _components(packets: Sequence[Packet]) -> list[_Component]:
    if len(packets) > _MAX_PACKETS:
        return []
    components: list[_Component] = []
    for packet in packets:
        if packet.tag != Tag.Signature:
            components.append(_Component(packet, []))
        elif components:
            components[-1].signatures.append(packet)
    return components


def _own(signatures: Sequence[Packet], own: set[str | None]) -> list[Packet]:
    return [one for one in signatures if one.issuer_fingerprint in own or one.issuer_key_id in own]


def _is_kept(part: _Component, names: set[str], address: str, now: datetime) -> bool:
    if part.head.tag == Tag.UserID:
        return part.head.user_id in names and _email(part.head) == address
    return part.head.tag == Tag.PublicSubkey and _is_alive(part, now)


def _email(user_id: Packet) -> str:
    """Return the address in a user id, lower-case; some consist of nothing else."""
    try:
        email = user_id.user_id_email
    except (RuntimeError, ValueError):
        email = None
    return (email or user_id.user_id or "").strip("<> ").lower()


def _is_alive(subkey: _Component, now: datetime) -> bool:
    created = subkey.head.key_created
    if created is None or created > now:
        return False
    if any(one.signature_type == SignatureType.SubkeyRevocation for one in subkey.signatures):
        return False
    bindings = [
        (one.signature_created, one.key_validity_period)
        for one in subkey.signatures
        if one.signature_type == SignatureType.SubkeyBinding and one.signature_created is not None
    ]
    if not bindings:
        return False
    lifetime = max(bindings, key=lambda one: one[0])[1]
    return not lifetime or created + lifetime > now
