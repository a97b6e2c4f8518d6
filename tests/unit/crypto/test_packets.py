"""The packet reader takes what GnuPG and others write, and ends with MalformedError on everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.crypto.domain.packets import (
    MAX_PACKETS,
    MalformedError,
    Packet,
    read_key,
    read_packets,
    read_signature,
)


def signature(hashed: bytes = b"", unhashed: bytes = b"", kind: int = 0x18) -> bytes:
    areas = len(hashed).to_bytes(2, "big") + hashed + len(unhashed).to_bytes(2, "big") + unhashed
    return bytes((4, kind, 22, 10)) + areas + b"ab"


@pytest.mark.parametrize(
    "header",
    [b"\xcd\x03", b"\xcd\xff\x00\x00\x00\x03", b"\xb4\x03", b"\xb5\x00\x03", b"\xb6\x00\x00\x00\x03"],
    ids=["new 1", "new 5", "old 1", "old 2", "old 4"],
)
def test_every_header_form_is_read(header: bytes) -> None:
    assert read_packets(header + b"ada" + header + b"bob") == [Packet(13, b"ada"), Packet(13, b"bob")]


def test_two_octet_lengths() -> None:
    body = b"x" * 1000
    assert read_packets(b"\xcd" + bytes(((1000 - 192 >> 8) + 192, 1000 - 192 & 255)) + body) == [Packet(13, body)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"text",
        b"\xcd",
        b"\xcd\x04ada",
        b"\xcd\xff\x00\x00",
        b"\xcd\xff\xff\xff\xff\xffada",
        b"\xcd\xe1ada",
        b"\xcd\xc0",
        b"\xb7ada",
        b"\xb5\x00",
        b"\xc0\x00",
        b"\xcd\x00" * (MAX_PACKETS + 1),
    ],
)
def test_bad_framing_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_packets(data)


def test_signature_claims_are_read() -> None:
    claims = read_signature(
        signature(b"\x05\x02\x00\x00\x00\x07" + b"\x05\x89\x00\x00\x00\x09" + b"\x02\x1b\x0c", b"\x02\x1e\x09")
    )
    assert (claims.kind, claims.created, claims.key_lifetime, claims.key_flags, claims.features) == (24, 7, 9, 12, 9)


def test_claims_outside_of_the_hashed_part_do_not_count_but_announcements_do() -> None:
    claims = read_signature(signature(b"", b"\x05\x09\x00\x00\x00\x09" + b"\x02\x1b\x0c" + b"\x02\x1e\x08"))
    assert (claims.key_lifetime, claims.key_flags, claims.features) == (0, 0, 8)


def test_signatures_nest_once_only() -> None:
    def embedded(body: bytes) -> bytes:
        return b"\xff" + (len(body) + 1).to_bytes(4, "big") + b"\x20" + body

    once = signature(embedded(signature(b"\x02\x1e\x08")))
    assert read_signature(once).features == 8
    with pytest.raises(MalformedError):
        read_signature(signature(embedded(once)))


def test_long_subpackets() -> None:
    # 0xe0 begins a partial length of a packet, but an ordinary length of a subpacket.
    length = (0xE0 - 192 << 8) + 5 + 192
    assert read_signature(signature(bytes((0xE0, 5, 20)) + b"n" * (length - 1) + b"\x02\x1e\x01")).features == 1


@pytest.mark.parametrize(
    "body", [b"", b"\x03", b"\x04\x18\x16\x0a\xff\xff", signature(b"\x00"), signature(b"\x09\x02")]
)
def test_bad_signatures_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read_signature(body)


def test_bad_keys_are_refused() -> None:
    assert read_key(b"\x06anything").version == 6
    for body in (b"", b"\x04abc"):
        with pytest.raises(MalformedError):
            read_key(body)


@given(st.binary(max_size=300))
def test_anything_ends_in_packets_or_malformed(data: bytes) -> None:
    for reader in (read_packets, read_signature, read_key):
        try:
            reader(data)
        except MalformedError:
            pass
