"""SPF, DKIM and DMARC together, against a real DNS server: what is recorded, and that nothing ever waits too long."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import pytest

from libs.mail.verdict import Verdict
from libs.runtime.clock import SystemClock
from services.ingest.authentication import Checks, SenderAuthenticator
from services.ingest.dmarc import Organisations
from services.ingest.domain import Client
from services.ingest.resolver import DnsResolver
from tests.support.dns import DnsServer, serve_dns
from tests.support.ingest import serve_edge
from tests.unit.ingest.senders import MAIL, letter, sign, zone

ORGANISATIONS = Organisations()
CLIENT = Client("192.0.2.9", "mx.example.org", True)
STRANGER = Client("203.0.113.9", "mx.example.net", True)


@contextmanager
def authenticator(server: DnsServer, seconds: float = 3.0) -> Iterator[SenderAuthenticator]:
    resolver = DnsResolver((server.address,), SystemClock())
    resolver.probe()
    executor = ThreadPoolExecutor(4)
    try:
        yield SenderAuthenticator(Checks(resolver, ORGANISATIONS, executor, SystemClock(), seconds, 5))
    finally:
        executor.shutdown()


async def verdict(client: Client, sender: str, mail: bytes, seconds: float = 3.0, mode: str = "answer") -> Verdict:
    with serve_dns(zone()) as server, authenticator(server, seconds) as checks:
        server.mode = mode
        return await checks.begin(client, sender).finish(letter(mail))


async def test_an_honest_mail() -> None:
    found = await verdict(CLIENT, "ada@example.org", sign(MAIL))
    assert (found.spf, found.dkim, found.dmarc) == ("pass", "pass", "pass")
    short = found.results.partition('header.b="')[2][:8]
    assert found.results == (
        "spf=pass smtp.mailfrom=example.org; "
        f'dkim=pass header.d=example.org header.s=sel header.b="{short}"; '
        "dmarc=pass (p=reject) header.from=example.org"
    )


@pytest.mark.parametrize(
    ("client", "sender", "mail", "results"),
    [
        (STRANGER, "ada@example.org", MAIL, ("fail", "none", "fail")),
        (CLIENT, "ada@example.org", MAIL, ("pass", "none", "pass")),
        (STRANGER, "eve@example.net", sign(MAIL), ("none", "pass", "pass")),
        (STRANGER, "eve@example.net", sign(MAIL, "example.net"), ("none", "pass", "fail")),
        (STRANGER, "eve@example.net", sign(MAIL).replace(b"A line", b"B line"), ("none", "fail", "fail")),
        (CLIENT, "", MAIL, ("none", "none", "fail")),
        (CLIENT, "x@nowhere.example", b"From: x@nowhere.example\r\n\r\n", ("none", "none", "none")),
        (CLIENT, "x@nowhere.example", b"Subject: nobody\r\n\r\n", ("none", "none", "permerror")),
        (CLIENT, "x@nowhere.example", b"X: y\r\n" * 1001 + sign(MAIL), ("none", "none", "permerror")),
    ],
)
async def test_results(client: Client, sender: str, mail: bytes, results: tuple[str, str, str]) -> None:
    found = await verdict(client, sender, mail)
    assert (found.spf, found.dkim, found.dmarc) == results


async def test_the_machine_itself_has_no_spf() -> None:
    found = await verdict(Client("127.0.0.1", "x.example"), "ada@example.org", MAIL)
    assert (found.spf, found.dmarc) == ("none", "fail")


@pytest.mark.parametrize("mode", ["silent", "servfail"])
async def test_without_dns_everything_is_temporary_and_in_time(mode: str) -> None:
    began = time.monotonic()
    found = await verdict(CLIENT, "ada@example.org", sign(MAIL), seconds=0.5, mode=mode)
    assert time.monotonic() - began < 2.0
    assert (found.spf, found.dkim, found.dmarc) == ("temperror", "temperror", "temperror")
    assert "header.from=example.org" in found.results


async def test_what_is_known_needs_no_thread() -> None:
    with serve_dns(zone()) as server, authenticator(server) as checks:
        await checks.begin(CLIENT, "ada@example.org").finish(letter(MAIL))
        asked = len(server.asked)
        checks._checks.executor.shutdown()
        found = await checks.begin(CLIENT, "ada@example.org").finish(letter(MAIL))
        assert (found.spf, found.dmarc) == ("pass", "pass")
        assert len(server.asked) == asked


async def test_nothing_of_the_mail_gets_into_the_field_but_domains() -> None:
    hostile = b"From: <x@evil.example;dmarc=pass>\r\n\r\n"
    found = await verdict(Client("192.0.2.9", "[192.0.2.9]"), '"a; dmarc=pass"@[192.0.2.1]', hostile)
    assert found.results == "spf=none; dkim=none; dmarc=permerror"


async def test_checks_given_up_are_dropped() -> None:
    with serve_dns(zone()) as server, authenticator(server, seconds=0.3) as checks:
        server.mode = "silent"
        begun = checks.begin(CLIENT, "ada@example.org")
        begun.cancel()
        begun.cancel()


@asynccontextmanager
async def edge_with_dns(mode: str) -> AsyncIterator[tuple[str, str]]:
    """Deliver a signed mail over SMTP and yield the reply and what was written."""
    with serve_dns(zone()) as dns, authenticator(dns, seconds=0.5) as checks:
        dns.mode = mode
        async with serve_edge(authenticator=checks) as server:
            dialogue = await server.connect()
            await dialogue.start_mail()
            await dialogue.send(sign(MAIL) + b".\r\n")
            yield await dialogue.reply(), server.storage.body().decode()


@pytest.mark.parametrize(("mode", "result"), [("answer", "pass"), ("silent", "temperror"), ("servfail", "temperror")])
async def test_no_failure_of_dns_refuses_a_mail(mode: str, result: str) -> None:
    async with edge_with_dns(mode) as (reply, body):
        assert reply.startswith("250")
        assert (
            f"Authentication-Results: mx.sealpost.test; spf=none smtp.mailfrom=example.org;\r\n\tdkim={result}" in body
        )
