"""One connection to NATS, kept up by us: made anew with fresh certificates and full jitter whenever it ends.

The client library's own reconnecting buffers what is published meanwhile, replays subscriptions and keeps the TLS
context of the first connection. None of that is wanted: what is unpublished waits in documents, subscriptions belong
to loops that begin again with each connection, and certificates change. So the library is told not to reconnect.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from libs.events.server_config import inbox_prefix
from libs.rpc.tls import TlsFiles
from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

_log = get_logger("events")
_connected = metrics.gauge("sealpost_events_connected", "1 while the connection to NATS is up")
_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 0.5

BROKEN = (nats.errors.Error, nats.js.errors.Error, OSError)
"""What the client library raises when the connection, or the broker behind it, fails."""


@dataclass(frozen=True)
class Address:
    """How to reach NATS: `url` may list several servers, separated by commas; `tls` None is for plain tests."""

    url: str
    user: str
    password: Secret[str]
    tls: TlsFiles | None
    name: str

    @property
    def servers(self) -> list[str]:
        """The servers of the cluster."""
        return [part.strip() for part in self.url.split(",") if part.strip()]


class Session:
    """One connection while it lasts."""

    def __init__(self, client: Client) -> None:
        """Wrap a connected client."""
        self.client = client
        self.ended = asyncio.Event()
        self.gaps = 0
        """How often the server, or this process, has dropped messages that a live subscription should have had."""

    async def wait_ended(self) -> None:
        """Wait until the connection has ended, by what the client says of itself.

        Its callback alone is no proof: where the end of a connection meets data that is still to be sent, the client
        closes, fails on its way and never calls it.
        """
        while self.client.is_connected and not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.ended.wait()
        self.ended.set()


class Link:
    """Keeps one session; `run` does the work until cancelled."""

    def __init__(self, address: Address, backoff: Backoff | None = None) -> None:
        """Prepare; nothing happens before `run`."""
        self._address = address
        self._backoff = backoff or Backoff(first=0.1, ceiling=5.0, attempts=None)
        self._session: Session | None = None
        self._changed = asyncio.Condition()

    @property
    def session(self) -> Session:
        """The connection as it is now. Raises: UnavailableError("events_unavailable")."""
        if self._session is None or self._session.ended.is_set() or not self._session.client.is_connected:
            raise UnavailableError("events_unavailable")
        return self._session

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._session is not None and self._session.client.is_connected

    async def sessions(self) -> AsyncIterator[Session]:
        """Yield each connection once, waiting for the next."""
        last: Session | None = None
        while True:
            async with self._changed:
                while self._session is None or self._session is last:
                    await self._changed.wait()
                last = self._session
            yield last

    async def run(self) -> None:
        """Connect, wait for the end of the connection, begin again."""
        try:
            while True:
                await self._connect()
                if self._session is not None:
                    await self._session.wait_ended()
                _log.warning("events_disconnected")
                await self._set(None)
        finally:
            session, self._session = self._session, None
            _connected.set(0)
            if session is not None:
                await _close(session.client)

    async def _connect(self) -> None:
        async for attempt in self._backoff:
            try:
                session = await self._open()
            except (OSError, nats.errors.Error, TimeoutError, ssl.SSLError) as error:
                if attempt in (1, 10) or attempt % 100 == 0:
                    _log.warning("events_unreachable", attempt=attempt, error=error)
                continue
            await self._set(session)
            _log.info("events_connected", attempts=attempt)
            return

    async def _open(self) -> Session:
        client = Client()
        session = Session(client)

        async def ended() -> None:
            session.ended.set()

        causes: list[Exception] = []

        async def failed(error: Exception) -> None:
            if isinstance(error, nats.errors.SlowConsumerError):
                session.gaps += 1
            elif not client.is_connected:
                causes.append(error)

        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect(
                    servers=self._address.servers,
                    name=self._address.name,
                    user=self._address.user,
                    password=self._address.password.reveal(),
                    tls=_context(self._address.tls),
                    inbox_prefix=inbox_prefix(self._address.user),
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=3,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    closed_cb=ended,
                    error_cb=failed,
                )
        except nats.errors.NoServersError as error:
            await _close(client)
            raise (causes[0] if causes else error) from error
        except BaseException:
            await _close(client)
            raise
        return session

    async def _set(self, session: Session | None) -> None:
        async with self._changed:
            self._session = session
            self._changed.notify_all()
        _connected.set(0 if session is None else 1)


def _context(tls: TlsFiles | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(cafile=str(tls.directory / "ca.crt"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(tls.directory / "tls.crt", tls.directory / "tls.key")
    return context


async def _close(client: Client) -> None:
    with contextlib.suppress(OSError, nats.errors.Error, TimeoutError, AttributeError):
        # It is being given up: how its end went changes nothing.
        async with asyncio.timeout(2.0):
            await client.close()
