"""The choke point of platform mail: what the policy allows, what the owner agreed to, and nothing else."""

from __future__ import annotations

import itertools

import pytest

from libs.policy import load_policy
from libs.runtime.errors import DeniedError, SealpostError
from services.accounts.domain.model import Profile
from services.accounts.domain.reach import Reached
from services.accounts.domain.rights_ports import ConsentTo
from tests.unit.accounts.rights_support import RELAY, RightsPlatform, run_rights
from tests.unit.accounts.support import Platform, refused

ADA, ELSEWHERE = "ada@sealpost.test", "ada@mail.example"


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


async def test_the_own_mailbox_always_for_what_belongs_to_the_contract(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    for purpose in ("security", "policy", "rights", "service"):
        assert await world.reach.of(ada.account_id, purpose) == Reached((ADA,), Profile.SEALED)
    program = await world.sign_up("app", RELAY)
    assert (await world.reach.of(program.account_id, "policy")).profile is Profile.RELAY


@pytest.mark.parametrize("purpose", ["", "marketing", "Security", "newsletter ", "mail"])
async def test_no_purpose_that_the_policy_does_not_name(world: RightsPlatform, purpose: str) -> None:
    ada = await world.sign_up("ada")
    await world.owners.put_consents(ada.account_id, dict.fromkeys(ConsentTo, True))
    with refused(DeniedError, "purpose"):
        await world.reach.of(ada.account_id, purpose)


@pytest.mark.parametrize("purpose", ["newsletter", "contact"])
async def test_consent_is_asked_for_each_purpose_by_itself(world: RightsPlatform, purpose: str) -> None:
    ada = await world.sign_up("ada")
    other = next(to for to in ConsentTo if to.value != purpose)
    await world.owners.put_consents(ada.account_id, {other: True})
    with refused(DeniedError, "no_consent"):
        await world.reach.of(ada.account_id, purpose)
    await world.owners.put_consents(ada.account_id, {ConsentTo(purpose): True})
    assert (await world.reach.of(ada.account_id, purpose)).addresses == (ADA,)
    await world.owners.put_consents(ada.account_id, {ConsentTo(purpose): False})
    with refused(DeniedError, "no_consent"):
        await world.reach.of(ada.account_id, purpose)


async def test_every_purpose_with_every_choice(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    for newsletter, contact, address in itertools.product((False, True), (False, True), ("", ELSEWHERE)):
        await world.owners.put_consents(ada.account_id, {ConsentTo.NEWSLETTER: newsletter, ConsentTo.CONTACT: contact})
        await world.owners.put_contact(ada.account_id, address)
        for name, purpose in load_policy().mail.items():
            agreed = {"none": True, "newsletter": newsletter, "contact": contact}[purpose.consent]
            too = (address,) if address and contact and purpose.contact else ()
            expected = (ADA, *too) if agreed else "no_consent"
            assert await outcome(world, ada.account_id, name) == expected


async def outcome(world: RightsPlatform, account_id: str, purpose: str) -> tuple[str, ...] | str:
    try:
        return (await world.reach.of(account_id, purpose)).addresses
    except SealpostError as error:
        return error.reason


async def test_the_contact_address_is_for_what_policy_s5_says_and_never_for_news() -> None:
    using = {name for name, purpose in load_policy().mail.items() if purpose.contact}
    assert "newsletter" not in using
    assert "service" not in using
    assert {"policy", "security"} <= using
