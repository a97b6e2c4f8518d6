"""Live streams and large bodies over a real socket: what is held for them, and that it is given back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.http.admission import Admission
from services.gateway.http.bodies import Bodies
from services.gateway.http.limits import Limits
from tests.support.gateway import PUBLIC, Member, Site, b64, running_site

INBOX = f"/v1/public/hello@{PUBLIC}"
QUICK: dict[str, Any] = {"heartbeat": timedelta(seconds=0.2), "stream_check": timedelta(seconds=0.5)}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose streams look about quickly."""
    async with running_site(tmp_path, **QUICK, streams_per_client=5) as running:
        yield running


class Stream:
    """One open stream of events."""

    def __init__(self, site: Site, path: str, headers: dict[str, str] | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=site.url, timeout=10, verify=False)  # noqa: S501 - no TLS here
        self._context = self._client.stream("GET", path, headers=headers)

    async def __aenter__(self) -> Stream:
        self.response = await self._context.__aenter__()
        self._lines = self.response.aiter_lines()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._context.__aexit__(None, None, None)
        await self._client.aclose()

    async def until(self, start: str) -> str:
        """Return the next line that begins with `start`; fails at the end of the stream."""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith(start):
                    return line
        raise AssertionError(f"the stream ended before {start!r}")

    async def ended(self) -> None:
        """Return when the stream has ended, which it must soon."""
        async with asyncio.timeout(5):
            async for _ in self._lines:
                pass


def limits_of(site: Site) -> Limits:
    return site.app.limits


def bodies_of(site: Site) -> Bodies:
    bodies: Bodies = site.app.app.state.bodies
    return bodies


async def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Return when `holds` does; fail if it takes too long."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def at_rest(site: Site) -> bool:
    return len(site.hub) == 0 and len(limits_of(site).streams) == 0


async def test_a_stream_tells_of_mail_with_an_opaque_id_and_nothing_else(site: Site) -> None:
    async with Stream(site, f"{INBOX}/events") as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        assert "content-encoding" not in stream.response.headers
        assert 1000 <= int((await stream.until("retry:")).removeprefix("retry:")) <= 5000
        await stream.until(": connected")
        message_id = await site.deliver(f"hello@{PUBLIC}")
        assert await stream.until("event:") == "event: stored"
        assert await stream.until("data:") == f'data: {{"id": "{message_id}", "folder": "inbox"}}'
        await stream.until(": alive")
    await eventually(lambda: at_rest(site))


async def test_a_gap_ends_the_stream_after_saying_so(site: Site) -> None:
    async with Stream(site, f"{INBOX}/events") as stream:
        await stream.until(": connected")
        await site.hub.on_gap()
        assert await stream.until("event:") == "event: resync"
        await stream.ended()
    await eventually(lambda: at_rest(site))


async def test_a_client_has_so_many_streams_and_gets_them_back(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            stream = await stack.enter_async_context(Stream(site, f"{INBOX}/events"))
            await stream.until(": connected")
        refused = await site.client.get(f"{INBOX}/events")
        assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_at_once")
        assert int(refused.headers["retry-after"]) >= 1
    await eventually(lambda: at_rest(site))
    async with Stream(site, f"{INBOX}/events") as stream:
        assert stream.response.status_code == 200


async def test_a_place_is_given_back_however_a_client_vanishes(site: Site) -> None:
    request = f"GET {INBOX}/events HTTP/1.1\r\nHost: mail.test\r\n\r\n".encode()
    for round_trip in range(20):
        raw = socket.create_connection(("127.0.0.1", site.port))
        raw.sendall(request)
        if round_trip % 2:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        # At every stage: before the request is read, while it is looked up, in the middle of the stream.
        await asyncio.sleep(0.003 * round_trip)
        raw.close()
    await eventually(lambda: at_rest(site))


async def test_hundreds_of_streams(tmp_path: Path) -> None:
    async with running_site(tmp_path, streams_per_client=1000, connections_per_client=1000) as site:
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(Stream(site, f"{INBOX}/events")) for _ in range(300)]
            await eventually(lambda: len(site.hub) == 300)
            message_id = await site.deliver(f"hello@{PUBLIC}")
            assert all(message_id in line for line in [await stream.until("data:") for stream in streams])
        await eventually(lambda: at_rest(site))


async def test_signing_out_ends_the_streams_of_the_session(site: Site) -> None:
    ada = await site.sign_up("ada")
    async with Stream(site, "/v1/events", ada.cookie) as stream:
        await stream.until(": connected")
        # Looking whether the session still lives, again and again, must not end it - nor keep it alive.
        for _ in range(5):
            await stream.until(": alive")
        assert (await site.client.delete("/v1/session", headers=ada.cookie)).status_code == 204
        await stream.ended()
    await eventually(lambda: at_rest(site))


async def test_signing_out_everywhere_ends_streams_and_those_of_keys_go_on_until_they_are_revoked(site: Site) -> None:
    ada = await site.sign_up("ada")
    form = {"kind": "api_key", "label": "reader", "scopes": ["mail:read"]}
    made = (await site.client.post("/v1/credentials", json=form, headers=ada.cookie)).json()
    bearer = {"authorization": f"Bearer {made['secret']}"}
    async with Stream(site, "/v1/events", ada.cookie) as stream, Stream(site, "/v1/events", bearer) as keys:
        await stream.until(": connected")
        assert (await site.client.delete("/v1/sessions", headers=ada.cookie)).status_code == 204
        await stream.ended()
        message_id = await site.deliver(ada.address)
        assert message_id in await keys.until("data:")
        again = await _sign_in(site, ada)
        revoked = await site.client.delete(f"/v1/credentials/{made['credential']['id']}", headers=again)
        assert revoked.status_code == 204
        await keys.ended()


async def _sign_in(site: Site, member: Member) -> dict[str, str]:
    form = {"address": member.address, "authentication_key": b64(member.authentication_key)}
    answer = await site.client.post("/v1/session", json=form)
    assert answer.status_code == 200, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


@contextlib.contextmanager
def deaf(site: Site, path: str, headers: str = "") -> Iterator[socket.socket]:
    """Give a connection that has asked for `path` and will not read."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", site.port))
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: mail.test\r\n{headers}\r\n".encode())
        yield raw


async def test_stopping_ends_streams_at_once_also_those_that_nobody_reads(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(running_site(tmp_path))
        streams = [await stack.enter_async_context(Stream(site, f"{INBOX}/events")) for _ in range(15)]
        for _ in range(3):
            stack.enter_context(deaf(site, f"{INBOX}/events"))
        await eventually(lambda: len(site.hub) == 18)
        began = time.monotonic()
        await site.stack.aclose()
        assert time.monotonic() - began < 4
        for stream in streams:
            await stream.ended()


async def test_a_large_public_mail_nobody_takes_does_not_fill_the_memory(tmp_path: Path) -> None:
    size = 8_000_000
    async with running_site(tmp_path, downloads_per_client=4, body_memory_bytes=96 * 1024 * 1024) as site:
        message_id = await site.deliver(f"hello@{PUBLIC}", b"Subject: big\r\n\r\n" + b"x" * size)
        path = f"{INBOX}/messages/{message_id}/raw"
        admission, downloads = bodies_of(site).admission, limits_of(site).downloads
        with contextlib.ExitStack() as readers:
            for _ in range(4):
                readers.enter_context(deaf(site, path))
            await eventually(lambda: 4 * size <= admission.held <= 5 * size, 30)
            refused = await site.client.get(path)
            assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_at_once")
        await eventually(lambda: admission.held == 0 and len(downloads) == 0)
        assert len((await site.client.get(path)).content) == size + 16


async def test_a_sealed_body_is_read_no_faster_than_it_is_taken(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        ada = await site.sign_up("ada")
        message_id = await site.deliver(ada.address, b"Subject: big\r\n\r\n" + b"x" * 12_000_000)
        bodies = bodies_of(site)
        with deaf(site, f"/v1/messages/{message_id}/body", f"Cookie: {ada.cookie['cookie']}\r\n"):
            await eventually(lambda: bodies.admission.held > 0)
            await asyncio.sleep(0.5)
            assert bodies.admission.held <= 1024 * 1024
        await eventually(lambda: bodies.admission.held == 0 and len(limits_of(site).downloads) == 0)
        whole = await site.client.get(f"/v1/messages/{message_id}/body", headers=ada.cookie)
        assert len(whole.content) == int(whole.headers["content-length"]) > 12_000_000


async def test_room_is_given_in_order_and_given_back_by_those_who_leave() -> None:
    admission = Admission(100, wait_seconds=0.2)
    order: list[str] = []

    async def take(name: str, weight: int, seconds: float) -> None:
        async with admission.hold(weight):
            order.append(name)
            await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take("first", 90, 0.05))
        await asyncio.sleep(0)
        tasks.create_task(take("large", 100, 0.05))
        await asyncio.sleep(0)
        tasks.create_task(take("small", 5, 0))
    assert order == ["first", "large", "small"]
    assert admission.held == 0
    async with admission.hold(1000) as all_of_it:
        late = asyncio.create_task(take("late", 50, 0))
        gone = asyncio.create_task(take("gone", 50, 0))
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(Exception, match="busy"):
            await late
        with pytest.raises(asyncio.CancelledError):
            await gone
        all_of_it.shrink(40)
        async with admission.hold(60):
            assert admission.held == 100
    assert admission.held == 0
