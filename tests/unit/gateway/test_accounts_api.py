"""Sign-up, sign-in, sessions over HTTP."""

from __future__ import annotations

import base64

import pytest

from libs.runtime.errors import ConflictError, InvalidError, UnavailableError
from services.gateway.wkd import hash_of
from tests.unit.gateway.fakes import Gateway

KEY = base64.b64encode(b"k" * 32).decode()
SIGN_UP = {
    "address": "ada@member.test",
    "kdf": {
        "algorithm": "argon2id",
        "salt": base64.b64encode(b"s" * 16).decode(),
        "memory_kib": 65536,
        "iterations": 3,
        "parallelism": 1,
    },
    "authentication_key": KEY,
    "certificate": base64.b64encode(b"c" * 100).decode(),
    "wrapped_private_key": base64.b64encode(b"w" * 100).decode(),
}


async def test_sign_up_sets_the_one_cookie(site: Gateway) -> None:
    answer = await site.client.post("/v1/accounts", json=SIGN_UP)
    assert answer.status_code == 201
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 1
    cookie = cookies[0].lower()
    assert cookie.startswith("__host-session=")
    for attribute in ("secure", "httponly", "samesite=strict", "path=/"):
        assert attribute in cookie
    assert "expires" not in cookie and "max-age" not in cookie and "domain" not in cookie
    assert answer.json()["account"]["address"] == "ada@member.test"


async def test_sign_up_lists_the_certificate_under_the_address(site: Gateway) -> None:
    await site.client.post("/v1/accounts", json=SIGN_UP)
    found = await site.client.get(f"/.well-known/openpgpkey/member.test/hu/{hash_of('ada')}?l=ada")
    assert found.content == b"c" * 100


async def test_somebody_elses_address_is_never_listed(site: Gateway) -> None:
    site.accounts.taken.add("ada@member.test")
    answer = await site.client.post("/v1/accounts", json=SIGN_UP)
    assert answer.status_code == 409
    assert answer.json()["reason"] == "address_taken"
    assert site.crypto.listed == {}
    assert site.crypto.certificates == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("authentication_key", "!!!"),
        ("authentication_key", base64.b64encode(b"k" * 31).decode()),
        ("certificate", base64.b64encode(b"c" * 70_000).decode()),
        ("wrapped_private_key", ""),
        ("address", "a" * 400),
        ("kdf", {**SIGN_UP["kdf"], "iterations": 0}),  # type: ignore[dict-item]
    ],
)
async def test_wrong_fields_are_named_and_not_repeated(site: Gateway, field: str, value: object) -> None:
    answer = await site.client.post("/v1/accounts", json={**SIGN_UP, field: value})
    assert answer.status_code == 422
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert any(entry["field"].startswith(field) for entry in problem["errors"])
    assert "aaaaaaaa" not in answer.text


async def test_the_name_of_an_unknown_field_is_input_too(site: Gateway) -> None:
    answer = await site.client.post("/v1/accounts", json={**SIGN_UP, "canary": 1, "kdf": SIGN_UP["kdf"] | {"bird": 1}})  # type: ignore[operator]
    assert answer.status_code == 422
    assert {(entry["field"], entry["problem"]) for entry in answer.json()["errors"]} == {
        ("", "extra_forbidden"),
        ("kdf", "extra_forbidden"),
    }
    assert "canary" not in answer.text and "bird" not in answer.text


async def test_a_wrong_password_says_no_more_than_that(site: Gateway) -> None:
    given = {"address": "ada@member.test", "authentication_key": base64.b64encode(b"x" * 32).decode()}
    answer = await site.client.post("/v1/session", json=given)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "bad_proof"
    assert "ada" not in answer.text


async def test_without_a_session_nothing_of_a_mailbox_is_shown(site: Gateway) -> None:
    for path in ("/v1/session", "/v1/messages", "/v1/mailbox", "/v1/credentials", "/v1/sessions", "/v1/events"):
        answer = await site.client.get(path)
        assert answer.status_code == 401, path
        assert answer.json()["reason"] == "session_missing"


async def test_sign_out_ends_the_session_and_takes_the_cookie_back(site: Gateway) -> None:
    site.sign_in()
    answer = await site.client.delete("/v1/session")
    assert answer.status_code == 204
    assert site.accounts.signed_out != []
    assert "max-age=0" in answer.headers["set-cookie"].lower()


async def test_an_api_key_does_what_its_scopes_say(site: Gateway) -> None:
    bearer = {"authorization": "Bearer sp_read"}
    assert (await site.client.get("/v1/messages", headers=bearer)).status_code == 200
    refused = await site.client.post("/v1/messages/delete", json={"ids": ["0" * 32]}, headers=bearer)
    assert refused.status_code == 403
    assert refused.json()["reason"] == "scope_missing"
    assert (await site.client.get("/v1/sessions", headers=bearer)).status_code == 401
    assert (await site.client.get("/v1/messages", headers={"authorization": "Bearer no"})).status_code == 401
    assert (await site.client.get("/v1/messages", headers={"authorization": "Basic eDp5"})).status_code == 401


async def test_an_unclear_answer_leaves_the_certificate_of_an_account_that_may_exist(site: Gateway) -> None:
    site.accounts.sign_up_error = UnavailableError("deadline")
    assert (await site.client.post("/v1/accounts", json=SIGN_UP)).status_code == 503
    assert len(site.crypto.certificates) == 1


async def test_a_repeated_sign_up_keeps_the_first_id_only(site: Gateway) -> None:
    site.accounts.earlier_id = "e" * 32
    answer = await site.client.post("/v1/accounts", json=SIGN_UP)
    assert answer.json()["account"]["id"] == "e" * 32
    assert set(site.crypto.certificates) == {"e" * 32}


async def test_sessions_are_told_to_the_hour(site: Gateway) -> None:
    site.sign_in()
    (session,) = (await site.client.get("/v1/sessions")).json()["sessions"]
    expected = {"id": "s1", "created": "2027-01-15T08:00:00Z", "last_used": "2027-01-15T09:00:00Z", "current": True}
    assert session == expected


@pytest.mark.parametrize(
    "error", [UnavailableError("deadline"), InvalidError("certificate_expired"), ConflictError("x")]
)
async def test_a_directory_that_fails_keeps_nobody_out(site: Gateway, error: Exception) -> None:
    site.crypto.listing_error = error
    answer = await site.client.post("/v1/accounts", json=SIGN_UP)
    assert answer.status_code == 201 and "set-cookie" in answer.headers
    proof = {"address": "ada@member.test", "authentication_key": KEY}
    answer = await site.client.post("/v1/session", json=proof)
    assert answer.status_code == 200 and "set-cookie" in answer.headers
    assert site.crypto.listed == {}
    site.crypto.listing_error = None
    assert (await site.client.post("/v1/session", json=proof)).status_code == 200
    assert len(site.crypto.listed) == 1
