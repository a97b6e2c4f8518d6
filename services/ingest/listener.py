"""Accepts connections that begin with a TLS handshake (RFC 8314).

The server of the event loop shakes hands before it tells anybody that there is a connection: neither the number of
half-open ones nor that of one client would be bounded, and each has large buffers. So connections are accepted here,
counted by the site first, and only then is the handshake begun, with the newest certificate and a limit of time. Who is
not admitted is hung up on without a word, for a word would be in the clear.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack

from libs.runtime.backoff import Backoff
from libs.telemetry.logs import Logger
from services.ingest import meters
from services.ingest.connection import Connection
from services.ingest.site import Site, client_address
from services.ingest.tls import CertificateFiles
from services.ingest.wire import TLS_GOODBYE_SECONDS

_HANDSHAKE_SECONDS = 15.0


class TlsListener:
    """A listening socket whose connections are TLS from the first byte."""

    def __init__(self, site: Site, tls: CertificateFiles, make: Callable[[ExitStack], Connection], log: Logger) -> None:
        """Take who admits, and what makes a connection out of what it was admitted with."""
        self._site = site
        self._tls = tls
        self._make = make
        self._log = log
        self._backoff = Backoff(first=0.05, ceiling=1.0)

    async def run(self, listening: socket.socket) -> None:
        """Accept until cancelled; handshakes under way end with it, connections that are made go on."""
        loop = asyncio.get_running_loop()
        failures = 0
        with listening:
            async with asyncio.TaskGroup() as handshakes:
                while True:
                    try:
                        accepted, peer = await loop.sock_accept(listening)
                    except OSError as error:
                        # Out of descriptors, most likely; connections that end give some back.
                        failures += 1
                        self._log.warning("accept_failed", listener="submissions", error=error)
                        await asyncio.sleep(self._backoff.pause(failures))
                        continue
                    failures = 0
                    handshakes.create_task(self._begin(accepted, peer))

    async def _begin(self, accepted: socket.socket, peer: object) -> None:
        lifetime = ExitStack()
        if self._site.admit(self._site.client_key(client_address(peer)), lifetime):
            meters.HANDSHAKES.inc(outcome="refused")
            accepted.close()
            return
        connection = self._make(lifetime)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls.context(),
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=TLS_GOODBYE_SECONDS,
            )
        except (OSError, ssl.SSLError):
            meters.HANDSHAKES.inc(outcome="failed")
        except Exception as error:  # one client's; the others go on
            self._log.error("handshake_failed", listener="submissions", error=error)
            meters.HANDSHAKES.inc(outcome="failed")
        else:
            meters.HANDSHAKES.inc(outcome="done")
        finally:
            # From here on the connection, if there is one, gives back what it holds.
            if not connection.made:
                accepted.close()
                lifetime.close()
