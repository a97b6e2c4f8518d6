"""DNS for the checks of senders: a cache, one question at a time for each name, and a breaker.

The checks are for information and must not cost a mail anything where DNS is slow or absent. Answers are kept as long
as they live, what does not exist for a minute, failures for half a minute. When servers do not answer several times in
a row the breaker opens: questions then fail at once, and only a probe in the background asks whether servers are back.
A process starts with the breaker open and a probe, so that a machine without a network never waits.

pyspf and dkimpy ask synchronously, so `lookup` blocks and belongs into a thread; `peek` answers from memory alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from libs.runtime.clock import Clock
from services.ingest.settings import split_address

# TXT: the joined strings; A, AAAA: the address; PTR: the name; MX: (preference, name).
Record: TypeAlias = Any
Records: TypeAlias = Sequence[Record]

_MIN_TTL = 30.0
_MAX_TTL = 3600.0
_ABSENT_SECONDS = 60.0
_FAILED_SECONDS = 30.0
_TRY_SECONDS = 2.0
_PROBE_SECONDS = 1.5
_PROBE_EVERY = 15.0
_FAILURES_TO_OPEN = 3
_CAPACITY = 8192


class TemporaryDnsError(Exception):
    """No answer now; another time there may be one."""


class UnknownYetError(Exception):
    """Not in memory: somebody has to ask."""


class Resolver(Protocol):
    """What the checks ask."""

    def lookup(self, name: str, kind: str, deadline: float) -> Records:
        """Return the records, none if there are none; blocks until `deadline` of the monotonic clock at most.

        Raises:
            TemporaryDnsError: no answer.
        """

    def peek(self, name: str, kind: str) -> Records:
        """Return what `lookup` would at once.

        Raises:
            TemporaryDnsError: it would fail at once.
            UnknownYetError: it would ask.
        """


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known; None for a failure."""

    records: Records | None
    until: float


class DnsResolver:
    """Resolver on dnspython. Thread-safe."""

    def __init__(self, servers: Sequence[str], clock: Clock) -> None:
        """Ask `servers` ("address" or "address:port"), or those of the system if there are none."""
        self._clock = clock
        self._resolver = _configured(servers)
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._under_way: dict[tuple[str, str], Future[_Answer]] = {}
        self._failures = _FAILURES_TO_OPEN

    @property
    def is_open(self) -> bool:
        """Whether the breaker keeps questions from being asked."""
        return self._failures >= _FAILURES_TO_OPEN

    def peek(self, name: str, kind: str) -> Records:
        """See Resolver."""
        with self._lock:
            known = self._answers.get((name.lower(), kind))
        if known is not None and known.until > self._clock.monotonic():
            return _records(known)
        if self.is_open:
            raise TemporaryDnsError
        raise UnknownYetError

    def lookup(self, name: str, kind: str, deadline: float) -> Records:
        """See Resolver."""
        try:
            return self.peek(name, kind)
        except UnknownYetError:
            pass
        key = (name.lower(), kind)
        with self._lock:
            asked = self._under_way.get(key)
            mine = asked is None
            if asked is None:
                asked = self._under_way[key] = Future()
        if mine:
            self._ask(key, asked, deadline)
        try:
            return _records(asked.result(max(0.0, deadline - self._clock.monotonic())))
        except FutureTimeoutError:
            raise TemporaryDnsError from None

    def probe(self) -> None:
        """Ask for the root, and close the breaker if a server answers anything. Blocks for 1.5 seconds at most."""
        answer, alive = self._query(".", "NS", _PROBE_SECONDS)
        self._failures = 0 if alive or answer.records is not None else _FAILURES_TO_OPEN

    async def watch(self) -> None:
        """Probe now, and then whenever the breaker has been open for a while; runs until cancelled."""
        while True:
            if self.is_open:
                await asyncio.to_thread(self.probe)
            await asyncio.sleep(_PROBE_EVERY)

    def _ask(self, key: tuple[str, str], asked: Future[_Answer], deadline: float) -> None:
        answer = _Answer(None, 0.0)
        try:
            answer, alive = self._query(*key, deadline - self._clock.monotonic())
            self._failures = 0 if alive else self._failures + 1
        finally:
            with self._lock:
                del self._under_way[key]
                self._answers[key] = answer
                self._answers.move_to_end(key)
                if len(self._answers) > _CAPACITY:
                    self._answers.popitem(last=False)
            asked.set_result(answer)

    def _query(self, name: str, kind: str, seconds: float) -> tuple[_Answer, bool]:
        """Return an answer, and whether some server gave a sign of life."""
        now = self._clock.monotonic()
        if seconds <= 0:
            return _Answer(None, now), True
        try:
            found = self._resolver.resolve(name, kind, lifetime=seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return _Answer((), now + _ABSENT_SECONDS), True
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return _Answer((), now + _ABSENT_SECONDS), True
        except dns.resolver.NoNameservers as error:
            responses = [attempt[4] for attempt in error.kwargs.get("errors", ())]
            return _Answer(None, now + _FAILED_SECONDS), any(response is not None for response in responses)
        except (dns.exception.DNSException, OSError):
            return _Answer(None, now + _FAILED_SECONDS), False
        ttl = min(max(float(found.rrset.ttl if found.rrset else 0), _MIN_TTL), _MAX_TTL)
        return _Answer(tuple(_CONVERT[kind](record) for record in found), now + ttl), True


def _records(answer: _Answer) -> Records:
    if answer.records is None:
        raise TemporaryDnsError
    return answer.records


def _configured(servers: Sequence[str]) -> dns.resolver.Resolver:
    try:
        resolver = dns.resolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.resolver.Resolver(configure=False)
    if servers:
        resolver.nameservers = [_server(address) for address in servers]
    resolver.timeout = _TRY_SECONDS
    resolver.cache = None
    return resolver


def _server(address: str) -> dns.nameserver.Nameserver:
    with_port = address.count(":") == 1 or address.startswith("[")
    host, port = split_address(address) if with_port else (address, 53)
    return dns.nameserver.Do53Nameserver(host, port)


_CONVERT: dict[str, Callable[[Any], Record]] = {
    "TXT": lambda record: b"".join(record.strings),
    "A": lambda record: record.address,
    "AAAA": lambda record: record.address,
    "PTR": lambda record: record.target.to_text(True),
    "MX": lambda record: (record.preference, record.exchange.to_text(True)),
    "NS": lambda record: record.target.to_text(True),
}
