"""Which servers a domain has, and which of them are never connected to."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from services.delivery.domain.model import Result
from services.delivery.transport.settings import Bounds, Tuning
from tests.support.dns import Zone
from tests.support.remote_mta import serve_mta
from tests.support.remote_steps import CONNECT, DROP
from tests.unit.delivery.transport.site import SHORT, FakeSettings, make_site, zone_for

DELIVERED, TEMPORARY, PERMANENT = Result.DELIVERED, Result.TEMPORARY, Result.PERMANENT
MX, A, AAAA = "MX", "A", "AAAA"


async def test_the_most_wanted_server_gets_the_mail() -> None:
    servers = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    zone = zone_for(*servers)
    zone["remote.test", MX] = ["30 mx1.remote.test.", "5 mx2.remote.test.", "20 mx3.remote.test."]
    async with make_site(servers=servers, zone=zone) as site:
        for host in ("mx2", "mx3", "mx1"):
            outcome = await site.send_one()
            assert (outcome.result, outcome.host) == (DELIVERED, f"{host}.remote.test")
            # The next in order once it is gone; the connection that was kept goes with it.
            mta = next(mta for mta in site.mtas if mta.name.startswith(host))
            mta.says(CONNECT, DROP)
            await mta.stop()
        assert (await site.send_one()).result is TEMPORARY


async def test_equally_wanted_servers_share_the_mail() -> None:
    servers = ("127.0.0.2", "127.0.0.3")
    zone = zone_for(*servers)
    zone["remote.test", MX] = ["10 mx1.remote.test.", "10 mx2.remote.test."]
    bounds = Bounds(mails_per_connection=1)
    async with make_site(servers=servers, zone=zone, tuning=Tuning(SHORT, bounds)) as site:
        hosts = Counter([(await site.send_one()).host for _ in range(40)])
    assert len(hosts) == 2


async def test_without_mx_the_domain_itself_is_the_server() -> None:
    async with make_site(zone={("remote.test", A): ["127.0.0.2"]}) as site:
        outcome = await site.send_one()
    assert (outcome.result, outcome.host) == (DELIVERED, "remote.test")


@pytest.mark.parametrize("four", [True, False])
async def test_a_server_may_have_ipv6(four: bool) -> None:
    zone = {("remote.test", MX): ["10 mx.remote.test."], ("mx.remote.test", AAAA): ["::1"]}
    if four:
        # Nobody listens there.
        zone["mx.remote.test", A] = ["127.0.0.99"]
    async with make_site(servers=("::1",), zone=zone) as site:
        outcome = await site.send_one()
    assert outcome.result is DELIVERED
    assert len(site.mta.mails) == 1


async def test_a_server_that_is_an_alias_is_found() -> None:
    zone = {
        ("remote.test", MX): ["10 mx.remote.test."],
        ("mx.remote.test", "CNAME"): ["real.elsewhere.test."],
        ("real.elsewhere.test", A): ["127.0.0.2"],
    }
    async with make_site(zone=zone) as site:
        assert (await site.send_one()).host == "mx.remote.test"


@pytest.mark.parametrize(
    ("zone", "status"),
    [
        # No such domain; a null MX (RFC 7505); servers that do not exist; no addresses at all.
        ({("other.test", A): ["127.0.0.2"]}, "5.1.2"),
        ({("remote.test", MX): ["0 ."]}, "5.1.10"),
        ({("remote.test", MX): ["10 gone.remote.test."]}, "5.4.4"),
        ({("remote.test", "TXT"): ["hello"]}, "5.4.4"),
        ({("remote.test", MX): ["10 bad\\032name.test.", "0 ."]}, "5.4.4"),
        # Ourselves.
        ({("remote.test", MX): ["10 mx.sealpost.test."], ("mx.sealpost.test", A): ["127.0.0.2"]}, "5.4.6"),
        (
            {
                ("remote.test", MX): ["10 MX.Sealpost.Test.", "10 twin.test.", "20 later.test."],
                ("later.test", A): ["127.0.0.2"],
                ("twin.test", A): ["127.0.0.2"],
            },
            "5.4.6",
        ),
    ],
)
async def test_where_there_is_no_way_the_mail_comes_back_at_once(zone: Zone, status: str) -> None:
    async with make_site(zone=zone) as site:
        outcome = await site.send_one()
    assert (outcome.result, outcome.status) == (PERMANENT, status)
    assert outcome.text
    assert site.mta.connections == 0


@pytest.mark.parametrize("domain", ["[127.0.0.2]", "remote..test", "-", "x" * 64 + ".test", "re mote.test", "a" * 300])
async def test_what_is_no_domain_is_not_looked_up(domain: str) -> None:
    async with make_site() as site:
        (outcome,) = await site.send("bob@remote.test", domain=domain)
        assert (outcome.result, outcome.status) == (PERMANENT, "5.1.2")
        assert not site.dns.asked


async def test_servers_before_ourselves_get_the_mail() -> None:
    zone = zone_for("127.0.0.2")
    zone["remote.test", MX] += ["20 mx.sealpost.test.", "30 mx3.remote.test."]
    zone["mx3.remote.test", A] = ["127.0.0.2"]
    async with make_site(zone=zone) as site:
        assert (await site.send_one()).host == "mx1.remote.test"


@pytest.mark.parametrize("mode", ["servfail", "silent"])
@pytest.mark.parametrize("question", [("remote.test", MX), ("mx1.remote.test", A)])
async def test_without_an_answer_of_the_dns_the_mail_waits(mode: str, question: tuple[str, str]) -> None:
    async with make_site(tuning=Tuning(replace(SHORT, dns=0.4), Bounds())) as site:
        site.dns.faults[question] = mode
        outcome = await site.send_one()
        assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.3", True)
        # The next mail does not wait for it again.
        site.dns.asked.clear()
        assert (await site.send_one()).status == "4.4.3"
        assert question not in site.dns.asked


async def test_a_server_that_cannot_be_looked_up_does_not_keep_the_others_from_taking_the_mail() -> None:
    servers = ("127.0.0.2", "127.0.0.3")
    async with make_site(servers=servers, tuning=Tuning(replace(SHORT, dns=0.4), Bounds())) as site:
        site.dns.faults["mx1.remote.test", A] = "servfail"
        assert (await site.send_one()).host == "mx2.remote.test"


@pytest.mark.parametrize(
    "address", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "0.0.0.0", "192.168.1.1", "100.64.0.1", "224.0.0.1"]
)
async def test_addresses_inside_are_refused(address: str) -> None:
    settings = FakeSettings(allowed_networks=("127.0.0.77/32",))
    async with make_site(zone=zone_for(address), settings=settings) as site:
        outcome = await site.send_one()
        assert (outcome.result, outcome.status) == (PERMANENT, "5.4.4")
        assert site.mta.connections == 0


async def test_ipv6_addresses_that_mean_the_inside_are_refused() -> None:
    zone = {("remote.test", MX): ["10 mx.remote.test."], ("mx.remote.test", AAAA): ["::ffff:127.0.0.2", "fd00::1"]}
    async with make_site(zone=zone, settings=FakeSettings(allowed_networks=())) as site:
        assert (await site.send_one()).status == "5.4.4"


async def test_of_several_addresses_the_public_one_is_used() -> None:
    zone = zone_for("127.0.0.2")
    zone["mx1.remote.test", A] = ["10.1.1.1", "127.0.0.2", "192.168.0.1"]
    async with make_site(zone=zone, settings=FakeSettings(allowed_networks=("127.0.0.2/32",))) as site:
        assert (await site.send_one()).result is DELIVERED


async def test_a_domain_with_endless_servers_gets_a_bounded_number_of_tries() -> None:
    zone = {("remote.test", MX): [f"{number} mx{number}.remote.test." for number in range(60)]}
    for number in range(60):
        zone[f"mx{number}.remote.test", A] = [f"127.0.1.{number}"]
    async with make_site(servers=("127.0.0.9",), zone=zone) as site:
        began = time.monotonic()
        outcome = await site.send_one()
        assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.1", True)
        assert time.monotonic() - began < 5
        looked_up = {name for name, kind in site.dns.asked if kind == A}
    assert len(looked_up) <= Bounds().hosts


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost"])
async def test_with_a_smarthost_nothing_is_looked_up(host: str) -> None:
    async with serve_mta("127.0.0.2" if host != "localhost" else "127.0.0.1") as mta:
        settings = FakeSettings(smarthost=f"{host}:{mta.port}", allowed_networks=())
        async with make_site(servers=(), zone={}, settings=settings) as site:
            for domain in ("remote.test", "other.test"):
                (outcome,) = await site.send(f"bob@{domain}", domain=domain)
                assert (outcome.result, outcome.host) == (DELIVERED, host)
            assert not site.dns.asked
        assert mta.connections == 1


async def test_a_smarthost_that_is_down_has_the_mail_wait() -> None:
    settings = FakeSettings(smarthost="127.0.0.2:1")
    async with make_site(servers=(), zone={}, settings=settings) as site:
        outcome = await site.send_one()
        assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.1", True)
        assert site.transport.busy("whatever.test")
