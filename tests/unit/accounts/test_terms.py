"""The numbers of the policy, as they hold for each account: those in force, or those that its owner kept (E9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.docstore.store import Patch
from libs.policy import Terms, Version, load_policy
from libs.runtime.errors import UnauthenticatedError
from services.accounts.domain.model import Account, Answer, CredentialKind, Role, Standing
from services.accounts.graph import make_graph
from services.accounts.repository.accounts import ACCOUNTS
from services.accounts.repository.claims import ADDRESSES
from services.accounts.repository.standings import encode_standing
from tests.unit.accounts.support import Platform, make_wish

ADA = "ada@sealpost.test"
OLD = {"session_idle_seconds": 600, "erasure_grace_seconds": 86400, "public_mail_seconds": 3600}
NEW = {"session_idle_seconds": 1800, "erasure_grace_seconds": 2 * 86400, "public_mail_seconds": 7200}


@pytest.fixture
def terms() -> Terms:
    terms = Terms(load_policy())
    terms.put([Version(3, OLD, active=True)])
    return terms


@pytest.fixture
def world(platform: Platform, terms: Terms) -> Platform:
    graph = make_graph(platform.settings, platform.store, platform.clock, terms)
    return replace(platform, graph=graph)


async def refuse(world: Platform, account: Account) -> None:
    """Let an owner have refused version 4, and kept the terms of 3 for 90 days."""
    standing = Standing(
        noticed=4, noticed_at=world.now, answer=Answer.REFUSED, kept=3, old_until=world.now + 90 * 86400
    )
    await world.store.inner.write(Patch(ACCOUNTS, account.account_id, encode_standing(standing)))
    await world.store.inner.write(Patch(ADDRESSES, account.address_key, {"keeps_terms": True}))


async def test_routes_and_proofs_carry_the_version_whose_terms_hold(world: Platform, terms: Terms) -> None:
    ada = await world.sign_up(make_wish())
    await world.sign_up(make_wish("bob@sealpost.test"))
    token, _ = await world.graph.signed_in.start(ada)
    key = await world.graph.programs.create(ada.account_id, CredentialKind.API_KEY, "x", ["mail:read"])
    asked = [ADA, "bob@sealpost.test", "x@public.sealpost.test"]
    assert [route.terms for route in await world.graph.directory.resolve(asked)] == [3, 3, 3]
    await refuse(world, ada)
    terms.put([Version(4, NEW, active=True)])
    assert [route.terms for route in await world.graph.directory.resolve(asked)] == [3, 4, 4]
    assert (await world.graph.signed_in.authenticate(token)).terms == 3
    assert (await world.graph.programs.by_api_key(key.secret)).terms == 3
    world.clock.advance(days=90)
    assert [route.terms for route in await world.graph.directory.resolve(asked)] == [4, 4, 4]
    assert (await world.graph.programs.by_api_key(key.secret)).terms == 4


async def test_the_numbers_of_a_public_inbox_change_when_a_version_takes_effect(world: Platform, terms: Terms) -> None:
    (before,) = await world.graph.directory.resolve(["x@public.sealpost.test"])
    terms.put([Version(4, NEW | {"public_mail_newest": 2}, active=True)])
    (after,) = await world.graph.directory.resolve(["x@public.sealpost.test"])
    assert (before.limits.retention_seconds, before.limits.keep_newest) == (3600, 6)
    assert (after.limits.retention_seconds, after.limits.keep_newest) == (7200, 2)


async def test_who_refused_keeps_his_sessions_and_his_grace(world: Platform, terms: Terms) -> None:
    ada, bob = await world.sign_up(make_wish()), await world.sign_up(make_wish("bob@sealpost.test"))
    await refuse(world, ada)
    terms.put([Version(4, NEW, active=True)])
    kept = await world.graph.accounts.get(ada.account_id)
    assert kept is not None
    tokens = [(await world.graph.signed_in.start(account))[0] for account in (kept, bob)]
    world.clock.advance(minutes=11)
    with pytest.raises(UnauthenticatedError):
        await world.graph.signed_in.authenticate(tokens[0])
    await world.graph.signed_in.authenticate(tokens[1])
    graces = [(await world.graph.erasures.request(one.account_id)).erasure for one in (ada, bob)]
    assert [one.due - one.asked_at for one in graces] == [86400, 2 * 86400]


async def test_the_maximum_of_holders_is_the_one_in_force(world: Platform, terms: Terms) -> None:
    assert world.graph.staff.most(Role.STATISTICS) == 5
    terms.put([Version(4, {"statistics_holders": 2}, active=True)])
    assert world.graph.staff.most(Role.STATISTICS) == 2
