"""The certificate that STARTTLS shows, read again when its files have changed.

The files are looked at when a client asks for TLS: two stats beside a handshake. While they do not fit together - one
of the two has been replaced and the other not yet - the former certificate stays in use.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from libs.telemetry.logs import Logger


class CertificateFiles:
    """A server's TLS context that follows its files."""

    def __init__(self, directory: Path, log: Logger) -> None:
        """Read `tls.crt` and `tls.key` in `directory`. Raises OSError (ssl.SSLError) if there is no usable pair."""
        self._certificate = directory / "tls.crt"
        self._key = directory / "tls.key"
        self._log = log
        self._seen = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context with the newest usable certificate."""
        try:
            seen = self._look()
            if seen != self._seen:
                self._context, self._seen = self._load(), seen
        except OSError as error:
            self._log.warning("certificate_unusable", listener="smtp", error=error)
        return self._context

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        stats = (self._certificate.stat(), self._key.stat())
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.load_cert_chain(self._certificate, self._key)
        return context
