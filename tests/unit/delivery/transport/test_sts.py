"""MTA-STS (RFC 8461): policies that are found, kept and enforced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libs.runtime.errors import UnavailableError
from services.delivery.domain.model import Result
from services.delivery.transport.sts import Policy, PolicyStore
from tests.support.clock import ManualClock
from tests.support.https import Asked, HttpsServer, reply, serve_https
from tests.support.remote_steps import HANDSHAKE, NOISE, STARTTLS
from tests.support.remote_tls import World, server_context
from tests.unit.delivery.transport.site import FakeSettings, Site, make_site, zone_for
from tests.unit.delivery.transport.test_tls import counted

DELIVERED, TEMPORARY = Result.DELIVERED, Result.TEMPORARY
DAY = 86_400


@dataclass
class Published:
    """What a domain publishes, to be changed under way."""

    body: bytes = b"version: STSv1\r\nmode: enforce\r\nmx: mx1.remote.test\r\nmax_age: 604800\r\n"
    kind: str = "text/plain"
    status: int = 200
    server: HttpsServer | None = None

    @property
    def fetches(self) -> int:
        assert self.server is not None
        return len(self.server.asked)


@dataclass
class FakeStore:
    """services.delivery.transport.sts.PolicyStore."""

    kept: dict[str, Policy] = field(default_factory=dict)
    down: bool = False
    stuck: bool = False

    async def load(self, domain: str) -> Policy | None:
        if self.stuck:
            await asyncio.Event().wait()
        if self.down:
            raise UnavailableError("store")
        return self.kept.get(domain)

    async def save(self, domain: str, policy: Policy) -> None:
        if self.down:
            raise UnavailableError("store")
        self.kept[domain] = policy


@asynccontextmanager
async def publishing(
    directory: Path,
    published: Published,
    *,
    names: Sequence[str] = ("mx1.remote.test",),
    clock: ManualClock | None = None,
    store: PolicyStore | None = None,
    certificate: Mapping[str, bool] | None = None,
) -> AsyncIterator[Site]:
    """Run a domain with a policy, and one mail server that shows a certificate for `names`."""
    world = World(directory)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await reply(published.status, published.body, {"content-type": published.kind})(asked, writer)

    async with AsyncExitStack() as stack:
        published.server = await stack.enter_async_context(serve_https(directory, ["mta-sts.remote.test"], answer))
        bundle = directory / "both.crt"
        bundle.write_bytes(Path(published.server.ca_file).read_bytes() + Path(world.ca_file).read_bytes())
        zone = zone_for("127.0.0.2")
        zone["_mta-sts.remote.test", "TXT"] = ['"v=STSv1; id=one;"']
        zone["mta-sts.remote.test", "A"] = ["127.0.0.1"]
        yield await stack.enter_async_context(
            make_site(
                zone=zone,
                context=server_context(world.certificate(*names, **(certificate or {}))) if names else None,
                settings=FakeSettings(ca_file=str(bundle), fetch_ports=(published.server.port,)),
                clock=clock,
                store=store,
            )
        )


async def test_a_server_that_meets_the_policy_gets_the_mail(tmp_path: Path) -> None:
    published = Published()
    with counted(mta_sts=1):
        async with publishing(tmp_path, published) as site:
            for _ in range(3):
                assert (await site.send_one()).result is DELIVERED
            assert published.server is not None
            assert [asked.path for asked in published.server.asked] == ["/.well-known/mta-sts.txt"]
    assert site.mta.mails[0].tls


@pytest.mark.parametrize(
    ("names", "certificate", "status"),
    [
        (("other.test",), {}, "4.7.5"),
        (("mx1.remote.test",), {"expired": True}, "4.7.5"),
        (("mx1.remote.test",), {"trusted": False}, "4.7.5"),
        ((), {}, "4.7.4"),
    ],
)
async def test_a_server_that_does_not_gets_nothing(
    tmp_path: Path, names: tuple[str, ...], certificate: dict[str, bool], status: str
) -> None:
    with counted(failed=1):
        async with publishing(tmp_path, Published(), names=names, certificate=certificate) as site:
            outcome = await site.send_one()
    assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, status, True)
    assert not [line for line in site.mta.commands if line.startswith("MAIL")]


@pytest.mark.parametrize("fault", ["454 4.7.0 not now", "handshake"])
async def test_nor_does_one_whose_tls_is_taken_away(tmp_path: Path, fault: str) -> None:
    async with publishing(tmp_path, Published()) as site:
        if fault == "handshake":
            site.mta.says(HANDSHAKE, NOISE)
        else:
            site.mta.says(STARTTLS, fault)
        assert (await site.send_one()).result is TEMPORARY
    assert not [line for line in site.mta.commands if line.startswith("MAIL")]


@pytest.mark.parametrize(
    ("mx", "result"),
    [
        ("*.remote.test", DELIVERED),
        ("MX1.Remote.Test", DELIVERED),
        ("*.test", TEMPORARY),
        ("mx9.remote.test", TEMPORARY),
    ],
)
async def test_only_servers_that_the_policy_names_are_asked(tmp_path: Path, mx: str, result: Result) -> None:
    body = f"version: STSv1\nmode: enforce\nmx: mail.other.test\nmx: {mx}\nmax_age: 86400\n".encode()
    async with publishing(tmp_path, Published(body)) as site:
        assert (await site.send_one()).result is result
        assert bool(site.mta.connections) == (result is DELIVERED)


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_other_modes_do_not_stop_a_mail(tmp_path: Path, mode: str) -> None:
    body = f"version: STSv1\nmode: {mode}\nmx: mx9.remote.test\nmax_age: 86400\n".encode()
    async with publishing(tmp_path, Published(body), names=()) as site:
        assert (await site.send_one()).result is DELIVERED


@pytest.mark.parametrize(
    "published",
    [
        Published(status=404),
        Published(status=301),
        Published(kind="text/html"),
        Published(body=b"version: STSv1\nmode: enforce\nmx: x.test\nmax_age: 86400\n" + b"x" * 70_000),
        Published(body=b"<html>"),
    ],
)
async def test_a_policy_that_cannot_be_had_is_none_and_not_asked_for_all_the_time(
    tmp_path: Path, published: Published
) -> None:
    clock = ManualClock()
    async with publishing(tmp_path, published, names=(), clock=clock) as site:
        for _ in range(3):
            assert (await site.send_one()).result is DELIVERED
        assert published.fetches == 1
        clock.advance(301)
        assert (await site.send_one()).result is DELIVERED
        assert published.fetches == 2


@pytest.mark.parametrize(
    "records",
    [
        ['"v=STSv2; id=one"'],
        ['"v=STSv1; id=one"', '"v=STSv1; id=two"'],
        ['"v=STSv1;"'],
        ['"v=STSv1; id=not-an-id"'],
        ['"v=spf1 -all"'],
    ],
)
async def test_a_record_that_is_none_asks_for_nothing(tmp_path: Path, records: list[str]) -> None:
    published = Published()
    async with publishing(tmp_path, published, names=()) as site:
        site.dns.zone["_mta-sts.remote.test.", "TXT"] = records
        assert (await site.send_one()).result is DELIVERED
        assert published.fetches == 0


async def test_mails_that_come_while_the_policy_is_fetched_wait_for_it(tmp_path: Path) -> None:
    published = Published()
    async with publishing(tmp_path, published, names=()) as site:
        outcomes = await asyncio.gather(*(site.send_one() for _ in range(20)))
        assert {one.result for one in outcomes} == {TEMPORARY}
        assert published.fetches == 1
    assert not site.mta.mails


async def test_a_policy_holds_while_it_lives_whatever_happens_to_its_server(tmp_path: Path) -> None:
    clock, published, store = ManualClock(), Published(), FakeStore()
    async with publishing(tmp_path, published, clock=clock, store=store) as site:
        assert (await site.send_one()).result is DELIVERED
        # Somebody takes record and policy away, and TLS with them.
        published.status = 404
        del site.dns.zone["_mta-sts.remote.test.", "TXT"]
        await site.mta.stop()
        site.mta.context = None
        for _ in range(6):
            clock.advance(days=1, seconds=1)
            assert (await site.send_one()).result is TEMPORARY
        clock.advance(days=1)
        assert (await site.send_one()).result is DELIVERED


async def test_a_policy_is_fetched_again_when_its_id_changes_and_once_a_day(tmp_path: Path) -> None:
    clock, published = ManualClock(), Published()
    async with publishing(tmp_path, published, clock=clock) as site:
        await site.send_one()
        assert published.fetches == 1
        clock.advance(hours=2)
        await site.send_one()
        assert published.fetches == 1
        site.dns.zone["_mta-sts.remote.test.", "TXT"] = ['"v=STSv1; id=two"']
        published.body = b"version: STSv1\nmode: enforce\nmx: mx9.remote.test\nmax_age: 604800\n"
        clock.advance(hours=2)
        assert (await site.send_one()).result is TEMPORARY
        assert published.fetches == 2
        clock.advance(days=1, seconds=1)
        await site.send_one()
        assert published.fetches == 3


async def test_a_policy_outlives_a_restart_in_its_store(tmp_path: Path) -> None:
    clock, store = ManualClock(), FakeStore()
    async with publishing(tmp_path, Published(), clock=clock, store=store) as site:
        assert (await site.send_one()).result is DELIVERED
    assert set(store.kept) == {"remote.test"}
    async with publishing(tmp_path / "again", Published(status=404), names=(), clock=clock, store=store) as site:
        del site.dns.zone["_mta-sts.remote.test.", "TXT"]
        assert (await site.send_one()).status == "4.7.4"


async def test_a_store_that_is_down_is_gone_without(tmp_path: Path) -> None:
    async with publishing(tmp_path, Published(), store=FakeStore(down=True)) as site:
        assert (await site.send_one()).result is DELIVERED
        assert site.mta.mails[0].tls


async def test_a_store_that_does_not_answer_stops_no_mail(tmp_path: Path) -> None:
    store = FakeStore(stuck=True)
    async with publishing(tmp_path, Published(), names=(), store=store) as site:
        del site.dns.zone["_mta-sts.remote.test.", "TXT"]
        assert (await site.send_one()).result is DELIVERED


async def test_a_store_that_was_down_is_asked_again(tmp_path: Path) -> None:
    clock = ManualClock()
    now = int(clock.now().timestamp())
    store = FakeStore({"remote.test": Policy("enforce", ("mx1.remote.test",), "one", now, now + DAY)}, down=True)
    async with publishing(tmp_path, Published(), names=(), clock=clock, store=store) as site:
        del site.dns.zone["_mta-sts.remote.test.", "TXT"]
        assert (await site.send_one()).result is DELIVERED
        store.down = False
        assert (await site.send_one()).status == "4.7.4"
        store.down = True
        clock.advance(hours=1)
        assert (await site.send_one()).status == "4.7.4"


async def test_a_policy_that_the_store_did_not_take_is_given_to_it_again(tmp_path: Path) -> None:
    clock, published, store = ManualClock(), Published(), FakeStore(down=True)
    async with publishing(tmp_path, published, clock=clock, store=store) as site:
        await site.send_one()
        store.down = False
        await site.send_one()
        assert not store.kept
        clock.advance(61)
        await site.send_one()
        assert set(store.kept) == {"remote.test"}
        assert published.fetches == 1


async def test_a_connection_made_without_the_policy_is_not_used_under_it(tmp_path: Path) -> None:
    """Another domain at the same servers, without a policy, has left a connection whose certificate nobody checked."""
    async with publishing(tmp_path, Published(), names=("other.test",)) as site:
        site.dns.zone["plain.test.", "MX"] = ["10 mx1.remote.test."]
        assert (await site.send_one("bob@plain.test")).result is DELIVERED
        assert (await site.send_one("bob@remote.test")).result is TEMPORARY
