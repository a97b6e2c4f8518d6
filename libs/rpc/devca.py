"""A certificate authority for one machine: the local platform and the tests.

It stands in for cert-manager, so that mutual TLS is never off and never a special case. The authority lives ten years
in the directory that it is asked for, each service's certificate 90 days; both are renewed when a third of their life
is left. Files are replaced by rename, so that a running service never reads half a file.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from libs.rpc.tls import INTERNAL_DOMAIN, check_pair
from libs.runtime.clock import Clock, SystemClock

_AUTHORITY_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=90)
# Clocks of containers on one machine agree, but not to the second.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Authority:
    """A certificate authority with its key in memory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def ensure_dev_ca(directory: Path, names: Iterable[str], *, clock: Clock | None = None) -> Mapping[str, Path]:
    """Make or renew what is missing; return, by service name, the directory of its ca.crt, tls.crt and tls.key.

    Each certificate is valid for `<name>.sealpost.internal` (the identity), localhost and 127.0.0.1.
    """
    clock = clock or SystemClock()
    authority = ensure_authority(directory, clock=clock)
    return {
        name: ensure_leaf(directory / name, authority, (name + INTERNAL_DOMAIN, "localhost", "127.0.0.1"), clock=clock)
        for name in names
    }


def ensure_authority(directory: Path, *, clock: Clock) -> Authority:
    """Return the authority kept in `directory` (ca.crt, ca.key), making it if absent or near its end."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate_path, key_path = directory / "ca.crt", directory / "ca.key"
    if _still_good(certificate_path, key_path, clock):
        key = load_pem_private_key(key_path.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return Authority(x509.load_pem_x509_certificate(certificate_path.read_bytes()), key)
    authority = make_authority(clock=clock)
    _replace(key_path, _key_pem(authority.key), 0o600)
    _replace(certificate_path, authority.pem(), 0o644)
    return authority


def make_authority(*, clock: Clock, name: str = "sealpost local authority") -> Authority:
    """Make an authority (EC P-256, RFC 5280) without writing anything."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(key, clock.now(), _AUTHORITY_LIFE)
        .subject_name(subject)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def ensure_leaf(directory: Path, authority: Authority, hosts: Sequence[str], *, clock: Clock) -> Path:
    """Make or renew the certificate in `directory` unless it is good, of this authority, and for these hosts."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate_path, key_path = directory / "tls.crt", directory / "tls.key"
    good = _still_good(certificate_path, key_path, clock) and _made_for(certificate_path, authority, hosts)
    if not good:
        write_leaf(directory, authority, hosts, clock=clock)
    return directory


def write_leaf(
    directory: Path, authority: Authority, hosts: Sequence[str], *, clock: Clock, life: timedelta = _LEAF_LIFE
) -> None:
    """Issue a fresh certificate and key for `hosts` (names or IP addresses) into `directory`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(key, clock.now(), life)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]))
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(_general_names(hosts)), critical=False)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    _replace(directory / "ca.crt", authority.pem(), 0o644)
    _replace(directory / "tls.key", _key_pem(key), 0o600)
    _replace(directory / "tls.crt", certificate.public_bytes(Encoding.PEM), 0o644)


def _builder(key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _general_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _still_good(certificate_path: Path, key_path: Path, clock: Clock) -> bool:
    try:
        pem = certificate_path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        check_pair(pem, key_path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - clock.now() > life / 3


def _made_for(path: Path, authority: Authority, hosts: Sequence[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, x509.ExtensionNotFound, ValueError, TypeError):
        return False
    return list(names) == _general_names(hosts)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
