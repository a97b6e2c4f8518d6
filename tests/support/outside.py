"""The rest of the world, on the loopback: a DNS zone, and a mail server for each of its domains.

    with outside("remote.test", "dead.test") as world, running_platform(home, **world.settings) as platform:
        ...
        mail = world.wait_mail("remote.test")

The servers run on a loop of their own in a thread, for the tests that use them do not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass

from libs.local.plan import free_ports
from tests.support.dns import DnsServer, serve_dns, txt
from tests.support.ledger_procs import wait_for
from tests.support.remote_mta import RemoteMta, serve_mta
from tests.support.remote_steps import Received


@dataclass
class Outside:
    """What the platform finds outside."""

    dns: DnsServer
    port: int
    mtas: dict[str, RemoteMta]

    @property
    def settings(self) -> dict[str, str]:
        """How the platform finds it."""
        return {"RESOLVERS": self.dns.address, "MX_PORT": str(self.port), "ALLOWED_NETWORKS": "127.0.0.0/8"}

    def mails(self, domain: str) -> list[Received]:
        """Return what the server of `domain` has taken so far."""
        return [mail for mail in self.mtas[domain].mails if mail.accepted]

    def wait_mail(self, domain: str, number: int = 1, seconds: float = 30.0) -> Received:
        """Return mail `number` (from 1) to `domain`."""
        wait_for(f"mail {number} at {domain}", lambda: len(self.mails(domain)) >= number, seconds)
        return self.mails(domain)[number - 1]

    def publish(self, name: str, kind: str, *records: str) -> None:
        """Put records into the zone; TXT as plain text."""
        self.dns.zone[(name.lower().rstrip(".") + ".", kind)] = [txt(one) if kind == "TXT" else one for one in records]


@contextmanager
def outside(*domains: str) -> Iterator[Outside]:
    """Run a world with these domains for the time of the block."""
    addresses = {domain: f"127.0.0.{number}" for number, domain in enumerate(domains, 2)}
    zone: dict[tuple[str, str], list[str]] = {}
    for domain, address in addresses.items():
        zone[(domain, "MX")] = [f"10 mx.{domain}."]
        zone[(f"mx.{domain}", "A")] = [address]
    (port,) = free_ports(1)
    with serve_dns(zone) as dns, _servers(addresses, port) as mtas:
        yield Outside(dns, port, mtas)


@contextmanager
def _servers(addresses: dict[str, str], port: int) -> Iterator[dict[str, RemoteMta]]:
    mtas: dict[str, RemoteMta] = {}
    loop = asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for domain, address in addresses.items():
                mtas[domain] = await stack.enter_async_context(serve_mta(address, port, name=f"mx.{domain}"))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(10), "the servers do not listen"
        yield mtas
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
