"""TLS without a policy: taken where it is offered, whatever the certificate, and never in the way of a mail."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from services.delivery.domain.model import Result
from services.delivery.transport import meters
from tests.support.remote_steps import DROP, HANDSHAKE, NOISE, SILENCE, STARTTLS, Misdeed
from tests.support.remote_tls import World, server_context
from tests.unit.delivery.transport.site import CONTENT, FakeSettings, make_site

DELIVERED = Result.DELIVERED
RESULTS = ("none", "opportunistic", "verified", "mta_sts", "dane", "failed")


@contextmanager
def counted(**expected: int) -> Iterator[None]:
    """Check by how much the results of TLS grow in the block."""
    before = {result: meters.TLS.value(result=result) for result in RESULTS}
    yield
    grown = {result: int(meters.TLS.value(result=result) - before[result]) for result in RESULTS}
    assert {result: count for result, count in grown.items() if count} == expected


async def test_without_starttls_mail_goes_in_clear() -> None:
    with counted(none=1):
        async with make_site() as site:
            await site.send_one()
    assert site.mta.mails[0].tls == ""


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "result"),
    [
        (("mx1.remote.test",), False, True, "verified"),
        (("other.test",), False, True, "opportunistic"),
        (("mx1.remote.test",), True, True, "opportunistic"),
        (("mx1.remote.test",), False, False, "opportunistic"),
    ],
)
async def test_any_certificate_is_better_than_none(
    tmp_path: Path, names: tuple[str, ...], expired: bool, trusted: bool, result: str
) -> None:
    world = World(tmp_path)
    context = server_context(world.certificate(*names, expired=expired, trusted=trusted))
    with counted(**{result: 1}):
        async with make_site(context=context, settings=FakeSettings(ca_file=world.ca_file)) as site:
            assert (await site.send_one()).result is DELIVERED
            assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 1
    assert {mail.tls for mail in site.mta.mails} == {"TLSv1.3"}
    assert site.mta.mails[0].content == CONTENT
    # What was offered in clear is forgotten: EHLO is said again (RFC 3207 4.2).
    assert [line.partition(" ")[0] for line in site.mta.commands[:3]] == ["EHLO", "STARTTLS", "EHLO"]


def test_tls_works_on_the_loop_that_services_run_on(tmp_path: Path) -> None:
    uvloop.run(
        test_any_certificate_is_better_than_none(tmp_path, ("mx1.remote.test",), False, True, "verified"),
    )


async def test_a_large_mail_goes_over_tls(tmp_path: Path) -> None:
    content = b"Subject: large\r\n\r\n" + (b"y" * 76 + b"\r\n") * 50_000
    context = server_context(World(tmp_path).certificate("mx1.remote.test"))
    async with make_site(context=context) as site:
        assert (await site.send_one(content=content)).result is DELIVERED
    assert site.mta.mails[0].content == content


@pytest.mark.parametrize("misdeed", [DROP, NOISE, SILENCE], ids=lambda misdeed: misdeed.kind)
async def test_after_a_failed_handshake_the_mail_goes_in_clear(tmp_path: Path, misdeed: Misdeed) -> None:
    context = server_context(World(tmp_path).certificate("mx1.remote.test"))
    with counted(failed=1, none=1):
        async with make_site(context=context) as site:
            site.mta.says(HANDSHAKE, misdeed)
            assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 2
    assert site.mta.mails[0].tls == ""


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "502 5.5.1 what?"])
async def test_a_refused_starttls_leaves_the_conversation_in_clear(tmp_path: Path, reply: str) -> None:
    context = server_context(World(tmp_path).certificate("mx1.remote.test"))
    with counted(none=1):
        async with make_site(context=context) as site:
            site.mta.says(STARTTLS, reply)
            assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 1


async def test_a_drop_at_starttls_leads_to_a_connection_in_clear(tmp_path: Path) -> None:
    context = server_context(World(tmp_path).certificate("mx1.remote.test"))
    async with make_site(context=context) as site:
        site.mta.says(STARTTLS, DROP)
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 2


async def test_a_version_that_is_broken_counts_as_no_tls(tmp_path: Path) -> None:
    old = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning):
        context = server_context(World(tmp_path).certificate("mx1.remote.test"), versions=(old, old))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with counted(failed=1, none=1):
        async with make_site(context=context) as site:
            assert (await site.send_one()).result is DELIVERED
    assert site.mta.mails[0].tls == ""


async def test_tls_1_2_is_enough(tmp_path: Path) -> None:
    version = ssl.TLSVersion.TLSv1_2
    context = server_context(World(tmp_path).certificate("mx1.remote.test"), versions=(version, version))
    async with make_site(context=context) as site:
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.mails[0].tls == "TLSv1.2"


async def test_what_is_injected_before_the_handshake_is_forgotten(tmp_path: Path) -> None:
    """Replies put behind the one to STARTTLS by somebody in between must not answer what is asked under TLS."""
    context = server_context(World(tmp_path).certificate("mx1.remote.test"))
    async with make_site(context=context) as site:
        site.mta.says(STARTTLS, "220 2.0.0 go ahead\r\n250-evil.test\r\n250 SIZE 1")
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.mails[0].tls
    assert f"SIZE={len(CONTENT)}" in site.mta.mails[0].options
