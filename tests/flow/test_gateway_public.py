"""Public inboxes before the real services: every spelling of an address, what is answered, what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.gateway import LETTER, PUBLIC, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDN = "xn--mnchen-3ya.test"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site with two public domains, one of them with a name beyond ASCII."""
    accounts: dict[str, Any] = {"public_domains": (PUBLIC, "münchen.test")}
    home = tmp_path_factory.mktemp("public")
    async with running_site(home, accounts=accounts, public_per_minute=100_000, streams_per_client=50) as running:
        yield running


async def listed(site: Site, path: str) -> dict[str, Any]:
    answer = await site.client.get(f"/v1/public/{path}/messages")
    assert answer.status_code == 200, (path, answer.text)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("address", "paths"),
    [
        (f"one@{PUBLIC}", [f"one@{PUBLIC}", f"ONE@{PUBLIC.upper()}", f"%6Fne%40{PUBLIC}", f"%22one%22@{PUBLIC}"]),
        (f"two+tag@{PUBLIC}", [f"two+tag@{PUBLIC}", f"two%2Btag@{PUBLIC}", f"two%2btag%40{PUBLIC}"]),
        (f"a/b@{PUBLIC}", [f"a/b@{PUBLIC}", f"a%2Fb@{PUBLIC}", f"a%2fb%40{PUBLIC}"]),
        (f"messages/x@{PUBLIC}", [f"messages/x@{PUBLIC}", f"messages%2Fx@{PUBLIC}"]),
        (f"q?#%@{PUBLIC}", [f"q%3F%23%25@{PUBLIC}"]),
        (f"grüße@{PUBLIC}", [quote(f"grüße@{PUBLIC}", safe=""), quote(f"GRÜSSE@{PUBLIC}".replace("SS", "ß"))]),
        (f"jo@{IDN}", [f"jo@{IDN}", quote("jo@münchen.test"), quote("JO@MÜNCHEN.test")]),
    ],
)
async def test_every_spelling_leads_to_the_one_inbox_and_none_is_echoed(
    site: Site, address: str, paths: list[str]
) -> None:
    message_id = await site.deliver(address, subject=address)
    for path in paths:
        page = await listed(site, path)
        assert [entry["id"] for entry in page["messages"]] == [message_id], path
        assert page["messages"][0]["envelope"]["subject"] == address
        canonical = address.replace("ß", "ss").lower()
        assert page["address"] == canonical, path
        for suffix in ("", "/raw", "/readers"):
            assert (await site.client.get(f"/v1/public/{path}/messages/{message_id}{suffix}")).status_code == 200
    assert (await site.client.get(f"/v1/public/{paths[0]}/messages/{message_id}/raw")).content == LETTER


async def test_tags_are_inboxes_of_their_own(site: Site) -> None:
    await site.deliver(f"tag+one@{PUBLIC}")
    assert len((await listed(site, f"tag%2Bone@{PUBLIC}"))["messages"]) == 1
    assert (await listed(site, f"tag@{PUBLIC}"))["messages"] == []


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "@",
        f"@{PUBLIC}",
        "x@",
        "ada@sealpost.test",
        "x@elsewhere.test",
        f"postmaster@{PUBLIC}",
        f"admin@{PUBLIC}",
        f"a b@{PUBLIC}",
        f"a%00b@{PUBLIC}",
        f"a%E2%80%AEb@{PUBLIC}",
        f".a@{PUBLIC}",
        f"a..b@{PUBLIC}",
        "%22" + "a" * 100 + f"%22@{PUBLIC}",
        "a" * 65 + f"@{PUBLIC}",
        "a" * 10_000 + f"@{PUBLIC}",
        "x@" + "a." * 130 + "test",
        "x@[127.0.0.1]",
        f"x@{PUBLIC}.",
        f"x@.{PUBLIC}",
    ],
)
async def test_what_is_no_public_address_is_nowhere_and_nothing_of_it_comes_back(site: Site, path: str) -> None:
    for suffix in ("/messages", "/events", f"/messages/{'0' * 32}/raw"):
        answer = await site.client.get(f"/v1/public/{path}{suffix}")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_public")
        assert answer.json()["detail"] == "There is no public inbox at this address."


@pytest.mark.parametrize("local", ["a%0D%0Ab", "%FF%FE", "%ED%A0%80", "%EF%BF%BD"])
async def test_what_is_no_text_is_no_path(site: Site, local: str) -> None:
    answer = await site.client.get(f"/v1/public/{local}@{PUBLIC}/messages")
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_such_path")


async def test_pages_follow_each_other_and_cursors_are_ours(site: Site) -> None:
    sent = [await site.deliver(f"pages@{PUBLIC}") for _ in range(5)]
    seen, cursor = [], ""
    while True:
        suffix = f"&cursor={cursor}" if cursor else ""
        page = (await site.client.get(f"/v1/public/pages@{PUBLIC}/messages?limit=2{suffix}")).json()
        seen += [entry["id"] for entry in page["messages"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(sent)
    for wrong, status, reason in (
        ("cursor=x", 400, "cursor"),
        ("cursor=" + "A" * 500, 422, "fields"),
        ("limit=0", 422, "fields"),
        ("limit=201", 422, "fields"),
        ("limit=1e3", 422, "fields"),
        ("limit=" + "9" * 5000, 422, "fields"),
    ):
        answer = await site.client.get(f"/v1/public/pages@{PUBLIC}/messages?{wrong}")
        assert (answer.status_code, answer.json()["reason"]) == (status, reason), wrong


async def test_a_public_mail_says_when_it_goes_and_goes_when_anybody_says_so(site: Site) -> None:
    path = f"/v1/public/gone@{PUBLIC}/messages"
    message_id = await site.deliver(f"gone@{PUBLIC}")
    page = (await site.client.get(path)).json()
    assert "everybody" in page["notice"] and page["messages"][0]["expires"] is not None
    assert (await site.client.delete(f"{path}/{message_id}")).status_code == 204
    for again in (await site.client.delete(f"{path}/{message_id}"), await site.client.get(f"{path}/{message_id}")):
        assert (again.status_code, again.json()["reason"]) == (404, "message")
    for malformed in ("x", "0" * 31, "0" * 33, "G" * 32):
        answer = await site.client.get(f"{path}/{malformed}")
        assert (answer.status_code, answer.json()["reason"]) == (400, "id")


async def test_a_mail_of_another_inbox_is_not_opened(site: Site) -> None:
    ada = await site.sign_up("ada")
    private, public = await site.deliver(ada.address), await site.deliver(f"theirs@{PUBLIC}")
    for message_id in (private, public):
        for suffix in ("", "/raw", "/readers"):
            answer = await site.client.get(f"/v1/public/mine@{PUBLIC}/messages/{message_id}{suffix}")
            assert (answer.status_code, answer.json()["reason"]) == (404, "message")


async def test_a_raw_mail_is_never_shown_by_a_browser(site: Site) -> None:
    html = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script>"
    message_id = await site.deliver(f"html@{PUBLIC}", html)
    raw = await site.client.get(f"/v1/public/html@{PUBLIC}/messages/{message_id}/raw")
    assert raw.content == html
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"] == f'attachment; filename="{message_id}.eml"'
    assert (
        raw.headers["x-content-type-options"] == "nosniff"
        and "default-src 'none'" in raw.headers["content-security-policy"]
    )


async def test_a_large_mail_is_opened_whole(site: Site) -> None:
    letter = b"Subject: large\r\n\r\n" + bytes(range(256)) * 20_000
    message_id = await site.deliver(f"large@{PUBLIC}", letter)
    path = f"/v1/public/large@{PUBLIC}/messages/{message_id}/raw"
    answers = await asyncio.gather(*(site.client.get(path) for _ in range(4)))
    assert all(answer.content == letter for answer in answers)
