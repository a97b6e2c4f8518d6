"""Which certificates are taken: what members' clients and GnuPG make, and nothing that GnuPG 2.2 could not read."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.client.openpgp import KeyMaterial, build_key
from libs.runtime.errors import InvalidError
from services.crypto.domain.certificates import MAX_CERTIFICATE_BYTES, Directed, accept, seal_to, wkd_hash_of
from services.crypto.domain.packets import Packet, Tag, read_packets
from tests.unit.crypto.support import CREATED, make_key, opened

NOW = 1_795_366_800
ADA = Directed("sealpost.test", wkd_hash_of("ada"))
KEY = make_key()
# Made by openpgp.js 6.3.2 with the settings of the page; dated 2024-01-01.
OPENPGP_JS = base64.b64decode(
    "xjMEZZIAgBYJKwYBBAHaRw8BAQdAGg+ITcvPJ/ewn/+ikLev7278UrlBQAdGbjdEsRgEqzTNEzxhZGFAc2VhbHBvc3QudGVzdD7CwBMEExYKAI"
    "UFgmWSAIADCwkHCRCTw83q1CFIPUUUAAAAAAAcACBzYWx0QG5vdGF0aW9ucy5vcGVucGdwanMub3Jnx1hg+asFdMzmp9/jNOLMdw7sH5SrtMjN"
    "fNr1o0VJvaoFFQoIDgwEFgACAQIZAQKbAwIeARYhBAx6HAJxGdLRi2IEG5PDzerUIUg9AABAggD/V2sodHqMVdlyyfT00OprsJmx+bna3sWZag"
    "p2jc2Xp1sBAPG2c8c2wPIach0C9OdI7RbQxorvEzPrwYouhwHxumACzjgEZZIAgBIKKwYBBAGXVQEFAQEHQL3WgkVvnq2lcxLhYqyvMA8fP+DI"
    "k1ZRtVdn3YJcCOYhAwEIB8K+BBgWCgBwBYJlkgCACRCTw83q1CFIPUUUAAAAAAAcACBzYWx0QG5vdGF0aW9ucy5vcGVucGdwanMub3JnbNM3LP"
    "7rD4fnMUaxFHbRH3iIpTeD6DpwptwieNfA7HsCmwwWIQQMehwCcRnS0YtiBBuTw83q1CFIPQAACIcA/jAn/K900yHGKwz/yKt1l9vc7ok8NmDK"
    "54XUNMr6r3xdAP9GEW3VLxt7kArX5l3elS4/YEvPAjkCwRZGIwAYha/YBQ=="
)


def packed(packet: Packet) -> bytes:
    return bytes((0xC0 | packet.tag,)) + b"\xff" + len(packet.body).to_bytes(4, "big") + packet.body


def joined(*packets: Packet) -> bytes:
    return b"".join(packed(packet) for packet in packets)


def revoked() -> bytes:
    secret = pysequoia.Tsk.from_bytes(KEY.secret.reveal())
    signature = bytes(pysequoia.Cert.from_bytes(KEY.certificate).revoke(secret.certifier()))
    primary, *rest = read_packets(KEY.certificate)
    return packed(primary) + signature + joined(*rest)


def with_expired_subkey() -> bytes:
    material = KeyMaterial.generate()
    good = read_packets(build_key("<ada@sealpost.test>", CREATED, material).certificate)
    short = read_packets(build_key("<ada@sealpost.test>", CREATED, material, lifetime=60).certificate)
    return joined(*good[:3], *short[3:])


def with_revoked_subkey() -> bytes:
    return KEY.certificate + packed(Packet(Tag.SIGNATURE, bytes((4, 0x28, 22, 10, 0, 0, 0, 0)) + b"ab"))


def with_late_binding() -> bytes:
    material = KeyMaterial.generate()
    good = read_packets(build_key("<ada@sealpost.test>", CREATED, material).certificate)
    late = read_packets(build_key("<ada@sealpost.test>", NOW + 1, material).certificate)
    return joined(*good[:4], late[4])


def generated(profile: pysequoia.Profile, suite: pysequoia.CipherSuite | None = None) -> bytes:
    key = pysequoia.Tsk.generate(user_id="<ada@sealpost.test>", profile=profile, cipher_suite=suite)
    return bytes(key.extract_certificate())


def with_foreign_signature() -> bytes:
    """The subkey bound by somebody else's signature: framing is right, mathematics is not."""
    return joined(*read_packets(KEY.certificate)[:4], read_packets(make_key().certificate)[4])


def test_a_generated_certificate_is_taken_and_sealed_to() -> None:
    certificate = accept(KEY.certificate, ADA, NOW)
    assert certificate.fingerprint == KEY.fingerprint
    sealed = seal_to(certificate, b"a mail")
    assert opened(KEY, sealed) == b"a mail"
    assert [(packet.tag, packet.body[0]) for packet in read_packets(sealed)] == [(Tag.SESSION_KEY, 3), (Tag.SEALED, 1)]


REFUSALS: list[tuple[str, Callable[[], bytes]]] = [
    ("too_large", lambda: KEY.certificate + b"\xcd\xff" + MAX_CERTIFICATE_BYTES.to_bytes(4, "big") + b"x" * 70_000),
    ("not_binary", lambda: b""),
    ("not_binary", lambda: str(pysequoia.Cert.from_bytes(KEY.certificate)).encode()),
    ("malformed", lambda: KEY.certificate[:-1]),
    ("malformed", lambda: KEY.certificate + b"\xc2\x01\x04"),
    ("malformed", lambda: KEY.certificate + packed(Packet(Tag.USER_ID, b"<ada@sealpost.test>")) * 64),
    ("secret", lambda: KEY.secret.reveal()),
    ("several", lambda: KEY.certificate + make_key().certificate),
    ("packet", lambda: joined(*read_packets(KEY.certificate)[1:])),
    ("packet", lambda: KEY.certificate + packed(Packet(17, b"picture"))),
    ("version", lambda: generated(pysequoia.Profile.RFC9580)),
    ("version", lambda: KEY.certificate + packed(Packet(Tag.SIGNATURE, b"\x06" + b"x" * 40))),
    ("algorithm", lambda: generated(pysequoia.Profile.RFC4880, pysequoia.CipherSuite.P256)),
    ("seipdv2", lambda: generated(pysequoia.Profile.RFC4880)),
    ("address", lambda: make_key("eve@sealpost.test").certificate),
    ("address", lambda: make_key("ada@elsewhere.test").certificate),
    ("address", lambda: KEY.certificate + packed(Packet(Tag.USER_ID, b"<eve@sealpost.test>"))),
    ("address", lambda: KEY.certificate + packed(Packet(Tag.USER_ID, b"\xff\xfe"))),
    ("address", lambda: KEY.certificate + packed(Packet(Tag.USER_ID, b"x" * 2000 + b"<ada@sealpost.test>"))),
    ("not_yet_valid", lambda: make_key(created=NOW + 1).certificate),
    ("not_yet_valid", with_late_binding),
    ("expired", lambda: make_key(lifetime=60).certificate),
    ("revoked", revoked),
    ("cannot_encrypt", lambda: joined(*read_packets(KEY.certificate)[:3])),
    ("cannot_encrypt", with_expired_subkey),
    ("cannot_encrypt", with_revoked_subkey),
    ("cannot_encrypt", with_foreign_signature),
]


@pytest.mark.parametrize(("reason", "make"), REFUSALS, ids=[f"{n}-{r}" for n, (r, _) in enumerate(REFUSALS)])
def test_others_are_refused_by_name(reason: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(InvalidError) as caught:
        accept(make(), ADA, NOW)
    assert caught.value.reason == f"certificate_{reason}"


def test_a_certificate_of_the_page_is_taken() -> None:
    assert accept(OPENPGP_JS, ADA, NOW).fingerprint == "0c7a1c027119d2d18b62041b93c3cdead421483d"


def test_a_certificate_may_expire_later() -> None:
    key = make_key(lifetime=NOW - CREATED + 100)
    assert accept(key.certificate, ADA, NOW).fingerprint == key.fingerprint


@pytest.mark.parametrize("user_id", ["ada@sealpost.test", "<ADA@Sealpost.Test>", "Ada Lovelace <ada@sealpost.test>"])
def test_forms_of_the_address(user_id: str) -> None:
    accept(build_key(user_id, CREATED, KeyMaterial.generate()).certificate, ADA, NOW)


def test_an_internationalised_domain_is_compared_in_ascii() -> None:
    key = make_key("ada@bücher.test")
    accept(key.certificate, Directed("xn--bcher-kva.test", wkd_hash_of("ada")), NOW)


def test_without_a_name_the_address_is_not_looked_at() -> None:
    accept(make_key("eve@elsewhere.test").certificate, None, NOW)


def test_directory_name() -> None:
    # The example of draft-koch-openpgp-webkey-service, section 3.1.
    assert wkd_hash_of("Joe.Doe") == "iy9q119eutrkn8s1mk4r39qejnbu3n5q"


def outcome(data: bytes) -> str:
    try:
        accept(data, ADA, NOW)
    except InvalidError as error:
        assert error.reason.startswith("certificate_")
        return error.reason
    return "taken"


@settings(deadline=500, max_examples=300)
@given(st.binary(max_size=4000), st.booleans())
def test_garbage_ends_quickly_with_a_reason(data: bytes, framed: bool) -> None:
    assert outcome(KEY.certificate + data if framed else data) != ""


@settings(deadline=500, max_examples=500)
@given(st.integers(0, len(KEY.certificate) - 1), st.integers(1, 255), st.integers(0, 40), st.integers(0, 2**32))
def test_damaged_certificates_end_quickly_with_a_reason(at: int, flip: int, cut: int, seed: int) -> None:
    data = bytearray(KEY.certificate)
    data[at] ^= flip
    outcome(bytes(data))
    del data[at : at + cut]
    outcome(bytes(data))
    data[at:at] = random.Random(seed).randbytes(cut)
    outcome(bytes(data))


@settings(deadline=1000, max_examples=50)
@given(st.lists(st.sampled_from(read_packets(KEY.certificate)), max_size=70))
def test_packets_in_any_order_end_quickly_with_a_reason(packets: list[Packet]) -> None:
    outcome(joined(*packets))


def test_nested_signatures_never_reach_the_library() -> None:
    body = b""
    while len(body) < 60_000:
        inner = bytes((4, 0x19, 22, 10)) + len(body).to_bytes(2, "big") + body + b"\x00\x00ab"
        body = b"\xff" + (len(inner) + 1).to_bytes(4, "big") + b"\x20" + inner
    bomb = bytes((4, 0x18, 22, 10)) + len(body).to_bytes(2, "big") + body + b"\x00\x00ab"
    assert outcome(KEY.certificate + packed(Packet(Tag.SIGNATURE, bomb))) == "certificate_malformed"
