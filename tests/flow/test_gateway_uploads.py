"""Whole mails into the gateway: large, slow, broken off, too many."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from libs.docstore.sqlite_schema import connect_reader
from libs.runtime.clock import SystemClock
from libs.runtime.ids import new_message_id
from tests.support.gateway import FRAME, Member, Site, b64, framed, running_site
from tests.support.gateway_wire import statuses, talk

MIB = 1024 * 1024


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, body_timeout=timedelta(seconds=1.5), uploads_per_client=3) as running:
        yield running


def header(to: Member) -> dict[str, str]:
    return {"to": to.address, "id": new_message_id(SystemClock()), "envelope": b64(b"\xc1envelope")}


def head_of(site: Site, sender: Member, length: int) -> bytes:
    fields = FRAME | sender.cookie | {"origin": site.url, "host": f"127.0.0.1:{site.port}"}
    fields["content-length"] = str(length)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /v1/outbox/sealed HTTP/1.1\r\n{lines}\r\n".encode()


async def listed(site: Site, member: Member) -> list[str]:
    found = (await site.client.get("/v1/messages", headers=member.cookie)).raise_for_status().json()
    return [message["id"] for message in found["messages"]]


async def in_pieces(content: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for start in range(0, len(content), MIB // 2):
        yield content[start : start + MIB // 2]
        await asyncio.sleep(pause)


async def test_a_large_mail_passes_as_it_is(site: Site) -> None:
    ada, bob = await site.sign_up("ada"), await site.sign_up("bob")
    body, head = b"\xc1" + secrets.token_bytes(40 * MIB), header(bob)
    answer = await site.client.post(
        "/v1/outbox/sealed", content=in_pieces(framed(head, body)), headers=FRAME | ada.cookie, timeout=120
    )
    assert answer.status_code == 204, answer.text
    assert await listed(site, bob) == [head["id"]]
    read = await site.client.get(f"/v1/messages/{head['id']}/body", headers=bob.cookie, timeout=120)
    assert read.content == body


async def test_what_breaks_off_leaves_nothing(site: Site, tmp_path: Path) -> None:
    ada, bob = await site.sign_up("ada"), await site.sign_up("bob")
    head = header(bob)
    for size in (1000, 3 * MIB):
        content = framed(head, b"\xc1" + secrets.token_bytes(size))
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(head_of(site, ada, len(content) + MIB) + content)
        await writer.drain()
        writer.close()
    # Storage hears of it, and keeps nothing until some sweep.
    async with asyncio.timeout(10):
        while await listed(site, bob) or staged(tmp_path):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    # The same id again is a first time.
    whole = framed(head, b"\xc1" + secrets.token_bytes(2 * MIB))
    answer = await site.client.post("/v1/outbox/sealed", content=whole, headers=FRAME | ada.cookie)
    assert answer.status_code == 204, answer.text
    assert await listed(site, bob) == [head["id"]]
    assert staged(tmp_path) == (1, 9)


def staged(directory: Path) -> tuple[int, int] | None:
    """Return how many bodies and chunks of them storage keeps, None if nothing."""
    (file,) = directory.rglob("storage.db")
    with closing(connect_reader(file)) as connection:
        (bodies,) = connection.execute("SELECT count(*) FROM c_body").fetchone()
        (chunks,) = connection.execute("SELECT count(*) FROM c_chunk").fetchone()
    return (bodies, chunks) if bodies or chunks else None


async def test_whoever_stops_sending_is_told_so(site: Site) -> None:
    ada = await site.sign_up("ada")
    content = framed(header(ada), b"\xc1" + secrets.token_bytes(2 * MIB))
    received = await talk(site, head_of(site, ada, len(content) + 1), content, wait=10)
    assert statuses(received) == [408] and b"body_late" in received
    assert await listed(site, ada) == []


async def test_a_mail_may_take_longer_than_other_requests(site: Site) -> None:
    ada = await site.sign_up("ada")
    content = framed(header(ada), b"\xc1" + secrets.token_bytes(4 * MIB))
    answer = await site.client.post("/v1/outbox/sealed", content=in_pieces(content, 0.4), headers=FRAME | ada.cookie)
    assert answer.status_code == 204, answer.text


async def test_some_at_once_and_no_more(site: Site) -> None:
    ada = await site.sign_up("ada")

    async def bring() -> httpx.Response:
        content = framed(header(ada), b"\xc1" + secrets.token_bytes(2 * MIB))
        return await site.client.post("/v1/outbox/sealed", content=in_pieces(content, 0.3), headers=FRAME | ada.cookie)

    answers = await asyncio.gather(*[bring() for _ in range(6)])
    taken = [answer for answer in answers if answer.status_code == 204]
    assert len(taken) == 3
    assert {json.loads(answer.content)["reason"] for answer in answers if answer not in taken} == {"too_many_at_once"}
    assert len(await listed(site, ada)) == 3
