"""Who sent it: SPF, DKIM, DMARC and ARC, for the record and in bounded time.

SPF begins at MAIL, while the client goes on talking; DKIM and DMARC follow the data. Whatever can be answered from
memory is answered on the spot; only what has to ask DNS, or to verify a signature, goes to a thread, and everything
together has one deadline. No result is a reason to refuse a mail: what could not be found out in time is "temperror".
Results go into the Authentication-Results field (RFC 8601) inside the sealed mail, and nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.runtime.clock import Clock
from services.ingest import arc, dmarc, meters, signatures, spf_check
from services.ingest.domain import Authentication, Client
from services.ingest.resolver import Records, Resolver, UnknownYetError
from services.ingest.signatures import DOMAIN, Ask, Signature

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checks:
    """What all checks share. `seconds` is the time for one mail, `most_signatures` how many are looked at."""

    resolver: Resolver
    organisations: dmarc.Organisations
    executor: Executor
    clock: Clock
    seconds: float
    most_signatures: int


class SenderAuthenticator:
    """domain.Authenticator with all three checks."""

    def __init__(self, checks: Checks) -> None:
        """Take what the checks share."""
        self._checks = checks

    def begin(self, client: Client, sender: str) -> Authentication:
        """See domain.Authenticator."""
        return _MailChecks(self._checks, client, sender)


class _MailChecks:
    """The checks of one mail."""

    def __init__(self, checks: Checks, client: Client, sender: str) -> None:
        self._checks = checks
        self._client = client
        self._sender = sender
        self._deadline = checks.clock.monotonic() + checks.seconds
        self._spf: str | asyncio.Future[str] = "none"
        # A process on the same machine has no address that a record could name.
        if not ipaddress.ip_address(client.address).is_loopback:
            self._spf = self._now_or_later(partial(spf_check.check, client, sender))

    async def finish(self, letter: Letter) -> Verdict:
        """See domain.Authentication."""
        checks = self._checks
        self._deadline = checks.clock.monotonic() + checks.seconds
        spf, found = "temperror", [Signature("temperror")] if letter.fields.all(b"dkim-signature") else []
        author = letter.from_domain()
        result, chain = dmarc.Dmarc("temperror"), "" if arc.is_there(letter) else "none"
        try:
            async with asyncio.timeout(checks.seconds):
                spf = self._spf if isinstance(self._spf, str) else await self._spf
                if found:
                    found = await self._later(partial(_signatures, letter, checks.most_signatures))
                if not chain:
                    chain = await self._later(partial(arc.verify, letter))
                passed = [one.domain for one in found if one.result == "pass"]
                spf_domain = _domain(self._sender) if spf == "pass" else ""
                judge = partial(_dmarc, author, spf_domain, passed, checks.organisations)
                judged = self._now_or_later(judge)
                result = judged if isinstance(judged, dmarc.Dmarc) else await judged
        except TimeoutError:
            self.cancel()
        verdict = with_chain(_verdict(self._client, self._sender, spf, found, (author, result)), chain)
        meters.checked(verdict)
        return verdict

    def cancel(self) -> None:
        """See domain.Authentication."""
        if not isinstance(self._spf, str):
            self._spf.cancel()

    def _now_or_later(self, check: Callable[[Ask], T]) -> T | asyncio.Future[T]:
        try:
            return check(self._checks.resolver.peek)
        except UnknownYetError:
            return self._later(check)

    def _later(self, check: Callable[[Ask], T]) -> asyncio.Future[T]:
        def ask(name: str, kind: str) -> Records:
            return self._checks.resolver.lookup(name, kind, self._deadline)

        return asyncio.get_running_loop().run_in_executor(self._checks.executor, check, ask)


def _signatures(letter: Letter, most: int, ask: Ask) -> list[Signature]:
    return signatures.verify(letter, ask, most)


def _dmarc(
    author: str, spf_domain: str, dkim_domains: list[str], organisations: dmarc.Organisations, ask: Ask
) -> dmarc.Dmarc:
    return dmarc.evaluate(author, spf_domain, dkim_domains, organisations, ask)


def _domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    return domain.lower() if DOMAIN.match(domain) else ""


def _verdict(client: Client, sender: str, spf: str, found: list[Signature], judged: tuple[str, dmarc.Dmarc]) -> Verdict:
    author, result = judged
    if sender:
        identity = f" smtp.mailfrom={_domain(sender)}" if _domain(sender) else ""
    else:
        identity = f" smtp.helo={client.hello}" if DOMAIN.match(client.hello) else ""
    parts = [f"spf={spf}{identity}", *map(_signature_text, found or [Signature("none")])]
    policy = f" (p={result.policy})" if result.policy else ""
    parts.append(f"dmarc={result.result}{policy}{f' header.from={author}' if DOMAIN.match(author) else ''}")
    results = [one.result for one in found]
    dkim = "pass" if "pass" in results else results[0] if results else "none"
    return Verdict(spf, dkim, result.result, "; ".join(parts))


def with_chain(verdict: Verdict, chain: str) -> Verdict:
    """Return a verdict with what arc.verify found; of mail without a chain nothing is said (RFC 8617 6)."""
    if chain in ("", "none"):
        return replace(verdict, arc=chain)
    return replace(verdict, arc=chain, results=f"{verdict.results}; arc={'pass' if chain == 'pass' else 'fail'}")


def _signature_text(one: Signature) -> str:
    # `b=` is base64, whose slash and plus need the quotes (RFC 8601 2.2, RFC 2045 5.1).
    short = f'"{one.short}"' if one.short else ""
    properties = (("header.d", one.domain), ("header.s", one.selector), ("header.b", short))
    return f"dkim={one.result}" + "".join(f" {name}={value}" for name, value in properties if value)
