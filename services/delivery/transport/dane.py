"""Does what a server presented match its TLSA records (RFC 6698, for mail RFC 7672)?

Mail knows two usages: DANE-EE(3), where the record names the server's own certificate or key, and then neither names
nor dates nor issuers matter (RFC 7672 3.1.1); and DANE-TA(2), where it names an authority that the server sends along,
and then the chain up to it must hold, be in date, and be made for one of the reference names (3.1.2). PKIX-TA(0) and
PKIX-EE(1) are unusable (3.1.3), as is everything unknown or malformed. The certificates are looked at after the
handshake, which itself does not verify anything: nothing is written before they match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_TA, _EE = 2, 3
_MAX_CHAIN = 10
_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A usable record: `selector` 0 is the certificate, 1 its public key; `matching` 0 exact, 1 SHA-256, 2 SHA-512."""

    usage: int
    selector: int
    matching: int
    data: bytes


def usable(records: Iterable[Any]) -> tuple[Tlsa, ...]:
    """Return those of dnspython's TLSA `records` that can be matched; RFC 7672 3.1.3 leaves the others out."""
    found = (Tlsa(record.usage, record.selector, record.mtype, bytes(record.cert)) for record in records)
    return tuple(
        one
        for one in found
        if one.usage in (_TA, _EE)
        and one.selector in (0, 1)
        and one.matching in _DIGESTS
        and len(one.data) == _LENGTHS.get(one.matching, len(one.data) or 1)
    )


def matches(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], now: datetime) -> bool:
    """Return whether the server is who the records say.

    `chain` is what it presented, DER, its own certificate first; `names` are those that DANE-TA accepts.
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:_MAX_CHAIN]]
        if not certificates:
            return False
        ends = [record for record in records if record.usage == _EE]
        anchors = [record for record in records if record.usage == _TA]
        if any(_is_meant(certificates[0], record) for record in ends):
            return True
        return bool(anchors) and _leads_to(certificates, anchors, now) and _is_for(certificates[0], names)
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, TypeError, x509.DuplicateExtension):
        return False


def _is_meant(certificate: x509.Certificate, record: Tlsa) -> bool:
    if record.selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _DIGESTS[record.matching](data) == record.data


def _leads_to(certificates: Sequence[x509.Certificate], anchors: Sequence[Tlsa], now: datetime) -> bool:
    """Follow the chain from the server's certificate to one that an anchor names; each must have issued the former."""
    current = certificates[0]
    rest = list(certificates[1:])
    if not _is_in_date(current, now):
        return False
    while True:
        issuer = next((one for one in rest if _has_issued(one, current)), None)
        if issuer is None or not _is_in_date(issuer, now):
            return False
        if any(_is_meant(issuer, anchor) for anchor in anchors):
            return True
        rest.remove(issuer)
        current = issuer


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return constraints.ca


def _is_in_date(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_for(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    presented = [name.lower().rstrip(".") for name in extension.value.get_values_for_type(x509.DNSName)]
    return any(covers(pattern, name) for pattern in presented for name in names)


def covers(pattern: str, name: str) -> bool:
    """Return whether `pattern`, a name or "*." and a name, is for `name`: the star is one whole label (RFC 6125)."""
    if pattern.startswith("*."):
        head, _, tail = name.partition(".")
        return bool(head) and tail == pattern[2:]
    return pattern == name
