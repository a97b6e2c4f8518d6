"""Certificates of other people's mail servers: good, expired, for another name, of an authority that nobody knows."""

from __future__ import annotations

import hashlib
import itertools
import ssl
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.rpc.devca import make_authority, write_leaf
from libs.runtime.clock import SystemClock
from tests.support.clock import ManualClock


class World:
    """An authority that the world trusts (`ca_file`), and the certificates it issues."""

    def __init__(self, directory: Path) -> None:
        """Keep everything in `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._numbers = itertools.count()
        self._authority = make_authority(clock=SystemClock(), name="an authority of the world")
        self._ca_path = directory / "world.crt"
        self._ca_path.write_bytes(self._authority.pem())

    @property
    def ca_file(self) -> str:
        """Where the authority's certificate is."""
        return str(self._ca_path)

    @property
    def authority(self) -> x509.Certificate:
        """The authority's certificate."""
        return self._authority.certificate

    def certificate(self, *names: str, expired: bool = False, trusted: bool = True, chain: bool = False) -> Path:
        """Issue one for `names`; return the directory of tls.crt and tls.key. `chain` adds the authority's to it."""
        directory = self._directory / f"leaf{next(self._numbers)}"
        now = SystemClock().now()
        clock = ManualClock(now - timedelta(days=200) if expired else now)
        issuer = self._authority if trusted else make_authority(clock=clock, name="an authority of nobody")
        write_leaf(directory, issuer, names, clock=clock)
        if chain:
            path = directory / "tls.crt"
            path.write_bytes(path.read_bytes() + issuer.pem())
        return directory


def server_context(directory: Path, *, versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None) -> ssl.SSLContext:
    """Return the context of a server that shows the certificate in `directory`, within `versions` if given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    if versions is not None:
        context.minimum_version, context.maximum_version = versions
    return context


def tlsa(directory: Path, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """Return the TLSA record for the (first) certificate in `directory`, in text form (RFC 6698)."""
    return tlsa_of(x509.load_pem_x509_certificate((directory / "tls.crt").read_bytes()), usage, selector, matching)


def tlsa_of(certificate: x509.Certificate, usage: int, selector: int = 1, matching: int = 1) -> str:
    """Return the TLSA record for `certificate`."""
    data = certificate.public_bytes(Encoding.DER)
    if selector == 1:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}[matching]
    return f"{usage} {selector} {matching} {digest.hex()}"
