"""Opens a connection to one address of a mail server: TCP, greeting, EHLO, STARTTLS as far as demanded or offered.

Each step has its own longest wait. Where nothing is demanded and the handshake fails, a second connection goes without
TLS: that protects against nobody who can break a handshake, but mail arrives at servers whose TLS is out of order.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import cast

import aiosmtplib

from libs.runtime.clock import Clock
from services.delivery.domain.model import Outcome
from services.delivery.transport import meters
from services.delivery.transport.replies import Reply, Stage, of_destination, permanent, read_outcome, temporary
from services.delivery.transport.session import Session
from services.delivery.transport.settings import Patience
from services.delivery.transport.tls import Demand, Level, Tls, TlsFailedError
from services.delivery.transport.wire import Wire


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: an address of the server called `host`, and what TLS must prove."""

    host: str
    address: str
    port: int
    demand: Demand


class OpenError(Exception):
    """No usable connection. `reached` tells that a server was there: it spoke, if only to say no."""

    def __init__(self, outcome: Outcome, *, reached: bool) -> None:
        """Take what to say if no other server does better."""
        super().__init__(outcome.status)
        self.outcome = outcome
        self.reached = reached


class Opener:
    """Opens sessions; keeps nothing."""

    def __init__(self, hostname: str, tls: Tls, patience: Patience, clock: Clock) -> None:
        """Take the name for EHLO."""
        self._hostname = hostname
        self._tls = tls
        self._patience = patience
        self._clock = clock

    async def open(self, target: Target) -> Session:
        """Return a session with `target`.

        Raises:
            OpenError: there is none to be had, or none that meets the demand.
        """
        try:
            return await self._open(target, secure=True)
        except TlsFailedError as error:
            meters.TLS.inc(result="failed")
            if target.demand.level is not Level.MAY:
                raise OpenError(temporary(error.status, error.text, target.host), reached=True) from None
        try:
            return await self._open(target, secure=False)
        except TlsFailedError as error:
            raise OpenError(temporary(error.status, error.text, target.host), reached=True) from None

    async def _open(self, target: Target, *, secure: bool) -> Session:
        client = aiosmtplib.SMTP(
            sock=await self._connect(target), local_hostname=self._hostname, start_tls=False, use_tls=False
        )
        try:
            await self._greet(client, target)
            result = await self._encrypt(client, target) if secure else "none"
            if result != "none":
                await self._hello(client, target)
            extensions = dict(client.esmtp_extensions)
            wire = Wire(cast(asyncio.Transport, client.transport))
        except BaseException:
            if client.transport is not None:
                cast(asyncio.Transport, client.transport).abort()
            client.close()
            raise
        meters.TLS.inc(result=result)
        session = Session(wire, target.host, extensions, self._patience)
        session.protection = result
        return session

    async def _connect(self, target: Target) -> socket.socket:
        family = socket.AF_INET6 if isinstance(ip_address(target.address), IPv6Address) else socket.AF_INET
        try:
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            raise OpenError(temporary("4.4.1", "address family not available", target.host), reached=False) from None
        made.setblocking(False)
        try:
            async with asyncio.timeout(self._patience.connect):
                await asyncio.get_running_loop().sock_connect(made, (target.address, target.port))
        except BaseException as error:
            made.close()
            if isinstance(error, OSError):
                text = "no answer" if isinstance(error, TimeoutError) else "connection refused or unreachable"
                raise OpenError(temporary("4.4.1", text, target.host), reached=False) from None
            raise
        return made

    async def _greet(self, client: aiosmtplib.SMTP, target: Target) -> None:
        try:
            await client.connect(timeout=self._patience.greeting)
        except aiosmtplib.SMTPConnectResponseError as error:
            raise OpenError(_refused(error, Stage.GREETING, target.host), reached=True) from None
        except (aiosmtplib.SMTPException, OSError):
            raise OpenError(temporary("4.4.2", "no greeting", target.host), reached=False) from None
        await self._hello(client, target)

    async def _hello(self, client: aiosmtplib.SMTP, target: Target) -> None:
        """Say EHLO, and HELO where the server does not know EHLO (RFC 5321 3.2)."""
        try:
            try:
                await client.ehlo(timeout=self._patience.hello)
            except aiosmtplib.SMTPHeloError as error:
                if error.code not in (500, 501, 502, 504, 550) or not client.is_connected:
                    raise
                await client.helo(timeout=self._patience.hello)
        except aiosmtplib.SMTPResponseException as error:
            raise OpenError(_refused(error, Stage.HELLO, target.host), reached=True) from None
        except (aiosmtplib.SMTPException, OSError):
            raise OpenError(temporary("4.4.2", "connection lost at EHLO", target.host), reached=True) from None

    async def _encrypt(self, client: aiosmtplib.SMTP, target: Target) -> str:
        """Return the word for what TLS has proven, "none" where there is none and need not be.

        Raises:
            TlsFailedError: the demand is not met, or the connection is of no use any more.
        """
        demand = target.demand
        if not client.supports_extension("starttls"):
            if demand.level is not Level.MAY:
                raise TlsFailedError("4.7.4", "TLS is required, but was not offered")
            return "none"
        name = demand.names[0] if demand.names else target.host
        try:
            await client.starttls(
                server_hostname=name, tls_context=self._tls.context(demand), timeout=self._patience.handshake
            )
        except aiosmtplib.SMTPResponseException:
            if demand.level is not Level.MAY or not client.is_connected:
                raise TlsFailedError("4.7.4", "TLS is required, but was refused") from None
            # Refused politely: the conversation goes on in clear (RFC 3207 section 4).
            return "none"
        except ssl.SSLCertVerificationError:
            raise TlsFailedError("4.7.5", "certificate could not be verified") from None
        except (aiosmtplib.SMTPException, OSError, ValueError):
            raise TlsFailedError("4.7.5", "TLS handshake failed") from None
        return self._tls.check(client.get_transport_info("ssl_object"), demand, self._clock.now())


def _refused(error: aiosmtplib.SMTPResponseException, stage: Stage, host: str) -> Outcome:
    """Return the outcome of a server that does not talk to us.

    A 5xx here is about us or about its state, not about the mail, so it is temporary: another server, or the same one
    later, may take it. 521 is the exception: this host takes no mail at all (RFC 7504).
    """
    reply = Reply(error.code, tuple(error.message.split("\n")))
    outcome = read_outcome(reply, stage, host)
    if error.code == 521:
        return permanent("5.3.2", outcome.text or "host takes no mail", host)
    if not 400 <= error.code < 500:
        outcome = read_outcome(Reply(450, reply.lines), stage, host)
        outcome = Outcome(outcome.result, max(error.code, 0), outcome.status, outcome.text, host)
    return of_destination(outcome)
