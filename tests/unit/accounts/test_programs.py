"""API keys and app passwords."""

from __future__ import annotations

import asyncio
import re

import pytest

from libs.docstore.store import Collection
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InternalError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.credentials import check_label, new_secret
from services.accounts.domain.model import Account, CredentialKind, Role
from tests.unit.accounts.support import Platform, down, make_wish, refused

ADA = "ada@sealpost.test"
KEY, PASSWORD = CredentialKind.API_KEY, CredentialKind.APP_PASSWORD


@pytest.fixture
async def ada(platform: Platform) -> Account:
    return await platform.sign_up(make_wish())


async def test_an_api_key_opens_what_its_scopes_say_and_no_role(platform: Platform, ada: Account) -> None:
    await platform.graph.staff.grant(ADA, Role.OPERATOR)
    made = await platform.graph.programs.create(ada.account_id, KEY, "backup", ["mail:write", "mail:send", "mail:read"])
    assert re.fullmatch(r"sp_[0-9a-hjkmnp-tv-z]{8}_[0-9a-hjkmnp-tv-z]{52}", made.secret)
    assert made.credential.prefix == made.secret[:11]
    principal = await platform.again().graph.programs.by_api_key(made.secret)
    assert (principal.account_id, principal.mailbox_id) == (ada.account_id, ada.mailbox_id)
    assert (principal.scopes, principal.roles) == (("mail:read", "mail:send", "mail:write"), ())
    assert principal.proof_id == made.credential.credential_id


async def test_an_app_password_is_read_as_people_type_it(platform: Platform, ada: Account) -> None:
    made = await platform.graph.programs.create(ada.account_id, PASSWORD, "phone", ["smtp:send"])
    assert re.fullmatch(r"([0-9a-z]{4}-){5}[0-9a-z]{4}", made.secret)
    assert made.credential.prefix == made.secret[:4]
    typed = [made.secret, made.secret.upper(), made.secret.replace("-", " "), made.secret.replace("-", "")]
    typed += [made.secret.replace("0", "o").replace("1", "l"), made.secret.replace("0", "O").replace("1", "I")]
    for text in typed:
        principal = await platform.graph.programs.by_app_password("Ada@SealPost.test", text)
        assert (principal.account_id, principal.scopes) == (ada.account_id, ("smtp:send",))


async def test_secrets_do_not_repeat() -> None:
    assert len({new_secret(kind)[0] for kind in CredentialKind for _ in range(500)}) == 1000


async def test_an_app_password_belongs_to_its_address(platform: Platform, ada: Account) -> None:
    await platform.sign_up(make_wish("bob@sealpost.test"))
    made = await platform.graph.programs.create(ada.account_id, PASSWORD, "phone", ["smtp:send"])
    for address in ("bob@sealpost.test", "nobody@sealpost.test", "ada@public.sealpost.test"):
        with refused(UnauthenticatedError, "credential_invalid"):
            await platform.graph.programs.by_app_password(address, made.secret)


@pytest.mark.parametrize("given", ["", "x", "sp_", "sp_00000000_" + "0" * 52, "sp_00000000_" + "u" * 52, "x" * 10**5])
async def test_what_is_no_key_is_nobodys(platform: Platform, ada: Account, given: str) -> None:
    with refused(UnauthenticatedError, "credential_invalid"):
        await platform.graph.programs.by_api_key(given)
    with refused(UnauthenticatedError, "credential_invalid"):
        await platform.graph.programs.by_app_password(ADA, given)


async def test_one_kind_does_not_pass_for_the_other(platform: Platform, ada: Account) -> None:
    key = await platform.graph.programs.create(ada.account_id, KEY, "a", ["mail:read"])
    password = await platform.graph.programs.create(ada.account_id, PASSWORD, "b", ["smtp:send"])
    with refused(UnauthenticatedError, "credential_invalid"):
        await platform.graph.programs.by_app_password(ADA, key.secret)
    with refused(UnauthenticatedError, "credential_invalid"):
        await platform.graph.programs.by_api_key(password.secret)


@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        (KEY, []),
        (KEY, ["smtp:send"]),
        (PASSWORD, ["mail:send"]),
        (KEY, ["mail:read", "mail:read"]),
        (KEY, ["mail:read", "admin"]),
        (PASSWORD, ["mail:read"]),
        (PASSWORD, []),
    ],
)
async def test_scopes_fit_the_kind(platform: Platform, ada: Account, kind: CredentialKind, scopes: list[str]) -> None:
    with refused(InvalidError, "scopes"):
        await platform.graph.programs.create(ada.account_id, kind, "x", scopes)


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "a\x00b", "a\u202eb", "x" * 65, "x" * 10**5])
async def test_labels_are_short_and_printable(platform: Platform, ada: Account, label: str) -> None:
    with refused(InvalidError, "label"):
        await platform.graph.programs.create(ada.account_id, KEY, label, ["mail:read"])


def test_a_label_is_trimmed_and_composed() -> None:
    assert check_label("  Bu\u0308ro 📮 ") == "Büro 📮"


async def test_a_list_shows_labels_and_prefixes_and_never_secrets(platform: Platform, ada: Account) -> None:
    first = await platform.graph.programs.create(ada.account_id, KEY, "backup", ["mail:read"])
    await platform.graph.programs.create(ada.account_id, PASSWORD, " phone ", ["smtp:send"])
    listed = await platform.graph.programs.list(ada.account_id)
    assert [(one.kind, label) for one, label in listed] == [(KEY, "backup"), (PASSWORD, "phone")]
    assert listed[0][0].prefix == first.credential.prefix
    assert listed[0][0].created_day == platform.now // 86400
    assert first.secret not in repr(listed)


async def test_a_revoked_credential_is_nobodys_and_only_its_owner_revokes_it(platform: Platform, ada: Account) -> None:
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    made = await platform.graph.programs.create(ada.account_id, KEY, "backup", ["mail:read"])
    with refused(NotFoundError, "credential_not_found"):
        await platform.graph.programs.revoke(bob.account_id, made.credential.credential_id)
    await platform.graph.programs.by_api_key(made.secret)
    await platform.graph.programs.revoke(ada.account_id, made.credential.credential_id)
    with refused(UnauthenticatedError, "credential_invalid"):
        await platform.graph.programs.by_api_key(made.secret)
    with refused(NotFoundError, "credential_not_found"):
        await platform.graph.programs.revoke(ada.account_id, made.credential.credential_id)


async def test_there_are_fifty_at_most_and_a_revoked_one_makes_room(platform: Platform, ada: Account) -> None:
    async def create(number: int) -> object:
        return await platform.graph.programs.create(ada.account_id, KEY, f"key {number}", ["mail:read"])

    for number in range(48):
        await create(number)
    results = await asyncio.gather(*(create(number) for number in range(48, 54)), return_exceptions=True)
    faults = [result for result in results if isinstance(result, SealpostError)]
    assert len(results) - len(faults) == 2
    assert {fault.reason for fault in faults} <= {"too_many_credentials"}
    assert len(platform.keys("credentials")) == 50
    listed = await platform.graph.programs.list(ada.account_id)
    await platform.graph.programs.revoke(ada.account_id, listed[7][0].credential_id)
    await create(99)
    with refused(ExhaustedError, "too_many_credentials"):
        await create(100)


async def test_a_slot_lost_to_a_rival_every_time_is_given_up(platform: Platform, ada: Account) -> None:
    other = platform.again()

    async def take_first(kind: str, collection: Collection) -> None:
        if kind == "insert":
            await platform.graph.programs.create(ada.account_id, KEY, "rival", ["mail:read"])

    other.store.before = take_first
    with refused(ConflictError, "account_changed"):
        await other.graph.programs.create(ada.account_id, KEY, "mine", ["mail:read"])
    assert len(platform.keys("credentials")) == 5


async def test_checking_a_key_is_one_look_up_and_the_account_behind_it(platform: Platform, ada: Account) -> None:
    made = await platform.graph.programs.create(ada.account_id, KEY, "backup", ["mail:read"])
    platform.store.calls.clear()
    await platform.graph.programs.by_api_key(made.secret)
    assert platform.store.calls == [("get", "credentials"), ("get", "accounts")]


async def test_guessing_app_passwords_ends_and_leaves_the_browser_alone(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    made = await platform.graph.programs.create(ada.account_id, PASSWORD, "phone", ["smtp:send"])
    for _ in range(20):
        with refused(UnauthenticatedError, "credential_invalid"):
            await platform.graph.programs.by_app_password(ADA, new_secret(PASSWORD)[0])
    with refused(ExhaustedError, "too_many_attempts"):
        await platform.graph.programs.by_app_password(ADA, made.secret)
    await platform.graph.access.sign_in(ADA, wish.authentication_key)


async def test_a_label_put_in_the_place_of_another_does_not_open(platform: Platform, ada: Account) -> None:
    first = await platform.graph.programs.create(ada.account_id, KEY, "one", ["mail:read"])
    second = await platform.graph.programs.create(ada.account_id, KEY, "two", ["mail:read"])
    forged = second.credential.__class__(**{**vars(second.credential), "label": first.credential.label})
    with refused(InternalError, "account_damaged"):
        platform.graph.vault.label(ada, forged)


async def test_an_account_that_is_not_there_has_none(platform: Platform) -> None:
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.programs.create(new_id(), KEY, "x", ["mail:read"])
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.programs.list(new_id())


async def test_a_store_that_is_down_is_told_as_such(platform: Platform, ada: Account) -> None:
    made = await platform.graph.programs.create(ada.account_id, PASSWORD, "phone", ["smtp:send"])
    platform.store.before = down
    for _ in range(30):
        with pytest.raises(UnavailableError):
            await platform.graph.programs.by_app_password(ADA, made.secret)
    platform.store.before = None
    await platform.graph.programs.by_app_password(ADA, made.secret)
