"""Mailboxes, public inboxes, the page and the directory over HTTP."""

from __future__ import annotations

import pytest

from libs.runtime.errors import UnavailableError
from services.gateway import wkd
from tests.unit.gateway.fakes import MESSAGE, PUBLIC_MAILBOX, Gateway, stored_message

PUBLIC = "/v1/public/hello@public.test/messages"


async def test_a_members_mail_stays_sealed(site: Gateway) -> None:
    site.sign_in()
    site.storage.messages["a" * 32] = [stored_message(scheme="openpgp", key_id="f" * 40)]
    page = (await site.client.get("/v1/messages?folder=inbox")).json()
    assert page["messages"][0]["id"] == MESSAGE
    assert page["messages"][0]["envelope"] == "c2VhbGVkOnsidiI6MSwic3ViamVjdCI6ImhlbGxvIn0="
    body = await site.client.get(f"/v1/messages/{MESSAGE}/body")
    assert body.content == site.storage.body
    assert body.headers["content-type"] == "application/octet-stream"


async def test_another_mailboxs_message_does_not_exist(site: Gateway) -> None:
    site.sign_in()
    site.storage.messages[PUBLIC_MAILBOX] = [stored_message()]
    for suffix in ("", "/body", "/readers"):
        assert (await site.client.get(f"/v1/messages/{MESSAGE}{suffix}")).status_code == 404


@pytest.mark.parametrize("path", ["/v1/messages/../x", "/v1/messages/XYZ", "/v1/messages?folder=../etc"])
async def test_ids_have_a_form(site: Gateway, path: str) -> None:
    site.sign_in()
    assert (await site.client.get(path)).status_code in (400, 404, 422)


async def test_a_public_inbox_is_open_and_says_so(site: Gateway) -> None:
    site.storage.messages[PUBLIC_MAILBOX] = [stored_message(), stored_message("destroyed", message_id="0" * 32)]
    page = (await site.client.get(PUBLIC)).json()
    assert "public" in page["notice"]
    assert [entry["id"] for entry in page["messages"]] == [MESSAGE]
    assert page["messages"][0]["envelope"] == {"v": 1, "subject": "hello"}
    raw = await site.client.get(f"{PUBLIC}/{MESSAGE}/raw")
    assert raw.content.startswith(b"Subject: hello")
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"].startswith("attachment")


async def test_a_destroyed_key_reads_as_not_found(site: Gateway) -> None:
    site.storage.messages[PUBLIC_MAILBOX] = [stored_message("destroyed")]
    assert (await site.client.get(f"{PUBLIC}/{MESSAGE}")).status_code == 404
    answer = await site.client.get(f"{PUBLIC}/{MESSAGE}/raw")
    assert (answer.status_code, answer.json()["reason"]) == (404, "key_destroyed")


async def test_members_and_strangers_addresses_are_no_public_inbox(site: Gateway) -> None:
    for address in ("ada@member.test", "a@example.org", "x"):
        answer = await site.client.get(f"/v1/public/{address}/messages")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_public")


async def test_anybody_may_delete_from_a_public_inbox(site: Gateway) -> None:
    site.storage.messages[PUBLIC_MAILBOX] = [stored_message()]
    assert (await site.client.delete(f"{PUBLIC}/{MESSAGE}")).status_code == 204
    assert (await site.client.delete(f"{PUBLIC}/{MESSAGE}")).status_code == 404


async def test_information_is_what_the_services_say(site: Gateway) -> None:
    info = (await site.client.get("/v1/info")).json()
    assert info["public_domains"] == ["public.test"]
    assert info["member_domains"] == ["member.test"]
    assert (info["relay_domains"], info["sign_up_open"], info["submission"]) == (["relay.test"], True, None)
    assert info["public"] == {"keep_newest": 6, "retention_seconds": 345600}


def test_the_directory_hashes_as_the_draft_says() -> None:
    # The example of draft-koch-openpgp-webkey-service, section 3.1: Joe.Doe@Example.ORG.
    assert wkd.hash_of("Joe.Doe") == "iy9q119eutrkn8s1mk4r39qejnbu3n5q"


async def test_an_unknown_certificate_is_not_found(site: Gateway) -> None:
    assert (await site.client.get(f"/.well-known/openpgpkey/member.test/hu/{'y' * 32}")).status_code == 404
    assert (await site.client.get("/.well-known/openpgpkey/member.test/hu/nope")).status_code == 404
    assert (await site.client.get("/.well-known/openpgpkey/member.test/policy")).status_code == 200


async def test_where_a_public_inbox_is_is_asked_once_in_a_while(site: Gateway) -> None:
    assert (await site.client.get(PUBLIC)).status_code == 200
    site.accounts.resolve_error = UnavailableError("unreachable")
    assert (await site.client.get(PUBLIC)).status_code == 200
    assert (await site.client.get("/v1/public/other@public.test/messages")).status_code == 503
    site.clock.advance(31)
    assert (await site.client.get(PUBLIC)).status_code == 503
    site.accounts.resolve_error = None
    for number in range(5000):
        await site.app.app.state.routes.find(site.app.app.state.peers, f"{number}@public.test")
    assert len(site.app.app.state.routes._known) == 4096
    assert (await site.client.get("/v1/public/ada@member.test/messages")).status_code == 404
    assert len(site.app.app.state.routes._known) == 4096
