"""Accounts over HTTP, before the real services: from sign-up to recovery, and the directory as GnuPG reads it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.gateway.wkd import hash_of
from tests.support.gateway import Member, Site, b64, kdf_form, new_member, running_site, sign_up_form
from tests.support.tools import require_tool

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRAPPED = b64(b"\x01" + bytes(100))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site for all of them; its second member domain has a name beyond ASCII."""
    plenty: dict[str, Any] = dict.fromkeys(("proofs_per_minute", "sign_ups_per_hour", "proofs_per_address"), 10_000)
    accounts = {"member_domains": ("sealpost.test", "bücher.test")}
    async with running_site(tmp_path_factory.mktemp("members"), accounts=accounts, **plenty) as running:
        yield running


async def sign_in(site: Site, member: Member, key: bytes | None = None) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the header of the session, and the answer."""
    form = {"address": member.address, "authentication_key": b64(key or member.authentication_key)}
    answer = await site.client.post("/v1/session", json=form)
    return answer.status_code, {"cookie": answer.headers.get("set-cookie", "").partition(";")[0]}, answer.json()


async def test_a_member_is_what_he_signed_up_as(site: Site) -> None:
    ada = await site.sign_up("ada")
    status, cookie, answer = await sign_in(site, ada)
    assert status == 200 and answer["account"] == ada.account
    assert (await site.client.get("/v1/session", headers=cookie)).json()["account"] == ada.account
    kdf = (await site.client.post("/v1/kdf", json={"address": ada.address})).json()["kdf"]
    assert kdf == ada.account["kdf"]
    unknown = (await site.client.post("/v1/kdf", json={"address": "nobody@sealpost.test"})).json()["kdf"]
    assert unknown.keys() == kdf.keys() and unknown["salt"] != kdf["salt"]


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(site: Site) -> None:
    bea = await site.sign_up("bea")
    wrong = await sign_in(site, bea, bytes(32))
    unknown = await sign_in(site, new_member("ghost@sealpost.test"))
    assert wrong[0] == unknown[0] == 401
    assert wrong[2] == unknown[2] and wrong[2]["reason"] == "bad_proof"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"address": "postmaster@sealpost.test"}, 403, "address_reserved"),
        ({"address": "post-master@sealpost.test"}, 403, "address_reserved"),
        ({"address": "x@elsewhere.test"}, 403, "domain_closed"),
        ({"address": "x@public.sealpost.test"}, 403, "domain_closed"),
        ({"address": "x+tag@sealpost.test"}, 400, "address_invalid"),
        ({"address": "no address"}, 400, "address_invalid"),
        ({"address": "a@b@c@sealpost.test"}, 400, "address_invalid"),
        ({"address": "x@[127.0.0.1]"}, 400, "address_invalid"),
        ({"kdf": kdf_form(memory_kib=8192)}, 400, "kdf_cost"),
        ({"kdf": kdf_form(iterations=1)}, 400, "kdf_cost"),
        ({"kdf": kdf_form(salt=b64(bytes(8)))}, 400, "kdf_salt"),
        ({"wrapped_private_key": b64(b"\x02" + bytes(100))}, 400, "wrapped_private_key"),
        ({"certificate": b64(b"nonsense" * 20)}, 400, "certificate_not_binary"),
        ({"certificate": b64(b"\x99\xff\xff\x04" * 20)}, 400, "certificate_malformed"),
    ],
)
async def test_a_sign_up_that_cannot_be_is_told_why_and_leaves_nothing(
    site: Site, changes: dict[str, Any], status: int, reason: str
) -> None:
    address = changes.get("address", "refused@sealpost.test")
    member = new_member(address)
    answer = await site.client.post("/v1/accounts", json=sign_up_form(member) | changes)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.json()["detail"] != answer.json()["title"] + "."
    assert "set-cookie" not in answer.headers
    free = await site.client.post("/v1/accounts", json=sign_up_form(new_member("refused@sealpost.test")))
    assert free.status_code in (201, 409)
    if free.status_code == 409:
        assert "refused" not in changes.get("address", "")


async def test_a_certificate_for_somebody_else_takes_no_address(site: Site) -> None:
    thief = new_member("victim@sealpost.test", name="thief@sealpost.test")
    answer = await site.client.post("/v1/accounts", json=sign_up_form(thief))
    assert (answer.status_code, answer.json()["reason"]) == (400, "certificate_address")
    victim = await site.sign_up("victim")
    assert victim.account["address"] == "victim@sealpost.test"


async def test_an_address_is_one_however_it_is_spelt(site: Site) -> None:
    cleo = new_member("Cleo@SealPost.Test", name="cleo@sealpost.test")
    made = await site.client.post("/v1/accounts", json=sign_up_form(cleo))
    assert (made.status_code, made.json()["account"]["address"]) == (201, "cleo@sealpost.test")
    again = await site.client.post("/v1/accounts", json=sign_up_form(new_member("cleo@sealpost.test")))
    assert (again.status_code, again.json()["reason"]) == (409, "address_taken")
    assert (await sign_in(site, cleo))[0] == 200


async def test_a_sign_up_that_was_not_heard_of_may_be_repeated(site: Site) -> None:
    dora = new_member("dora@sealpost.test")
    form = sign_up_form(dora)
    first, second = [await site.client.post("/v1/accounts", json=form) for _ in range(2)]
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert first.headers["set-cookie"] != second.headers["set-cookie"]
    found = await site.client.get(f"/.well-known/openpgpkey/sealpost.test/hu/{hash_of('dora')}")
    assert found.content == dora.key.certificate


async def test_an_expired_certificate_keeps_nobody_from_his_mail(site: Site) -> None:
    emil = new_member("emil@sealpost.test", lifetime=1)
    refused = await site.client.post("/v1/accounts", json=sign_up_form(emil))
    assert (refused.status_code, refused.json()["reason"]) == (400, "certificate_expired")


async def test_a_new_password_ends_every_other_session(site: Site) -> None:
    fay = await site.sign_up("fay")
    _, other, _ = await sign_in(site, fay)
    new = b64(b"n" * 32)
    form = {"kdf": kdf_form(), "authentication_key": new, "wrapped_private_key": WRAPPED}
    wrong = form | {"current_authentication_key": b64(bytes(32))}
    refused = await site.client.put("/v1/account/password", json=wrong, headers=fay.cookie)
    assert (refused.status_code, refused.json()["reason"]) == (401, "bad_proof")
    weak = form | {"current_authentication_key": b64(fay.authentication_key), "kdf": kdf_form(memory_kib=1024)}
    refused = await site.client.put("/v1/account/password", json=weak, headers=fay.cookie)
    assert (refused.status_code, refused.json()["reason"]) == (400, "kdf_cost")
    right = form | {"current_authentication_key": b64(fay.authentication_key)}
    assert (await site.client.put("/v1/account/password", json=right, headers=fay.cookie)).status_code == 204
    assert (await site.client.get("/v1/session", headers=fay.cookie)).status_code == 200
    assert (await site.client.get("/v1/session", headers=other)).status_code == 401
    assert (await sign_in(site, fay))[0] == 401
    status, _, answer = await sign_in(site, fay, b"n" * 32)
    assert status == 200 and answer["account"]["wrapped_private_key"] == WRAPPED


async def test_the_way_back_with_a_recovery_code(site: Site) -> None:
    gil = await site.sign_up("gil")
    code, wrapped = b64(b"c" * 32), b64(b"\x01" + b"r" * 80)
    proof = {"address": gil.address, "authentication_key": code}
    assert (await site.client.post("/v1/recovery", json=proof)).status_code == 401
    recovery = {"authentication_key": code, "wrapped_private_key": wrapped}
    form = {"current_authentication_key": b64(gil.authentication_key), "recovery": recovery}
    assert (await site.client.put("/v1/account/recovery", json=form, headers=gil.cookie)).status_code == 204
    assert (await site.client.get("/v1/session", headers=gil.cookie)).json()["account"]["has_recovery"] is True
    started = (await site.client.post("/v1/recovery", json=proof)).json()
    assert started == {"wrapped_private_key": wrapped, "fingerprint": gil.account["fingerprint"]}
    done = {"address": gil.address, "recovery_authentication_key": code, "kdf": kdf_form()}
    done |= {"authentication_key": b64(b"m" * 32), "wrapped_private_key": WRAPPED}
    completed = await site.client.post("/v1/recovery/complete", json=done)
    assert completed.status_code == 200 and completed.headers["set-cookie"].startswith("__Host-session=")
    assert (await site.client.get("/v1/session", headers=gil.cookie)).status_code == 401
    assert (await sign_in(site, gil, b"m" * 32))[0] == 200
    off = {"current_authentication_key": b64(b"m" * 32), "recovery": None}
    cookie = {"cookie": completed.headers["set-cookie"].partition(";")[0]}
    assert (await site.client.put("/v1/account/recovery", json=off, headers=cookie)).status_code == 204
    assert (await site.client.post("/v1/recovery", json=proof)).status_code == 401


async def test_credentials_are_shown_once_and_end_at_once(site: Site) -> None:
    hal = await site.sign_up("hal")
    for form, reason in (
        ({"kind": "api_key", "label": "x", "scopes": []}, "scopes"),
        ({"kind": "api_key", "label": "x", "scopes": ["smtp:send"]}, "scopes"),
        ({"kind": "app_password", "label": "x", "scopes": ["mail:read"]}, "scopes"),
        ({"kind": "api_key", "label": "x\n", "scopes": ["mail:read", "mail:read"]}, "scopes"),
        ({"kind": "api_key", "label": "a\x07b", "scopes": ["mail:read"]}, "label"),
        ({"kind": "api_key", "label": "l" * 65, "scopes": ["mail:read"]}, "label"),
    ):
        refused = await site.client.post("/v1/credentials", json=form, headers=hal.cookie)
        assert (refused.status_code, refused.json()["reason"]) == (400, reason), form
    form = {"kind": "api_key", "label": "reader", "scopes": ["mail:read"]}
    made = (await site.client.post("/v1/credentials", json=form, headers=hal.cookie)).json()
    bearer = {"authorization": f"Bearer {made['secret']}"}
    assert (await site.client.get("/v1/messages", headers=bearer)).status_code == 200
    (listed,) = (await site.client.get("/v1/credentials", headers=hal.cookie)).json()["credentials"]
    assert listed == made["credential"] and made["secret"].startswith(listed["prefix"])
    gone = await site.client.delete(f"/v1/credentials/{listed['id']}", headers=hal.cookie)
    assert gone.status_code == 204
    assert (await site.client.get("/v1/messages", headers=bearer)).status_code == 401


async def test_sessions_are_listed_and_ended_together(site: Site) -> None:
    ivy = await site.sign_up("ivy")
    _, other, _ = await sign_in(site, ivy)
    listed = (await site.client.get("/v1/sessions", headers=ivy.cookie)).json()["sessions"]
    assert sorted(session["current"] for session in listed) == [False, True]
    assert all(session["created"].endswith(":00:00Z") for session in listed)
    everywhere = await site.client.delete("/v1/sessions", headers=ivy.cookie)
    assert everywhere.status_code == 204 and "Max-Age=0" in everywhere.headers["set-cookie"]
    for cookie in (ivy.cookie, other):
        assert (await site.client.get("/v1/session", headers=cookie)).status_code == 401
    again = await site.client.delete("/v1/session", headers=ivy.cookie)
    assert again.status_code == 204 and "Max-Age=0" in again.headers["set-cookie"]


async def test_gnupg_reads_what_the_directory_serves(site: Site, tmp_path: Path) -> None:
    gpg = require_tool("gpg")
    jan = await site.sign_up("jan")
    name = hash_of("jan")
    for path, host in (
        (f"/.well-known/openpgpkey/sealpost.test/hu/{name}?l=jan", "openpgpkey.sealpost.test"),
        (f"/.well-known/openpgpkey/SealPost.Test/hu/{name}?l=Jan", "openpgpkey.sealpost.test"),
        (f"/.well-known/openpgpkey/hu/{name}?l=jan", "sealpost.test"),
        (f"/.well-known/openpgpkey/hu/{name}?l=jan", "SEALPOST.test:8443"),
    ):
        found = await site.client.get(path, headers={"host": host})
        assert found.status_code == 200, path
        assert found.headers["content-type"] == "application/octet-stream"
        assert found.headers["access-control-allow-origin"] == "*"
        assert found.headers["cross-origin-resource-policy"] == "cross-origin"
        head = await site.client.head(path, headers={"host": host})
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(found.content)))
    shown = subprocess.run(
        [gpg, "--homedir", str(tmp_path), "--show-keys", "--with-colons"],
        input=found.content, capture_output=True, check=True, timeout=60,
    ).stdout.decode()  # fmt: skip
    assert f"fpr:::::::::{jan.account['fingerprint'].upper()}:" in shown
    assert "<jan@sealpost.test>" in shown
    for policy in ("/.well-known/openpgpkey/policy", "/.well-known/openpgpkey/sealpost.test/policy"):
        answer = await site.client.get(policy)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/plain")


async def test_a_domain_beyond_ascii_is_found_under_both_its_names(site: Site) -> None:
    kim = new_member("kim@bücher.test")
    made = await site.client.post("/v1/accounts", json=sign_up_form(kim))
    assert (made.status_code, made.json()["account"]["address"]) == (201, "kim@xn--bcher-kva.test"), made.text
    for domain in ("xn--bcher-kva.test", "b%C3%BCcher.test", "B%C3%9CCHER.test"):
        found = await site.client.get(f"/.well-known/openpgpkey/{domain}/hu/{hash_of('kim')}")
        assert found.content == kim.key.certificate, domain


@pytest.mark.parametrize("domain", ["elsewhere.test", "%00", "a" * 300, "..", "xn--", "\u2603" * 80])
async def test_strange_domains_have_no_certificates(site: Site, domain: str) -> None:
    answer = await site.client.get(f"/.well-known/openpgpkey/{domain}/hu/{hash_of('jan')}")
    assert (answer.status_code, answer.json()["reason"]) in ((404, "certificate_unknown"), (404, "no_such_path"))
