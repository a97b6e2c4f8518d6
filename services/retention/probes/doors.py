"""The doors as they are on the network: HTTP and SMTP, bounded in size and time."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence

import aiosmtplib
import httpcore

from services.retention.probes.world import Answer, UnknowableError

_MOST_BYTES = 16 * 1024 * 1024
_COOKIE = "__Host-session"
_FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class HttpDoor:
    """World.web by HTTP/1.1."""

    def __init__(self, url: str, origin: str = "", seconds: float = 15.0) -> None:
        """Ask what is at `url`, as a page of `origin` would (empty: of `url`); no connection is kept for long."""
        self._url = url.rstrip("/")
        self._origin = (origin or url).rstrip("/")
        self._seconds = seconds
        self._pool = httpcore.AsyncConnectionPool(max_connections=4, keepalive_expiry=5.0)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, object] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """See Web."""
        if not self._url:
            raise UnknowableError("no_door")
        sent = {"Accept": "*/*", **(headers or {})}
        if method not in ("GET", "HEAD"):
            sent["Origin"] = self._origin
        if token:
            sent["Cookie"] = f"{_COOKIE}={token}"
        content = b""
        if form is not None:
            sent["Content-Type"], content = "application/json", json.dumps(form).encode()
        fields = [(name.encode(), value.encode()) for name, value in sent.items()]
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._pool.stream(method, self._url + path, headers=fields, content=content) as response,
            ):
                body = b""
                async for block in response.aiter_stream():
                    body += block
                    if len(body) > _MOST_BYTES:
                        raise UnknowableError("answer_too_large")
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            TimeoutError,
            OSError,
        ) as error:
            raise UnknowableError("web") from error
        named = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
        return Answer(response.status, named, body)

    async def close(self) -> None:
        """Give the connections back."""
        await self._pool.aclose()


class SmtpDoor:
    """World.smtp: encrypted with whatever certificate, as other mail servers do it (RFC 7435)."""

    def __init__(self, address: str, name: str, seconds: float = 20.0) -> None:
        """Connect to `address`, host:port, and say to be `name`."""
        self._host, _, port = address.rpartition(":")
        self._port = int(port) if port.isdigit() else 0
        self._name = name
        self._seconds = seconds

    async def send(self, sender: str, recipients: Sequence[str], content: bytes) -> int:
        """See Smtp."""
        if not self._port:
            raise UnknowableError("no_door")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = aiosmtplib.SMTP(
            hostname=self._host.strip("[]"),
            port=self._port,
            timeout=self._seconds,
            start_tls=True,
            tls_context=context,
            local_hostname=self._name,
        )
        try:
            async with asyncio.timeout(3 * self._seconds):
                await client.connect()
                try:
                    await client.sendmail(sender, list(recipients), content)
                    return 250
                finally:
                    client.close()
        except aiosmtplib.SMTPRecipientsRefused as refused:
            return max((one.code for one in refused.recipients), default=550)
        except aiosmtplib.SMTPResponseException as refused:
            return refused.code
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            raise UnknowableError("smtp") from error
