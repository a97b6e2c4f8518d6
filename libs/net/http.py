"""HTTPS to hosts that strangers name: webhooks, key directories, policies of MTA-STS.

A URL is an instruction of somebody else to connect from inside our network, so (the dangers are those of server-side
request forgery): https only, ports from a list, no user information; the host is looked up once for each connection,
every address of it has to be public (libs.net.addresses), and the connection is made to one of the very addresses that
were checked, so that a second, different answer of the DNS is never asked for. TLS is verified against the host name.
Redirects are not followed, content codings are not undone, and both the bytes of an answer and the time that all of it
may take are bounded. Connections are kept for some seconds, for several requests to one host follow each other.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from itertools import zip_longest
from types import TracebackType
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import httpcore
import idna

from libs.net.addresses import Address, Network, is_public, parse_networks
from libs.net.dns import make_resolver
from libs.runtime.errors import InternalError, InvalidError, UnavailableError

_MAX_URL = 2048
_MAX_CONNECTIONS = 100
_KEEP_SECONDS = 5.0
_MAX_ADDRESSES = 4
_CONNECT_SECONDS = 3.0
_URL = re.compile(r"[!-~\u00a1-\U0010ffff]+\Z")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z")
# What some resolvers and libraries take for an address: 127.1, 0x7f000001, 017700000001, 2130706433.
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked; `host` is an A-label name or an address, `path` has the query in it."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. Names of headers are lower-case; several of one name are joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_url(url: str, ports: Sequence[int]) -> Target:
    """Return what `url` asks for; nothing is looked up.

    Raises:
        InvalidError: url_invalid (none, too long, not https, with user information), url_refused (another port).
    """
    if len(url) > _MAX_URL or not _URL.match(url) or "\\" in url:
        raise InvalidError("url_invalid")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidError("url_invalid") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme != "https" or "@" in parts.netloc or not parts.hostname or not path.isascii():
        raise InvalidError("url_invalid")
    host = _read_host(parts.hostname)
    if ("[" in parts.netloc) != (":" in host):
        raise InvalidError("url_invalid")
    port = 443 if port is None else port
    if port not in ports:
        raise InvalidError("url_refused")
    return Target(host, port, path)


class GuardedHttp:
    """A client for URLs of strangers; an async context manager."""

    def __init__(
        self,
        *,
        resolvers: Sequence[str] = (),
        allowed_networks: Sequence[str] = (),
        ports: Sequence[int] = (443,),
        ca_file: str = "",
        user_agent: str = "sealpost",
    ) -> None:
        """Take DNS servers (none: the system's), networks allowed though not public, ports, and a CA besides the known.

        Raises:
            ValueError, OSError: a setting is malformed, the file unreadable.
        """
        self._ports = tuple(ports)
        self._user_agent = user_agent
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(cafile=ca_file)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEP_SECONDS,
            network_backend=_PinnedBackend(make_resolver(resolvers), parse_networks(allowed_networks)),
        )

    async def __aenter__(self) -> GuardedHttp:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        max_bytes: int = 65536,
        seconds: float = 10.0,
    ) -> Fetched:
        """Ask `url` and return the answer, whatever its status; a redirect is an answer like others.

        `max_bytes` bounds the body of the answer, `seconds` all of it from the look-up to the last byte.

        Raises:
            InvalidError: url_invalid, url_refused (port, or an address of the host is not public).
            UnavailableError: unreachable, tls, too_large, deadline.
        """
        target = read_url(url, self._ports)
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=b"https", host=target.host, port=target.port, target=target.path.encode()),
            headers=self._headers(method, target, headers or {}, content),
            content=content,
        )
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request, max_bytes)
        except TimeoutError:
            raise UnavailableError("deadline") from None
        except httpcore.LocalProtocolError as error:
            raise InternalError("request_malformed") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise UnavailableError("tls" if _is_tls(error) else "unreachable") from error

    async def _ask(self, request: httpcore.Request, max_bytes: int) -> Fetched:
        response = await self._pool.handle_async_request(request)
        try:
            announced = dict(response.headers).get(b"Content-Length", b"0")
            if announced.isdigit() and int(announced) > max_bytes and request.method != b"HEAD":
                raise UnavailableError("too_large")
            body = bytearray()
            async for block in response.aiter_stream():
                body += block
                if len(body) > max_bytes:
                    raise UnavailableError("too_large")
        finally:
            await response.aclose()
        return Fetched(response.status, _joined(response.headers), bytes(body))

    def _headers(
        self, method: str, target: Target, headers: Mapping[str, str], content: bytes
    ) -> list[tuple[str, str]]:
        host = f"[{target.host}]" if ":" in target.host else target.host
        fixed = {"host": host if target.port == 443 else f"{host}:{target.port}"}
        if content or method in ("POST", "PUT"):
            fixed["content-length"] = str(len(content))
        optional = {"user-agent": self._user_agent, "accept-encoding": "identity"}
        given = {name.lower(): value for name, value in headers.items()}
        return list((optional | given | fixed).items())


class _PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked up here and checked, and to nothing else."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, allowed: Sequence[Network]) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses(host)
        if not all(is_public(address, self._allowed) for address in addresses):
            raise InvalidError("url_refused")
        failure: Exception = UnavailableError("unreachable")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(str(address), port, _CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str) -> list[Address]:
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        six, four = await asyncio.gather(self._look_up(host, "AAAA"), self._look_up(host, "A"))
        if not six and not four:
            raise UnavailableError("unreachable")
        # In turns: where one of the two leads nowhere, the other is next.
        return [address for pair in zip_longest(six, four) for address in pair if address is not None]

    async def _look_up(self, host: str, kind: str) -> list[Address]:
        try:
            answer = await self._resolver.resolve(dns.name.from_text(host), kind, search=False)
        except (dns.exception.DNSException, OSError):
            return []
        return [ip_address(record.address) for record in answer]


def _read_host(host: str) -> str:
    try:
        ip = ip_address(host)
    except ValueError:
        return _read_name(host)
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        raise InvalidError("url_invalid")
    return str(ip)


def _read_name(host: str) -> str:
    """Return the A-label form. Mapping (UTS 46) comes first: it makes digits and dots out of other characters."""
    try:
        name = idna.encode(host, uts46=True).decode().lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        raise InvalidError("url_invalid") from None
    if len(name) > 253 or not _NAME.match(name):
        raise InvalidError("url_invalid")
    if _NUMBER.match(name):
        return _read_mapped(name)
    return name


def _read_mapped(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        raise InvalidError("url_invalid") from None


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
