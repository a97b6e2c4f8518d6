"""TLS to mail servers: what a destination demands, and what the handshake has to prove for it.

Without a policy encryption is opportunistic (RFC 7435): any certificate will do, weak keys too, for the alternative is
clear text. MTA-STS demands a certificate that the public authorities have issued for the name of the MX; DANE one that
its TLSA records name, looked at after the handshake. In either case nothing is ever sent in clear.
"""

from __future__ import annotations

import _ssl
import ssl
import warnings
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification

from services.delivery.transport import dane


class Level(Enum):
    """What must be proven before anything is sent."""

    MAY = "may"
    # Encrypted, by whomever: TLSA records that are there but unusable (RFC 7672 2.2).
    MUST = "must"
    PKIX = "pkix"
    DANE = "dane"


@dataclass(frozen=True, slots=True)
class Demand:
    """What is demanded of one host. `names` are those a certificate may be for, the first is asked for by SNI."""

    level: Level = Level.MAY
    records: tuple[dane.Tlsa, ...] = ()
    names: tuple[str, ...] = ()


class TlsFailedError(Exception):
    """The demand is not met, or the handshake failed; `status` and `text` say how."""

    def __init__(self, status: str, text: str) -> None:
        """Take both."""
        super().__init__(status)
        self.status = status
        self.text = text


class Tls:
    """The contexts of the client, made once."""

    def __init__(self, ca_file: str) -> None:
        """Trust the system's authorities and those in `ca_file` ("": none). Raises OSError if it is unreadable."""
        self._lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._lenient.check_hostname = False
        self._lenient.verify_mode = ssl.CERT_NONE
        self._lenient.minimum_version = ssl.TLSVersion.TLSv1_2
        self._lenient.set_ciphers("DEFAULT:@SECLEVEL=0")
        self._strict = ssl.create_default_context()
        self._strict.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file:
            self._strict.load_verify_locations(cafile=ca_file)
        self._known: verification.Store | None = None

    def context(self, demand: Demand) -> ssl.SSLContext:
        """Return the context for a handshake under `demand`."""
        return self._strict if demand.level is Level.PKIX else self._lenient

    def check(self, found: ssl.SSLObject, demand: Demand, now: datetime) -> str:
        """Return the word for what the handshake has proven: mta_sts, dane, verified or opportunistic.

        Raises:
            TlsFailedError: less than was demanded.
        """
        if demand.level is Level.PKIX:
            return "mta_sts"
        chain = presented(found)
        if demand.level is Level.DANE:
            if not dane.matches(chain, demand.records, demand.names, now):
                raise TlsFailedError("4.7.5", "certificate does not match the TLSA records")
            return "dane"
        return "verified" if self._is_known(chain, demand.names, now) else "opportunistic"

    def _is_known(self, chain: tuple[bytes, ...], names: tuple[str, ...], now: datetime) -> bool:
        """Tell, for the statistics alone, whether verification would have succeeded."""
        if not chain or not names:
            return False
        if self._known is None:
            self._known = _store(self._strict)
        try:
            leaf, *others = (x509.load_der_x509_certificate(der) for der in chain)
            builder = verification.PolicyBuilder().store(self._known).time(now)
            builder.build_server_verifier(x509.DNSName(names[0])).verify(leaf, others)
        except (verification.VerificationError, ValueError, TypeError, x509.UnsupportedGeneralNameType):
            return False
        return True


def presented(found: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the server sent, DER, its own first."""
    if hasattr(found, "get_unverified_chain"):
        return tuple(found.get_unverified_chain())
    # Public from Python 3.13 on; up to then only the object inside has it.
    chain = found._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]
    return tuple(one.public_bytes(_ssl.ENCODING_DER) for one in chain)


def _store(context: ssl.SSLContext) -> verification.Store:
    known = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        for der in context.get_ca_certs(binary_form=True):
            try:
                known.append(x509.load_der_x509_certificate(der))
            except (ValueError, CryptographyDeprecationWarning):
                # An old authority whose certificate breaks a rule: OpenSSL takes it, this library will not.
                continue
    return verification.Store(known)
