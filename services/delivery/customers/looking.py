"""Looks at what is published: all the records of a domain at once, each within seconds, a few questions at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from libs.runtime.errors import UnavailableError
from services.delivery.customers.ports import Dns
from services.delivery.domain.sender_domains import RecordState, Wanted, judge

_SECONDS = 5.0
_AT_ONCE = 16
# More than that nobody publishes at one name, and a look must not become work for us.
_MOST_RECORDS = 100
_MOST_CHARACTERS = 8192


class DnsLookups:
    """Implements customers.ports.Dns on dnspython."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        """Ask with `resolver`, see libs.net.dns."""
        self._resolver = resolver
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def txt(self, name: str) -> Sequence[str]:
        """See Dns."""
        records = [record for record in await self._ask(name, "TXT") if isinstance(record, TXT)]
        return [b"".join(record.strings).decode("utf-8", "replace")[:_MOST_CHARACTERS] for record in records]

    async def mx(self, name: str) -> Sequence[str]:
        """See Dns."""
        records = [record for record in await self._ask(name, "MX") if isinstance(record, MX)]
        return [record.exchange.to_text(omit_final_dot=True).lower() for record in records]

    async def _ask(self, name: str, kind: str) -> Sequence[object]:
        async with self._room:
            try:
                async with asyncio.timeout(_SECONDS + 1):
                    answer = await self._resolver.resolve(name, kind, lifetime=_SECONDS, search=False)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return ()
            except (dns.exception.DNSException, OSError, TimeoutError) as error:
                raise UnavailableError("dns") from error
        return list(answer)[:_MOST_RECORDS]


async def look(lookups: Dns, records: Sequence[Wanted]) -> list[RecordState]:
    """Return how each of `records` is published; never raises for what the DNS does."""

    async def one(wanted: Wanted) -> RecordState:
        try:
            found = await (lookups.mx if wanted.kind == "MX" else lookups.txt)(wanted.name)
        except UnavailableError:
            return RecordState.UNREACHABLE
        return judge(wanted, found)

    return list(await asyncio.gather(*(one(wanted) for wanted in records)))
