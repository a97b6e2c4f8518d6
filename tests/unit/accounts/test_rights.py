"""Consents and contact addresses: off by default, changed by their owner, sealed, gone with the account."""

from __future__ import annotations

import asyncio

import pytest

from libs.docstore.store import Collection
from libs.runtime.errors import ConflictError, InternalError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.accounts.domain.rights_ports import Consent, ConsentTo
from tests.unit.accounts.rights_support import RELAY, RightsPlatform, run_rights
from tests.unit.accounts.support import Platform, down, refused

NEWSLETTER, CONTACT = ConsentTo.NEWSLETTER, ConsentTo.CONTACT
TARGET = "Ada.Private@mail.example"


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


async def test_everything_is_off_until_somebody_switches_it_on(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    own = await world.owners.get(ada.account_id)
    assert [own.consents.to(to) for to in ConsentTo] == [Consent(), Consent()]
    assert own.contact == ""


async def test_the_time_is_that_of_the_last_change(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await world.owners.put_consents(ada.account_id, {NEWSLETTER: True})
    first = world.now
    world.clock.advance(days=1)
    await world.owners.put_consents(ada.account_id, {NEWSLETTER: True, CONTACT: True})
    consents = (await world.owners.get(ada.account_id)).consents
    assert (consents.to(NEWSLETTER), consents.to(CONTACT)) == (Consent(True, first), Consent(True, world.now))
    world.clock.advance(days=1)
    await world.owners.put_consents(ada.account_id, {NEWSLETTER: False})
    consents = (await world.owners.get(ada.account_id)).consents
    assert (consents.to(NEWSLETTER), consents.to(CONTACT).given) == (Consent(False, world.now), True)


async def test_two_consents_at_once_are_both_kept(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await asyncio.gather(
        world.owners.put_consents(ada.account_id, {NEWSLETTER: True}),
        world.owners.put_consents(ada.account_id, {CONTACT: True}),
    )
    consents = (await world.owners.get(ada.account_id)).consents
    assert consents.to(NEWSLETTER).given
    assert consents.to(CONTACT).given


async def test_nothing_is_consented_to_for_nothing(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await world.owners.put_consents(ada.account_id, {NEWSLETTER: False})
    assert world.platform.keys("consents") == set()


async def test_a_contact_address_comes_changes_and_goes(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    for address in (TARGET, "bob@sealpost.test"):
        await world.owners.put_contact(ada.account_id, address)
        assert (await world.owners.get(ada.account_id)).contact == address
    await world.owners.put_contact(ada.account_id, "")
    await world.owners.put_contact(ada.account_id, "")
    assert (await world.owners.get(ada.account_id)).contact == ""
    assert world.platform.keys("contacts") == set()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ada", "contact_address"),
        ("a b@mail.example", "contact_address"),
        ("a@mail.example\r\nBcc: x@y.example", "contact_address"),
        ("a" * 250 + "@mail.example", "contact_address"),
        ('"a"@mail.example', "contact_address"),
        ("a@[127.0.0.1]", "contact_address"),
        ("a@localhost", "contact_address"),
        ("box@public.sealpost.test", "contact_public"),
        ("ADA+x@sealpost.test", "contact_own"),
        ("postmaster@sealpost.test", "contact_own"),
    ],
)
async def test_addresses_that_cannot_be(world: RightsPlatform, address: str, reason: str) -> None:
    ada = await world.sign_up("ada")
    with refused(InvalidError, reason):
        await world.owners.put_contact(ada.account_id, address)


async def test_it_is_sealed_and_to_nobody_elses_account(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await world.owners.put_contact(ada.account_id, TARGET)
    await world.owners.put_contact(bob.account_id, "bob@mail.example")
    sealed = await world.platform.graph.rights.kept.contacts.get(ada.account_id)
    assert sealed is not None
    assert b"mail.example" not in sealed
    await world.platform.graph.rights.kept.contacts.put(bob.account_id, sealed)
    with refused(InternalError, "account_damaged"):
        await world.owners.get(bob.account_id)


async def test_who_does_not_exist_has_no_rights(world: RightsPlatform) -> None:
    for call in (
        world.owners.get(new_id()),
        world.owners.put_consents(new_id(), {NEWSLETTER: True}),
        world.owners.put_contact(new_id(), TARGET),
        world.reach.of(new_id(), "security"),
    ):
        with refused(NotFoundError, "account_not_found"):
            await call


async def test_what_comes_while_the_account_goes_goes_too(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")

    async def vanish(kind: str, collection: Collection) -> None:
        if kind == "insert" and collection.name in ("consents", "contacts"):
            await world.platform.graph.accounts.delete(ada.account_id)
            await world.platform.graph.accounts.delete(bob.account_id)

    world.store.after = vanish
    with refused(NotFoundError, "account_not_found"):
        await world.owners.put_contact(ada.account_id, TARGET)
    with refused(NotFoundError, "account_not_found"):
        await world.owners.put_consents(bob.account_id, {NEWSLETTER: True})
    assert world.platform.keys("contacts") | world.platform.keys("consents") == set()


async def test_somebody_else_is_always_faster(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")

    async def faster(kind: str, collection: Collection) -> None:
        if kind in ("insert", "replace"):
            raise ConflictError("version")

    world.store.before = faster
    with refused(ConflictError, "account_changed"):
        await world.owners.put_consents(ada.account_id, {NEWSLETTER: True})


async def test_the_first_address_is_given_twice_at_once(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await asyncio.gather(*(world.owners.put_contact(ada.account_id, TARGET) for _ in range(4)))
    assert world.platform.keys("contacts") == {ada.account_id}


async def test_the_store_does_not_answer(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    world.store.before = down
    for call in (
        world.owners.get(ada.account_id),
        world.owners.put_consents(ada.account_id, {NEWSLETTER: True}),
        world.owners.put_contact(ada.account_id, TARGET),
        world.owners.find("ada@sealpost.test"),
    ):
        with refused(UnavailableError, "storage_unavailable"):
            await call


async def test_accounts_are_found_by_any_spelling_of_their_address(world: RightsPlatform) -> None:
    ada, program = await world.sign_up("ada"), await world.sign_up("app", RELAY)
    assert (await world.owners.find("ADA+tag@Sealpost.test")).account_id == ada.account_id
    assert (await world.owners.find(f"app@{RELAY}")).account_id == program.account_id
    for address in ("bob@sealpost.test", "box@public.sealpost.test", "a@elsewhere.example"):
        with refused(NotFoundError, "account_not_found"):
            await world.owners.find(address)
    with refused(InvalidError, "address_invalid"):
        await world.owners.find("nothing")
