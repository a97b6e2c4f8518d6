"""Certificates that change while the process runs.

A certificate manager replaces `tls.crt`, `tls.key` and `ca.crt` in a mounted directory. Whoever needs them asks
`TlsFiles.material()` for each connection (or each call) and compares identity with what it has: same object, same
certificates. The files are looked at no oftener than every `interval` seconds, by their stat alone; only a change
makes them be read. They cannot be replaced at one instant, so a set is taken only if nothing changed while it was read
and the key belongs to the certificate; until then the old set stays, which is valid for long enough.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.runtime.clock import Clock, SystemClock
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret

INTERNAL_DOMAIN = ".sealpost.internal"
_FILES = ("ca.crt", "tls.crt", "tls.key")

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class TlsMaterial:
    """One consistent set: trusted authorities, own certificate chain, own key; all PEM."""

    authorities: bytes
    certificate: bytes
    key: Secret[bytes]


class TlsFiles:
    """The set of files in one directory, as it is now. Safe to use from several threads."""

    def __init__(self, directory: Path, *, clock: Clock | None = None, interval: float = 2.0) -> None:
        """Watch `ca.crt`, `tls.crt`, `tls.key` in `directory`, looking at most every `interval` seconds."""
        self._directory = directory
        self._clock = clock or SystemClock()
        self._interval = interval
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._stamp: _Stamp | None = None
        self._material: TlsMaterial | None = None

    @property
    def directory(self) -> Path:
        """The directory being watched."""
        return self._directory

    def material(self) -> TlsMaterial:
        """Return the current set; the same object until the files have changed.

        Raises:
            UnavailableError: there has never been a usable set ("tls_files").
        """
        material = self._material
        now = self._clock.monotonic()
        if material is not None and now < self._next_look:
            return material
        with self._lock:
            self._next_look = now + self._interval
            return self._look()

    def _look(self) -> TlsMaterial:
        try:
            stamp = self._take_stamp()
            if self._material is not None and stamp == self._stamp:
                return self._material
            fresh = self._read()
            if self._take_stamp() == stamp:
                self._material, self._stamp = fresh, stamp
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            if self._material is None:
                raise UnavailableError("tls_files") from error
        if self._material is None:
            raise UnavailableError("tls_files")
        return self._material

    def _take_stamp(self) -> _Stamp:
        stats = [(self._directory / name).stat() for name in _FILES]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)

    def _read(self) -> TlsMaterial:
        authorities, certificate, key = ((self._directory / name).read_bytes() for name in _FILES)
        check_pair(certificate, key)
        if not x509.load_pem_x509_certificates(authorities):
            raise ValueError("no authority")
        return TlsMaterial(authorities, certificate, Secret(key))


def check_pair(certificate: bytes, key: bytes) -> None:
    """Raise ValueError unless the PEM key belongs to the first PEM certificate."""
    public = load_pem_private_key(key, password=None).public_key()
    if x509.load_pem_x509_certificate(certificate).public_key() != public:
        raise ValueError("the key does not belong to the certificate")
