"""A transport in a little internet of its own: a DNS zone, mail servers on loopback addresses, short waits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from libs.runtime.clock import Clock, SystemClock
from services.delivery.domain.model import Outcome, Outgoing
from services.delivery.transport import make_transport
from services.delivery.transport.sender import MxTransport
from services.delivery.transport.settings import Bounds, Patience, Tuning
from services.delivery.transport.sts import PolicyStore
from tests.support.dns import DnsServer, Zone, serve_dns
from tests.support.remote_mta import RemoteMta, serve_mta

CONTENT = b"From: ada@sealpost.test\r\nSubject: hello\r\n\r\nA line\r\n.a line with a dot\r\n..\r\nthe end\r\n"

SHORT = Patience(
    attempt=20.0,
    slot=5.0,
    dns=1.0,
    connect=2.0,
    greeting=1.0,
    hello=1.0,
    handshake=2.0,
    mail=1.0,
    rcpt=1.0,
    data=1.0,
    block=1.0,
    content=1.0,
    policy=3.0,
    close=2.0,
)
TUNING = Tuning(SHORT, Bounds())


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class FakeSettings:
    """services.delivery.transport.settings.TransportSettings."""

    hostname: str = "mx.sealpost.test"
    resolvers: tuple[str, ...] = ()
    mx_port: int = 25
    smarthost: str = ""
    allowed_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    fetch_ports: tuple[int, ...] = (443,)
    ca_file: str = ""
    per_destination: int = 20


@dataclass
class Site:
    """The transport, the DNS server, and the mail servers by their place in the list."""

    transport: MxTransport
    dns: DnsServer
    mtas: list[RemoteMta] = field(default_factory=list)

    @property
    def mta(self) -> RemoteMta:
        """The only mail server, or the first."""
        return self.mtas[0]

    async def send(self, *recipients: str, domain: str = "remote.test", **changes: object) -> Sequence[Outcome]:
        """Send a mail to `recipients`, by default one."""
        return await self.transport.send(mail(*recipients, domain=domain, **changes))

    async def send_one(self, recipient: str = "bob@remote.test", **changes: object) -> Outcome:
        """Send a mail to one recipient."""
        (outcome,) = await self.send(recipient, domain=recipient.rpartition("@")[2], **changes)
        return outcome


def mail(*recipients: str, domain: str = "remote.test", **changes: object) -> Outgoing:
    """Return a mail to `recipients`, by default bob@remote.test."""
    to = recipients or (f"bob@{domain}",)
    return replace(Outgoing(domain, "b-token@bounces.sealpost.test", to, CONTENT), **changes)  # type: ignore[arg-type]


def zone_for(*hosts: str, domain: str = "remote.test") -> dict[tuple[str, str], list[str]]:
    """Return a zone in which `domain` has an MX at each address: preferences 10, 20, ..., names mx1, mx2, ..."""
    zone: dict[tuple[str, str], list[str]] = {(domain, "MX"): []}
    for number, address in enumerate(hosts, 1):
        zone[domain, "MX"].append(f"{number * 10} mx{number}.{domain}.")
        zone[f"mx{number}.{domain}", "AAAA" if ":" in address else "A"] = [address]
    return zone


@asynccontextmanager
async def make_site(
    *,
    zone: Zone | None = None,
    servers: Sequence[str] = ("127.0.0.2",),
    context: ssl.SSLContext | None = None,
    settings: FakeSettings | None = None,
    tuning: Tuning = TUNING,
    clock: Clock | None = None,
    store: PolicyStore | None = None,
) -> AsyncIterator[Site]:
    """Run mail servers at the addresses `servers`, on one port, a DNS with `zone`, and a transport that uses both."""
    async with AsyncExitStack() as stack:
        mtas: list[RemoteMta] = []
        for number, address in enumerate(servers, 1):
            port = mtas[0].port if mtas else 0
            name = f"mx{number}.remote.test"
            mtas.append(await stack.enter_async_context(serve_mta(address, port, name=name, context=context)))
        dns = stack.enter_context(serve_dns(zone if zone is not None else zone_for(*servers)))
        settings = settings or FakeSettings()
        used = replace(
            settings,
            resolvers=(dns.address,),
            mx_port=mtas[0].port if mtas and settings.mx_port == 25 else settings.mx_port,
        )
        transport = make_transport(used, clock or SystemClock(), tuning=tuning, policies=store)
        stack.push_async_callback(transport.aclose)
        yield Site(transport, dns, mtas)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until `condition()` is true; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[int]:
    """Run a server that does with each connection what `talk` does; yield its port on 127.0.0.2."""
    talking: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        try:
            await talk(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.2", 0, limit=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking)
        await asyncio.sleep(0.01)
