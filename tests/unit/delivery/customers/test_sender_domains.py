"""Sender domains against a real DNS server: claimed, proved, lost, taken over; and the judgement of each record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.docstore.store import Store
from libs.net.dns import make_resolver
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.delivery.customers.domain_records import OWNERS, SENDER_DOMAINS, DomainRecords
from services.delivery.customers.looking import DnsLookups
from services.delivery.customers.own_domains import OwnDomains
from services.delivery.customers.ports import ServedDomain
from services.delivery.customers.sender_domains import DomainPeers, DomainView, SenderDomains
from services.delivery.domain.sender_domains import Installation, RecordState, Wanted, is_verified, judge
from tests.support.clock import ManualClock
from tests.support.dns import DnsServer, serve_dns, txt
from tests.unit.delivery.customers.support import MARKS, VAULT, FakeAccounts, FakeDkim, opened

HERE = Installation("mx.sealpost.test", "bounces.sealpost.test")
OK, MISSING, WRONG = RecordState.OK, RecordState.MISSING, RecordState.WRONG


class Desk:
    def __init__(self, store: Store, dns: DnsServer) -> None:
        self.clock = ManualClock()
        self.dns = dns
        self.accounts = FakeAccounts(domains=[ServedDomain("sealpost.test", True), ServedDomain("public.test", False)])
        self.dkim = FakeDkim()
        peers = DomainPeers(self.accounts, self.dkim, DnsLookups(make_resolver([dns.address])))
        self.domains = SenderDomains(DomainRecords(store, MARKS, VAULT), MARKS, peers, HERE, self.clock)
        self.own = OwnDomains(peers, HERE, self.clock)

    def publish(self, view: DomainView, *purposes: str) -> None:
        """Publish the records for these purposes, all of them if none are named."""
        for wanted, _ in view.records:
            if not purposes or wanted.purpose in purposes:
                self.set(wanted.name, wanted.kind, wanted.value)

    def set(self, name: str, kind: str, *values: str) -> None:
        """Publish exactly these values; none: nothing of this kind."""
        texts = [txt(value) for value in values] if kind == "TXT" else list(values)
        self.dns.zone[(f"{name}.", kind)] = texts

    async def day(self) -> None:
        """Let a day pass and look again."""
        self.clock.advance(days=1.11)
        while await self.domains.recheck():
            pass


@asynccontextmanager
async def desk_on(directory: Path) -> AsyncIterator[Desk]:
    with serve_dns({}) as dns:
        async with opened(directory, SENDER_DOMAINS, OWNERS) as store:
            yield Desk(store, dns)


def states(view: DomainView) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for wanted, state in view.records:
        found.setdefault(wanted.purpose, []).append(state.value)
    return found


async def test_a_domain_is_claimed_published_and_proved(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        claimed = await desk.domains.put(account, "Shop.Example.")
        assert (claimed.domain, claimed.verified, claimed.checked_at) == ("shop.example", False, 0)
        assert set().union(*states(claimed).values()) == {"unchecked"}
        names = {wanted.name for wanted, _ in claimed.records if wanted.required}
        assert names == {"_sealpost.shop.example", "r1._domainkey.shop.example", "e1._domainkey.shop.example"}
        looked = await desk.domains.check(account, "shop.example")
        assert (looked.verified, states(looked)["ownership"]) == (False, ["missing"])
        assert not await desk.domains.verified(account, "shop.example")
        desk.publish(claimed)
        looked = await desk.domains.check(account, "shop.example")
        assert looked.verified
        assert set().union(*states(looked).values()) == {"ok"}
        assert looked.checked_at == int(desk.clock.now().timestamp())
        assert await desk.domains.verified(account, "shop.example")
        assert not await desk.domains.verified(new_id(), "shop.example")
        assert await desk.domains.list(account) == [looked]
        again = await desk.domains.put(account, "shop.example")
        assert again == looked


async def test_ownership_and_one_key_are_enough_and_necessary(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        claimed = await desk.domains.put(account, "shop.example")
        desk.publish(claimed, "dkim")
        assert not (await desk.domains.check(account, "shop.example")).verified
        desk.publish(claimed, "ownership")
        desk.set("r1._domainkey.shop.example", "TXT", "v=DKIM1; k=rsa; p=BBBB")
        looked = await desk.domains.check(account, "shop.example")
        assert looked.verified
        assert states(looked)["dkim"] == ["wrong", "ok"]
        assert states(looked)["spf"] == ["missing"]


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("", "domain_invalid"),
        ("localhost", "domain_invalid"),
        ("a b.example", "domain_invalid"),
        ("shop.example\r\nx", "domain_invalid"),
        ("127.0.0.1", "domain_invalid"),
        ("x" * 64 + ".example", "domain_invalid"),
        ("co.uk", "domain_public_suffix"),
        ("github.io", "domain_public_suffix"),
        ("sealpost.test", "domain_served"),
        ("news.sealpost.test", "domain_served"),
        ("public.test", "domain_served"),
    ],
)
async def test_what_cannot_be_a_sender_domain(tmp_path: Path, domain: str, reason: str) -> None:
    async with desk_on(tmp_path) as desk:
        with pytest.raises(InvalidError, match=reason):
            await desk.domains.put(new_id(), domain)
        assert desk.dkim.made == set()


async def test_an_international_name_is_its_a_label(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        assert (await desk.domains.put(new_id(), "Bücher.example")).domain == "xn--bcher-kva.example"


async def test_a_proved_domain_cannot_be_taken_while_its_owner_publishes(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        ann, eve = new_id(), new_id()
        desk.publish(await desk.domains.put(ann, "shop.example"))
        await desk.domains.check(ann, "shop.example")
        hers = await desk.domains.put(eve, "shop.example")
        own = {wanted.purpose: wanted.value for wanted, _ in hers.records}["ownership"]
        theirs = desk.dns.zone[("_sealpost.shop.example.", "TXT")]
        desk.dns.zone[("_sealpost.shop.example.", "TXT")] = [*theirs, txt(own)]
        with pytest.raises(ConflictError, match="domain_taken"):
            await desk.domains.check(eve, "shop.example")
        assert await desk.domains.verified(ann, "shop.example")
        # The owner's record goes: from that moment on the other may have it, and only one of them.
        desk.set("_sealpost.shop.example", "TXT", own)
        assert (await desk.domains.check(eve, "shop.example")).verified
        assert not await desk.domains.verified(ann, "shop.example")
        assert not (await desk.domains.check(ann, "shop.example")).verified
        assert await desk.domains.verified(eve, "shop.example")


async def test_three_bad_days_end_it_and_a_silent_dns_does_not(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        claimed = await desk.domains.put(account, "shop.example")
        desk.publish(claimed)
        await desk.domains.check(account, "shop.example")
        desk.dns.mode = "servfail"
        for _ in range(4):
            await desk.day()
        assert await desk.domains.verified(account, "shop.example")
        assert states((await desk.domains.list(account))[0])["dkim"] == ["unreachable"] * 2
        desk.dns.mode = "answer"
        desk.set("_sealpost.shop.example", "TXT")
        for _ in range(2):
            await desk.day()
            # Looks by hand are not days.
            for _ in range(3):
                assert (await desk.domains.check(account, "shop.example")).verified
        await desk.day()
        assert not (await desk.domains.list(account))[0].verified
        assert not await desk.domains.verified(account, "shop.example")
        # Published again, it comes back by itself.
        desk.publish(claimed)
        await desk.day()
        desk.clock.advance(20)
        assert await desk.domains.verified(account, "shop.example")


async def test_a_claim_that_comes_to_nothing_is_not_looked_at_for_ever(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.domains.put(new_id(), "shop.example")
        for _ in range(40):
            await desk.day()
        asked = len(desk.dns.asked)
        await desk.day()
        assert len(desk.dns.asked) == asked


async def test_giving_up_a_domain(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        ann, ben = new_id(), new_id()
        desk.publish(await desk.domains.put(ann, "shop.example"))
        await desk.domains.check(ann, "shop.example")
        await desk.domains.put(ben, "shop.example")
        await desk.domains.delete(ann, "shop.example")
        await desk.domains.delete(ann, "shop.example")
        assert not await desk.domains.verified(ann, "shop.example")
        # The other claim still needs the keys.
        assert desk.dkim.made == {"shop.example"}
        desk.publish(await desk.domains.put(ben, "shop.example"))
        assert (await desk.domains.check(ben, "shop.example")).verified
        await desk.domains.delete(ben, "shop.example")
        assert desk.dkim.made == set()
        with pytest.raises(NotFoundError, match="sender_domain"):
            await desk.domains.check(ben, "shop.example")


async def test_there_is_an_end_to_claims(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        for number in range(50):
            await desk.domains.put(account, f"n{number}.example")
        with pytest.raises(ExhaustedError, match="too_many_sender_domains"):
            await desk.domains.put(account, "one-more.example")
        await desk.domains.put(account, "n7.example")


async def test_without_its_peers_nothing_is_claimed(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        desk.dkim.failing = True
        with pytest.raises(UnavailableError):
            await desk.domains.put(account, "shop.example")
        desk.dkim.failing, desk.accounts.failing = False, True
        with pytest.raises(UnavailableError):
            await desk.domains.put(account, "shop.example")
        assert await desk.domains.list(account) == []


async def test_our_own_domains(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        before = {view.domain: view for view in await desk.own.list()}
        assert set(before) == {"sealpost.test", "public.test", "bounces.sealpost.test"}
        assert not any(view.verified for view in before.values())
        for view in before.values():
            desk.publish(view)
        after = {view.domain: view for view in await desk.own.list()}
        assert all(view.verified for view in after.values())
        assert sorted(states(after["sealpost.test"])) == ["dkim", "dmarc", "mx", "spf"]
        assert sorted(states(after["public.test"])) == ["dmarc", "mx", "spf"]
        desk.set("sealpost.test", "MX", "10 elsewhere.test.")
        assert states({view.domain: view for view in await desk.own.list()}["sealpost.test"])["mx"] == ["wrong"]


async def test_documents_do_not_name_domains(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        desk.publish(await desk.domains.put(account, "quagmire.example"))
        await desk.domains.check(account, "quagmire.example")
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir()).lower()
    for mark in ("quagmire", account):
        assert mark.encode() not in held


SPF = "v=spf1 include:bounces.sealpost.test ~all"
DKIM = "v=DKIM1; k=rsa; p=AbC+/="


@pytest.mark.parametrize(
    ("purpose", "value", "found", "state"),
    [
        ("ownership", "sealpost-verify=aa", ["x", " sealpost-verify=aa "], OK),
        ("ownership", "sealpost-verify=aa", ["sealpost-verify=bb"], WRONG),
        ("ownership", "sealpost-verify=aa", ["x"], MISSING),
        ("spf", SPF, ["x", "V=SPF1 mx Include:bounces.sealpost.test -all"], OK),
        ("spf", SPF, ["v=spf1 +include:bounces.sealpost.test"], OK),
        ("spf", SPF, ["v=spf1 -include:bounces.sealpost.test"], WRONG),
        ("spf", SPF, ["v=spf1 include:bounces.sealpost.test.evil.test"], WRONG),
        ("spf", SPF, [SPF, "v=spf1 -all"], WRONG),
        ("spf", SPF, ["v=spf10 include:bounces.sealpost.test", ""], MISSING),
        ("dkim", DKIM, ["v=DKIM1;p=AbC +/=; k=rsa"], OK),
        ("dkim", DKIM, ["p=AbC+/="], OK),
        ("dkim", DKIM, ["v=DKIM1; k=rsa; p="], WRONG),
        ("dkim", DKIM, ["v=DKIM1; k=ed25519; p=AbC+/="], WRONG),
        ("dkim", DKIM, [DKIM, DKIM], WRONG),
        ("dkim", DKIM, [], MISSING),
        ("dmarc", "v=DMARC1; p=none", ["v=DMARC1 ; p=reject; rua=mailto:x@y.test"], OK),
        ("dmarc", "v=DMARC1; p=none", ["v=DMARC1"], WRONG),
        ("dmarc", "v=DMARC1; p=none", ["v=DMARC1; p=none"] * 2, WRONG),
        ("dmarc", "v=DMARC1; p=none", ["dmarc"], MISSING),
        ("mx", "10 mx.sealpost.test.", ["other.test", "mx.sealpost.test"], OK),
        ("mx", "10 mx.sealpost.test.", ["other.test"], WRONG),
        ("mx", "10 mx.sealpost.test.", [], MISSING),
    ],
)
def test_judgement(purpose: str, value: str, found: list[str], state: RecordState) -> None:
    assert judge(Wanted("name.test", "TXT", value, purpose, True), found) is state


def test_what_the_dns_did_not_say_proves_nothing_and_disproves_nothing() -> None:
    records = [Wanted("a.test", "TXT", "", purpose, True) for purpose in ("ownership", "dkim", "dkim")]
    silent = RecordState.UNREACHABLE
    assert is_verified(records, [OK, silent, OK]) is True
    assert is_verified(records, [OK, silent, WRONG]) is None
    assert is_verified(records, [silent, OK, OK]) is None
    assert is_verified(records, [MISSING, silent, silent]) is False
    assert is_verified(records, [OK, MISSING, WRONG]) is False
