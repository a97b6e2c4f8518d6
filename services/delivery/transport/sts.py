"""MTA-STS (RFC 8461): what a domain publishes about its mail servers, and keeping it.

A TXT record tells the id of the policy, HTTPS the policy itself; who once had it holds on to it while it lives, even if
record and server are gone: that is what makes it hard to take away. So it is fetched again when the id changes and once
a day, and the one at hand stays in use while that fails. After a failed fetch nobody asks again for five minutes.
A policy found for the first time only by a mail that is sent right now cannot protect the mail before it; that is how
the standard is made. Policies live in memory, and in a store if one is given, for a restart would forget them. A store
that does not answer stops no mail: what it could not tell or take is asked of it and given to it again later.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from libs.net.http import Fetched
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError, UnavailableError
from services.delivery.transport import meters
from services.delivery.transport.dane import covers
from services.delivery.transport.names import Names

# One year (RFC 8461 3.2), and not less than a minute: a policy of age 0 would be fetched for each mail.
_MAX_AGE = 31_557_600
_MIN_AGE = 60
_REFRESH_SECONDS = 86_400
_FAILED_SECONDS = 300
# How long mails wait for the store, and how long it has rest after it did not take a policy.
_STORE_SECONDS = 2.0
_UNSAVED_SECONDS = 60
_MAX_BYTES = 65_536
_MAX_HOSTS = 200
_ID = re.compile(r"v=STSv1[ \t]*;(?:[^;]*;)*?[ \t]*id=([A-Za-z0-9]{1,32})[ \t]*(?:;|\Z)")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?\Z")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. `mode` is enforce, testing or none; `hosts` are patterns for names of servers; times Unix seconds."""

    mode: str
    hosts: tuple[str, ...]
    policy_id: str
    fetched: int
    expires: int

    def allows(self, host: str) -> bool:
        """Return whether `host` is one of its servers (RFC 8461 4.1)."""
        return any(covers(pattern, host) for pattern in self.hosts)


class PolicyStore(Protocol):
    """Where policies outlive a restart. After a SealpostError the transport goes on without it."""

    async def load(self, domain: str) -> Policy | None:
        """Return what was saved last, None if nothing."""

    async def save(self, domain: str, policy: Policy) -> None:
        """Keep it until it expires."""


Fetch = Callable[[str], Awaitable[Fetched]]


@dataclass(slots=True)
class _Known:
    # Nothing that the store has is missing here.
    recalled: bool
    policy: Policy | None = None
    # No fetch before this time, Unix seconds.
    not_before: int = 0
    # The store has yet to take the policy, and not before this time.
    unsaved: bool = False
    save_at: int = 0


class Policies:
    """The policies of the world's domains; for one event loop."""

    def __init__(
        self, names: Names, fetch: Fetch, clock: Clock, *, port: int = 443, store: PolicyStore | None = None
    ) -> None:
        """Take what fetches a URL over verified HTTPS (raises SealpostError); `port` differs from 443 only in tests."""
        self._names = names
        self._fetch = fetch
        self._clock = clock
        self._port = "" if port == 443 else f":{port}"
        self._store = store
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._capacity = 10_000

    async def find(self, domain: str) -> Policy | None:
        """Return the policy in force for the A-label `domain`, None if it has none."""
        known = await self._recall(domain)
        policy_id = await self._published(domain)
        now = unix_seconds(self._clock)
        if known.policy is not None and known.policy.expires <= now:
            known.policy = None
        changed = policy_id != "" and (known.policy is None or known.policy.policy_id != policy_id)
        stale = known.policy is not None and known.policy.fetched + _REFRESH_SECONDS <= now
        # Mails that come while it is being fetched wait for it too: they must not slip past the first policy.
        if (changed or stale) and (domain in self._under_way or known.not_before <= now):
            await self._renew(domain, known, policy_id)
        if known.unsaved and known.save_at <= now:
            await self._save(domain, known)
        return known.policy

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _recall(self, domain: str) -> _Known:
        known = self._known.get(domain)
        if known is None:
            known = self._known[domain] = _Known(recalled=self._store is None)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(domain)
        if not known.recalled:
            await self._load(domain, known)
        return known

    async def _published(self, domain: str) -> str:
        """Return the id that DNS tells, "" if none: several records are none (RFC 8461 3.1)."""
        try:
            answer = await self._names.look_up(f"_mta-sts.{domain}", "TXT")
        except UnavailableError:
            return ""
        texts = [b"".join(record.strings).decode("ascii", "replace") for record in answer.records]
        found = [text for text in texts if re.match(r"v=STSv1[ \t]*(?:;|\Z)", text)]
        match = _ID.match(found[0]) if len(found) == 1 else None
        return match[1] if match else ""

    async def _renew(self, domain: str, known: _Known, policy_id: str) -> None:
        task = self._under_way.get(domain)
        if task is None:
            task = self._under_way[domain] = asyncio.create_task(self._ask(domain, known, policy_id))
        await asyncio.shield(task)

    async def _ask(self, domain: str, known: _Known, policy_id: str) -> None:
        now = unix_seconds(self._clock)
        known.not_before = now + _FAILED_SECONDS
        try:
            answer = await self._fetch(f"https://mta-sts.{domain}{self._port}/.well-known/mta-sts.txt")
            policy = _read_answer(answer, policy_id or (known.policy.policy_id if known.policy else ""), now)
            meters.POLICIES.inc(outcome="fetched" if policy else "invalid")
            if policy is not None:
                known.policy, known.not_before = policy, now
                known.recalled, known.unsaved = True, self._store is not None
                await self._save(domain, known)
        except SealpostError:
            meters.POLICIES.inc(outcome="failed")
        finally:
            del self._under_way[domain]

    async def _load(self, domain: str, known: _Known) -> None:
        if self._store is None:
            return
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                policy = await self._store.load(domain)
        except (SealpostError, TimeoutError):
            meters.POLICIES.inc(outcome="not_loaded")
            return
        # One that was fetched in the meantime is newer.
        if not known.recalled:
            known.policy, known.recalled = policy, True

    async def _save(self, domain: str, known: _Known) -> None:
        policy = known.policy
        if self._store is None or policy is None:
            return
        known.save_at = unix_seconds(self._clock) + _UNSAVED_SECONDS
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._store.save(domain, policy)
        except (SealpostError, TimeoutError):
            meters.POLICIES.inc(outcome="not_saved")
            return
        if known.policy is policy:
            known.unsaved = False


def _read_answer(answer: Fetched, policy_id: str, now: int) -> Policy | None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or kind != "text/plain" or len(answer.body) > _MAX_BYTES:
        return None
    return parse_policy(answer.body, policy_id, now)


def parse_policy(body: bytes, policy_id: str, now: int) -> Policy | None:
    """Return the policy in `body` (RFC 8461 3.2), None if it is none. Unknown fields are passed over."""
    fields: dict[str, list[str]] = {}
    for line in body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        name, separator, value = line.partition(":")
        if separator:
            fields.setdefault(name.strip(), []).append(value.strip())
    mode = fields.get("mode", [""])[0]
    age = fields.get("max_age", [""])[0]
    hosts = tuple(host.lower().rstrip(".") for host in fields.get("mx", []) if _HOST.match(host.lower()))
    if fields.get("version", [""])[0] != "STSv1" or mode not in ("enforce", "testing", "none"):
        return None
    if not (age.isascii() and age.isdigit() and len(age) <= 10) or len(hosts) > _MAX_HOSTS:
        return None
    if not hosts and mode != "none":
        return None
    lasts = min(max(int(age), _MIN_AGE), _MAX_AGE)
    return Policy(mode, hosts, policy_id, now, now + lasts)
