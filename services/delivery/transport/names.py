"""DNS for mail out: a question is asked once at a time, its answer kept while it lives; it tells whether it is proven.

A queue asks the same few names thousands of times a second, so answers are kept for their time to live (between half a
minute and an hour), absence for a minute; and a name whose servers do not answer fails at once for half a minute, or
each mail to it would wait for them again.

DANE (RFC 7672) stands on answers that a resolver has validated and says so by the AD bit. The bit crosses the way from
the resolver unprotected, so it counts only where that way is ours: resolvers that an operator has named, or those of
the system if all of them are on this machine (RFC 6698 section 8, RFC 7672 2.1.1). AD is asked for by AD in the query
(RFC 6840 5.7), which validating resolvers honour and which spares the signatures.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.rdatatype
import dns.resolver
import idna

from libs.net.dns import make_resolver
from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError

# An rdata of dnspython of the kind asked for.
Record: TypeAlias = Any

_MIN_TTL = 30.0
_MAX_TTL = 3600.0
_ABSENT_SECONDS = 60.0
_FAILED_SECONDS = 30.0
_CAPACITY = 20_000
_EDNS_BYTES = 1232


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has of one kind. `exists` is False where there is no such name at all.

    `authentic`: a resolver that is to be believed has validated it. `canonical` is the name at the end of its aliases,
    lower-case, without the last dot.
    """

    records: tuple[Record, ...] = ()
    exists: bool = True
    authentic: bool = False
    canonical: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Answer | None
    until: float


class Names:
    """The resolver of the transport; for one event loop."""

    def __init__(self, resolvers: Sequence[str], clock: Clock, seconds: float) -> None:
        """Ask `resolvers`, or the system's if empty, for at most `seconds` each question."""
        self._resolver = make_resolver(resolvers)
        self._resolver.use_edns(0, 0, _EDNS_BYTES)
        self._resolver.set_flags(dns.flags.RD | dns.flags.AD)
        self._believed = bool(resolvers) or _all_local(self._resolver)
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._under_way: dict[tuple[str, str], asyncio.Task[_Kept]] = {}

    async def look_up(self, name: str, kind: str) -> Answer:
        """Return what the A-label `name` has of `kind`, e.g. "MX".

        Raises:
            UnavailableError: dns (no answer, or one that says to come again).
        """
        key = (name.lower(), kind)
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._clock.monotonic():
            task = self._under_way.get(key)
            if task is None:
                task = self._under_way[key] = asyncio.create_task(self._ask(key))
            # Shielded: whoever gives up leaves the question to the others that wait for it.
            kept = await asyncio.shield(task)
        if kept.answer is None:
            raise UnavailableError("dns")
        return kept.answer

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: tuple[str, str]) -> _Kept:
        try:
            answer, seconds = await self._query(*key)
            kept = self._kept[key] = _Kept(answer, self._clock.monotonic() + seconds)
            self._kept.move_to_end(key)
            if len(self._kept) > _CAPACITY:
                self._kept.popitem(last=False)
            return kept
        finally:
            del self._under_way[key]

    async def _query(self, name: str, kind: str) -> tuple[Answer | None, float]:
        """Return what came, None for a failure, and for how many seconds it holds."""
        try:
            found = await self._resolver.resolve(
                name, kind, search=False, raise_on_no_answer=False, lifetime=self._seconds
            )
        except dns.resolver.NXDOMAIN:
            return Answer(exists=False), _ABSENT_SECONDS
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return Answer(exists=False), _ABSENT_SECONDS
        except (dns.exception.DNSException, OSError):
            return None, _FAILED_SECONDS
        canonical = found.canonical_name.to_text(True).lower()
        authentic = self._believed and bool(found.response.flags & dns.flags.AD)
        if found.rrset is None:
            return Answer((), True, authentic, canonical), _ABSENT_SECONDS
        seconds = min(max(float(found.rrset.ttl), _MIN_TTL), _MAX_TTL)
        return Answer(tuple(found.rrset), True, authentic, canonical), seconds


def to_ascii(domain: str) -> str | None:
    """Return `domain` in A-labels (RFC 5890), lower-case, without a last dot; None if it cannot be one."""
    domain = domain.removesuffix(".")
    # idna works in more than linear time on long input, so the bound stands first.
    if not domain or len(domain) > 255:
        return None
    if domain.isascii():
        return domain.lower() if "@" not in domain else None
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None


def _all_local(resolver: dns.asyncresolver.Resolver) -> bool:
    servers = [server for server in resolver.nameservers if isinstance(server, str)]
    return bool(servers) and all(ip_address(server.partition("%")[0]).is_loopback for server in servers)
