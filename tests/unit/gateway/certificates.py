"""Certificates of people elsewhere, good and bad, made without GnuPG."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from pysequoia.packet import Packet, PacketPile, Tag

from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key

CREATED = 1_704_067_200
DAY = 86_400
ADDRESS = "ann@example.org"


@cache
def material() -> KeyMaterial:
    """Return one pair of keys for all of them."""
    return KeyMaterial.generate()


def key_of(user_id: str = f"Ann <{ADDRESS}>", lifetime: int = 0, created: int = CREATED) -> GeneratedKey:
    """Return a key with this user id."""
    return build_key(user_id, created, material(), lifetime)


def packets_of(certificate: bytes) -> list[Packet]:
    """Return its packets: primary key, user id, certification, subkey, binding."""
    return list(PacketPile.from_bytes(certificate))


def joined(packets: Sequence[Packet]) -> bytes:
    """Return packets as bytes."""
    return b"".join(bytes(packet) for packet in packets)


def with_expired_subkey() -> bytes:
    """Return a certificate for ever with a subkey for a day."""
    return joined(packets_of(key_of().certificate)[:3] + packets_of(key_of(lifetime=DAY).certificate)[3:])


def without_subkey() -> bytes:
    """Return a certificate that nothing can be sealed to."""
    return joined(packets_of(key_of().certificate)[:3])


def with_several_names(*user_ids: str) -> bytes:
    """Return a certificate with all of these user ids."""
    all_packets = [packets_of(key_of(user_id).certificate) for user_id in user_ids]
    names = [packet for packets in all_packets for packet in packets[1:3]]
    return joined([all_packets[0][0], *names, *all_packets[0][3:]])


def tags_of(certificate: bytes) -> list[Tag]:
    """Return the tags of its packets."""
    return [packet.tag for packet in packets_of(certificate)]
