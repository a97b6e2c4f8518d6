"""Where mail goes; P1-P4 of the policy, RFC 5321 4.5.1, RFC 2142."""

from __future__ import annotations

import re

import pytest

from libs.runtime.errors import DeniedError, InvalidError, UnavailableError
from services.accounts.domain.directory import Route, Status
from services.accounts.domain.domains import ROLE_NAMES, Domains
from services.accounts.domain.model import Limits, Profile, Role
from tests.unit.accounts.support import Platform, down, make_wish, refused


async def resolve(platform: Platform, *addresses: str) -> list[Route]:
    return await platform.graph.directory.resolve(addresses)


async def test_a_member_is_found_in_any_spelling_and_with_any_tag(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    routes = await resolve(
        platform, "ada@sealpost.test", "ADA@SealPost.TEST", '"ada"@sealpost.test', "ada+shop@sealpost.test"
    )
    assert {(route.status, route.account_id, route.mailbox_id) for route in routes} == {
        (Status.OK, ada.account_id, ada.mailbox_id)
    }
    assert routes[0].profile is Profile.SEALED
    assert routes[0].domain == "sealpost.test"
    assert routes[0].limits == Limits(quota_bytes=1024**3, quota_messages=100_000)


async def test_any_public_address_is_its_own_inbox(platform: Platform) -> None:
    routes = await resolve(
        platform,
        "a@public.sealpost.test",
        "b@public.sealpost.test",
        "a+x@public.sealpost.test",
        "A@Public.SealPost.test",
    )
    assert [route.status for route in routes] == [Status.OK] * 4
    assert [route.account_id for route in routes] == [""] * 4
    assert {route.profile for route in routes} == {Profile.PUBLIC}
    assert routes[0].limits == Limits(quota_bytes=0, keep_newest=6, retention_seconds=4 * 86400)
    mailboxes = [route.mailbox_id for route in routes]
    assert all(re.fullmatch("[0-9a-f]{32}", mailbox) for mailbox in mailboxes)
    assert len(set(mailboxes)) == 3
    assert mailboxes[0] == mailboxes[3]


async def test_public_inboxes_need_no_document_and_survive_a_restart(platform: Platform) -> None:
    before = await resolve(platform, "a@public.sealpost.test")
    assert platform.store.calls == []
    assert await resolve(platform.again(), "a@public.sealpost.test") == before


async def test_every_answer_stands_in_the_place_of_its_question(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    routes = await resolve(
        platform,
        "nobody@sealpost.test",
        "ada@elsewhere.example",
        "ada@sealpost.test",
        "a da@sealpost.test",
        "x@public.sealpost.test",
        "ada@sub.sealpost.test",
        "ada@[127.0.0.1]",
    )
    assert [route.status for route in routes] == [
        Status.UNKNOWN,
        Status.NOT_OURS,
        Status.OK,
        Status.INVALID,
        Status.OK,
        Status.NOT_OURS,
        Status.NOT_OURS,
    ]
    assert routes[0].account_id == routes[0].mailbox_id == ""


async def test_a_hundred_addresses_are_one_look_up(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    platform.store.calls.clear()
    routes = await resolve(
        platform, *(f"ada+{number}@sealpost.test" for number in range(60)), *["x@sealpost.test"] * 40
    )
    assert [route.status for route in routes] == [Status.OK] * 60 + [Status.UNKNOWN] * 40
    assert platform.store.calls == [("get_many", "addresses")]


async def test_more_than_a_hundred_are_refused(platform: Platform) -> None:
    with refused(InvalidError, "too_many_addresses"):
        await resolve(platform, *["x@sealpost.test"] * 101)
    assert await resolve(platform) == []


async def test_role_addresses_are_unknown_as_long_as_nobody_reads_them(platform: Platform) -> None:
    routes = await resolve(platform, "postmaster@sealpost.test", "abuse@public.sealpost.test", "postmaster")
    assert [route.status for route in routes] == [Status.UNKNOWN] * 3


async def test_role_addresses_lead_to_the_first_operator(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    await platform.sign_up(make_wish("bob@sealpost.test"))
    await platform.graph.staff.grant("ada@sealpost.test", Role.OPERATOR)
    await platform.graph.staff.grant("bob@sealpost.test", Role.OPERATOR)
    asked = ["postmaster", "Postmaster@SEALPOST.test", "abuse+42@sealpost.test"]
    asked += [f"{name}@public.sealpost.test" for name in sorted(ROLE_NAMES)]
    routes = await resolve(platform, *asked)
    assert {(route.status, route.account_id, route.profile) for route in routes} == {
        (Status.OK, ada.account_id, Profile.SEALED)
    }
    assert routes[-1].domain == "public.sealpost.test"


async def test_role_addresses_lead_to_the_configured_mailbox(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    await platform.graph.staff.grant("ada@sealpost.test", Role.OPERATOR)
    desk = await platform.sign_up(make_wish("desk@sealpost.test"))
    routes = await resolve(platform.again(operator_mailbox="Desk@sealpost.test"), "postmaster", "abuse@sealpost.test")
    assert [route.account_id for route in routes] == [desk.account_id] * 2


async def test_a_role_address_is_never_a_public_inbox(platform: Platform) -> None:
    (route,) = await resolve(platform, "admin@public.sealpost.test")
    assert (route.status, route.mailbox_id) == (Status.UNKNOWN, "")


async def test_an_address_of_a_closed_account_is_suspended_until_it_is_free(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    await platform.graph.staff.close_account("ada@sealpost.test")
    (route,) = await resolve(platform, "ada@sealpost.test")
    assert (route.status, route.account_id, route.mailbox_id) == (Status.SUSPENDED, "", "")
    await platform.erase(ada)
    (route,) = await resolve(platform, "ada@sealpost.test")
    assert (route.status, route.account_id, route.mailbox_id) == (Status.SUSPENDED, "", "")
    platform.clock.advance(days=180)
    assert await platform.swept("address_claim") == 1
    assert [route.status for route in await resolve(platform, "ada@sealpost.test")] == [Status.UNKNOWN]


async def test_a_store_that_is_down_is_told_as_such(platform: Platform) -> None:
    platform.store.before = down
    with pytest.raises(UnavailableError):
        await resolve(platform, "ada@sealpost.test")


def test_domains_are_canonical_and_named_once() -> None:
    domains = Domains(["Bücher.example", "sealpost.test"], ["public.sealpost.test"], sign_up_open=True)
    assert [domain.name for domain in domains.all()] == [
        "xn--bcher-kva.example",
        "sealpost.test",
        "public.sealpost.test",
    ]
    assert domains.primary == "xn--bcher-kva.example"
    assert [domain.open_for_sign_up for domain in domains.all()] == [True, True, False]
    assert domains.find("elsewhere.example") is None


def test_domains_of_relay_accounts_stand_behind_those_of_members() -> None:
    domains = Domains(["sealpost.test"], ["public.sealpost.test"], ["Relay.sealpost.test"], sign_up_open=True)
    assert [(domain.name, domain.profile, domain.open_for_sign_up) for domain in domains.all()] == [
        ("sealpost.test", Profile.SEALED, True),
        ("relay.sealpost.test", Profile.RELAY, True),
        ("public.sealpost.test", Profile.PUBLIC, False),
    ]
    closed = Domains(["sealpost.test"], [], ["relay.sealpost.test"], sign_up_open=False)
    assert not any(domain.open_for_sign_up for domain in closed.all())
    for member, public in (["relay.test"], []), (["a.test"], ["relay.test"]):
        with pytest.raises(InvalidError, match="domain_repeated"):
            Domains(member, public, ["RELAY.test"], sign_up_open=True)


async def test_a_relay_account_has_a_mailbox_like_a_members(platform: Platform) -> None:
    relay = platform.again(relay_domains=("relay.sealpost.test",))
    account = await relay.sign_up(make_wish("shop@relay.sealpost.test"))
    member = await relay.sign_up(make_wish("shop@sealpost.test"))
    assert (account.profile, member.profile) == (Profile.RELAY, Profile.SEALED)
    first, second, unknown = await resolve(
        relay, "Shop+bounces@Relay.sealpost.test", "shop@sealpost.test", "x@relay.sealpost.test"
    )
    assert (first.status, first.profile, first.account_id) == (Status.OK, Profile.RELAY, account.account_id)
    assert first.limits == second.limits and first.limits.quota_messages == 100_000
    assert unknown.status is Status.UNKNOWN
    (restarted,) = await resolve(relay.again(), "shop@relay.sealpost.test")
    assert restarted.profile is Profile.RELAY
    await relay.graph.staff.close_account("shop@relay.sealpost.test")
    assert (await resolve(relay, "shop@relay.sealpost.test"))[0].status is Status.SUSPENDED


async def test_the_operators_names_at_a_relay_domain_are_the_operators(platform: Platform) -> None:
    relay = platform.again(relay_domains=("relay.sealpost.test",))
    ada = await relay.sign_up(make_wish())
    await relay.graph.staff.grant("ada@sealpost.test", Role.OPERATOR)
    (route,) = await resolve(relay, "abuse@relay.sealpost.test")
    assert (route.status, route.account_id) == (Status.OK, ada.account_id)
    with refused(DeniedError, "address_reserved"):
        await relay.sign_up(make_wish("abuse@relay.sealpost.test"))


@pytest.mark.parametrize(
    ("member", "public", "reason"),
    [
        ([], ["a.test"], "domains_missing"),
        (["a.test", "A.test"], [], "domain_repeated"),
        (["a.test"], ["a.test"], "domain_repeated"),
        (["a..test"], [], "domain_invalid"),
    ],
)
def test_domains_that_cannot_be(member: list[str], public: list[str], reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        Domains(member, public, sign_up_open=True)
