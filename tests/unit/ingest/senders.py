"""Zones and signatures for the tests of SPF, DKIM and DMARC; dkimpy signs, a real DNS server publishes."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from functools import cache
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from libs.mail.letter import Letter
from services.ingest.resolver import Records, TemporaryDnsError
from tests.support.dns import Zone, txt

MAIL = (
    b"From: Ada <ada@example.org>\r\nTo: bob@sealpost.test\r\nSubject: Hello\r\n\r\n"
    b"A line. \r\n\r\nAnother  one\r\n\r\n"
)


@cache
def rsa_key() -> tuple[bytes, str]:
    """Return a private key in PEM, and the record that publishes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


@cache
def weak_key() -> tuple[bytes, str]:
    """The same with 512 bits, which no library makes any more."""
    p, q = _prime(), _prime()
    e, n = 65537, p * q
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, n, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    body = base64.encodebytes(_der(0x30, b"".join(map(_der_int, numbers))))
    private = b"-----BEGIN RSA PRIVATE KEY-----\n" + body + b"-----END RSA PRIVATE KEY-----\n"
    public = _der(0x30, _der_int(n) + _der_int(e))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    info = _der(0x30, algorithm + _der(0x03, b"\0" + public))
    return private, f"v=DKIM1; k=rsa; p={base64.b64encode(info).decode()}"


def _prime() -> int:
    while True:
        candidate = secrets.randbits(256) | (3 << 254) | 1
        if candidate % 65537 != 1 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7, 11)):
            return candidate


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _der_int(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


@cache
def ed25519_key() -> tuple[bytes, str]:
    """Return a private key as dkimpy takes it, and the record that publishes it."""
    key = ed25519.Ed25519PrivateKey.generate()
    raw, private = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
    secret = key.private_bytes(raw, private, serialization.NoEncryption())
    public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    return base64.b64encode(secret), f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def sign(mail: bytes, domain: str = "example.org", **options: Any) -> bytes:
    """Return the mail with a signature in front; options are those of dkim.sign, and `key`."""
    private = options.pop("key", rsa_key()[0])
    return bytes(dkim.sign(mail, b"sel", domain.encode(), private, **options)) + mail


def zone(**more: Sequence[str]) -> Zone:
    """Return the zone of example.org: SPF for 192.0.2.0/24, DKIM keys, DMARC with reject."""
    return {
        ("example.org", "TXT"): [txt("v=spf1 ip4:192.0.2.0/24 -all")],
        ("sel._domainkey.example.org", "TXT"): [txt(rsa_key()[1])],
        ("sel._domainkey.example.net", "TXT"): [txt(rsa_key()[1])],
        ("sel._domainkey.news.example.org", "TXT"): [txt(rsa_key()[1])],
        ("sel._domainkey.ed.example.org", "TXT"): [txt(ed25519_key()[1])],
        ("sel._domainkey.weak.example.org", "TXT"): [txt(weak_key()[1])],
        ("sel._domainkey.broken.example.org", "TXT"): [txt("v=DKIM1; k=rsa; p=####")],
        ("_dmarc.example.org", "TXT"): [txt("v=DMARC1; p=reject; sp=quarantine")],
        ("_dmarc.strict.example", "TXT"): [txt("v=DMARC1; p=none; aspf=s; adkim=s")],
        ("_dmarc.two.example", "TXT"): [txt("v=DMARC1; p=none"), txt("v=DMARC1; p=reject")],
        ("_dmarc.broken.example", "TXT"): [txt("v=DMARC1; nonsense")],
    } | {(name, "TXT"): [txt(record) for record in records] for name, records in more.items()}


def table(known: Zone) -> Any:
    """Return an `ask` that looks into a zone; names below temp.example fail for now."""

    def ask(name: str, kind: str) -> Records:
        if name.endswith("temp.example"):
            raise TemporaryDnsError
        records = known.get((name.lower(), kind), ())
        if kind == "TXT":
            return [record.replace('" "', "").strip('"').encode() for record in records]
        return list(records)

    return ask


def letter(mail: bytes) -> Letter:
    return Letter(bytearray(mail))
