"""DANE (RFC 7672): TLSA records decide where all of the DNS is proven, and are nothing elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.delivery.domain.model import Result
from tests.support.remote_steps import HANDSHAKE, NOISE
from tests.support.remote_tls import World, server_context, tlsa, tlsa_of
from tests.unit.delivery.transport.site import FakeSettings, Site, make_site, zone_for
from tests.unit.delivery.transport.test_tls import counted

DELIVERED, TEMPORARY = Result.DELIVERED, Result.TEMPORARY


@asynccontextmanager
async def proven(
    certificate: Path | None, *records: str, host: str = "mx1.remote.test", settings: FakeSettings | None = None
) -> AsyncIterator[Site]:
    """Run a domain whose DNS is validated, with TLSA records for its one server."""
    context = server_context(certificate) if certificate is not None else None
    async with make_site(zone=zone_for("127.0.0.2"), context=context, settings=settings) as site:
        site.dns.signed = True
        if records:
            site.dns.zone[f"_{site.mta.port}._tcp.{host}.", "TLSA"] = list(records)
        yield site


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
async def test_a_certificate_that_the_records_name_is_good(tmp_path: Path, selector: int, matching: int) -> None:
    # Neither name nor date nor issuer matter (RFC 7672 3.1.1).
    certificate = World(tmp_path).certificate("whatever.test", expired=True, trusted=False)
    with counted(dane=1):
        async with proven(certificate, tlsa(certificate, 3, selector, matching)) as site:
            assert (await site.send_one()).result is DELIVERED
            assert (await site.send_one()).result is DELIVERED
    assert {bool(mail.tls) for mail in site.mta.mails} == {True}


async def test_one_record_that_matches_is_enough(tmp_path: Path) -> None:
    world = World(tmp_path)
    old, new = world.certificate("mx1.remote.test"), world.certificate("mx1.remote.test")
    async with proven(new, tlsa(old), tlsa(new)) as site:
        assert (await site.send_one()).result is DELIVERED


async def test_no_match_no_mail_and_never_in_clear(tmp_path: Path) -> None:
    world = World(tmp_path)
    shown, named = world.certificate("mx1.remote.test"), world.certificate("mx1.remote.test")
    # That the world trusts the certificate does not help.
    settings = FakeSettings(ca_file=world.ca_file)
    with counted(failed=1):
        async with proven(shown, tlsa(named), settings=settings) as site:
            outcome = await site.send_one()
    assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.7.5", True)
    assert not [line for line in site.mta.commands if line.startswith("MAIL")]


@pytest.mark.parametrize("fault", ["not offered", "handshake"])
async def test_tls_that_is_taken_away_is_noticed(tmp_path: Path, fault: str) -> None:
    certificate = World(tmp_path).certificate("mx1.remote.test")
    async with proven(certificate if fault == "handshake" else None, tlsa(certificate)) as site:
        site.mta.says(HANDSHAKE, NOISE)
        outcome = await site.send_one()
    assert (outcome.result, outcome.status) == (TEMPORARY, "4.7.5" if fault == "handshake" else "4.7.4")
    assert not [line for line in site.mta.commands if line.startswith("MAIL")]


async def test_the_next_server_may_do_better(tmp_path: Path) -> None:
    world = World(tmp_path)
    shown, named = world.certificate("mx.remote.test"), world.certificate("mx.remote.test")
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), context=server_context(shown)) as site:
        site.dns.signed = True
        site.dns.zone[f"_{site.mta.port}._tcp.mx1.remote.test.", "TLSA"] = [tlsa(named)]
        site.dns.zone[f"_{site.mta.port}._tcp.mx2.remote.test.", "TLSA"] = [tlsa(shown)]
        assert (await site.send_one()).host == "mx2.remote.test"
    assert not site.mtas[0].mails


Authority = Callable[[World], str]


@pytest.mark.parametrize(
    ("names", "changes", "good"),
    [
        (("mx1.remote.test",), {"chain": True}, True),
        (("*.remote.test",), {"chain": True}, True),
        # Here the name and the date count, and the authority has to be sent along (3.1.2).
        (("other.test",), {"chain": True}, False),
        (("*.test",), {"chain": True}, False),
        (("mx1.remote.test",), {"chain": True, "expired": True}, False),
        (("mx1.remote.test",), {"chain": False}, False),
        (("mx1.remote.test",), {"chain": True, "trusted": False}, False),
    ],
)
async def test_an_authority_may_be_named_instead(
    tmp_path: Path, names: tuple[str, ...], changes: dict[str, bool], good: bool
) -> None:
    world = World(tmp_path)
    certificate = world.certificate(*names, **changes)
    async with proven(certificate, tlsa_of(world.authority, 2, 0, 2)) as site:
        assert ((await site.send_one()).result is DELIVERED) == good
        assert bool(site.mta.mails) == good


@pytest.mark.parametrize(
    "record", ["0 0 1 " + "00" * 32, "1 1 1 " + "00" * 32, "3 7 1 " + "00" * 32, "3 1 9 00", "9 1 1 " + "00" * 32]
)
async def test_records_that_cannot_be_used_still_ask_for_encryption(tmp_path: Path, record: str) -> None:
    certificate = World(tmp_path).certificate("other.test", trusted=False)
    async with proven(certificate, record) as site:
        assert (await site.send_one()).result is DELIVERED
        assert site.mta.mails[0].tls
    async with proven(None, record) as site:
        assert (await site.send_one()).status == "4.7.4"


@pytest.mark.parametrize("unproven", ["all", "MX", "A", "TLSA"])
async def test_records_that_are_not_proven_are_nothing(tmp_path: Path, unproven: str) -> None:
    world = World(tmp_path)
    shown, named = world.certificate("mx1.remote.test"), world.certificate("mx1.remote.test")
    with counted(opportunistic=1):
        async with proven(shown, tlsa(named)) as site:
            names = {"MX": "remote.test", "A": "mx1.remote.test", "TLSA": f"_{site.mta.port}._tcp.mx1.remote.test"}
            if unproven == "all":
                site.dns.signed = False
            else:
                site.dns.unsigned.add((names[unproven], unproven))
            assert (await site.send_one()).result is DELIVERED
            asked = [kind for _, kind in site.dns.asked]
    # Without proof up to here the question is not asked: some servers do not answer it at all (RFC 7672 2.1.3).
    assert ("TLSA" in asked) == (unproven == "TLSA")


@pytest.mark.parametrize("mode", ["servfail", "silent"])
async def test_records_that_are_held_back_have_the_mail_wait(tmp_path: Path, mode: str) -> None:
    certificate = World(tmp_path).certificate("mx1.remote.test")
    async with proven(certificate) as site:
        site.dns.faults[f"_{site.mta.port}._tcp.mx1.remote.test", "TLSA"] = mode
        outcome = await site.send_one()
    assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.7.5", True)
    assert site.mta.connections == 0


async def test_a_domain_that_is_its_own_server_may_have_records(tmp_path: Path) -> None:
    world = World(tmp_path)
    certificate = world.certificate("remote.test")
    zone = {("remote.test", "A"): ["127.0.0.2"]}
    async with make_site(zone=zone, context=server_context(certificate)) as site:
        site.dns.signed = True
        site.dns.zone[f"_{site.mta.port}._tcp.remote.test.", "TLSA"] = [tlsa(world.certificate("remote.test"))]
        assert (await site.send_one()).result is TEMPORARY


@pytest.mark.parametrize("at", ["real.elsewhere.test", "mx.remote.test"])
async def test_of_an_alias_the_name_at_its_end_is_asked_first(tmp_path: Path, at: str) -> None:
    certificate = World(tmp_path).certificate("mx.remote.test")
    zone = {
        ("remote.test", "MX"): ["10 mx.remote.test."],
        ("mx.remote.test", "CNAME"): ["real.elsewhere.test."],
        ("real.elsewhere.test", "A"): ["127.0.0.2"],
    }
    with counted(dane=1):
        async with make_site(zone=zone, context=server_context(certificate)) as site:
            site.dns.signed = True
            site.dns.zone[f"_{site.mta.port}._tcp.{at}.", "TLSA"] = [tlsa(certificate)]
            assert (await site.send_one()).result is DELIVERED
