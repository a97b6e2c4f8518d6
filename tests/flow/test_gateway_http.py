"""The gateway as a server of HTTP/1.1: what a socket sees, whatever is sent into it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.gateway import Site
from tests.support.gateway_wire import BODY, HOST, INFO, KDF, closed, impatient_site, statuses, talk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site with a small page and short patience."""
    async with impatient_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def test_an_answer_and_the_end(site: Site) -> None:
    received = await talk(site, closed(INFO))
    assert statuses(received) == [200]
    assert b"\r\nserver:" not in received.lower() and b"uvicorn" not in received.lower()


async def test_a_connection_is_kept_and_requests_follow_each_other(site: Site) -> None:
    received = await talk(site, INFO + b"\r\n", closed(INFO), pause=0.05)
    assert statuses(received) == [200, 200]


async def test_pipelined_requests_are_answered_in_order_and_only_so_many(site: Site) -> None:
    received = await talk(site, (INFO + b"\r\n") * 3 + closed(b"GET /v1/nothing HTTP/1.1\r\n" + HOST))
    assert statuses(received) == [200, 200, 200, 404]
    crowd = await talk(site, (INFO + b"\r\n") * 5000)
    assert len(statuses(crowd)) < 50


async def test_http_1_0_is_answered_and_closed(site: Site) -> None:
    assert statuses(await talk(site, b"GET /v1/info HTTP/1.0\r\n\r\n")) == [200]


async def test_a_header_has_a_size_and_a_number_of_fields(site: Site) -> None:
    for huge in (
        INFO + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        INFO + b"X: y\r\n" * 101 + b"\r\n",
    ):
        received = await talk(site, huge)
        assert statuses(received) == [431]
        assert b"headers_too_large" in received
    assert statuses(await talk(site, INFO + b"X: " + b"a" * 20_000 + b"\r\nConnection: close\r\n\r\n")) == [200]


async def test_an_endless_header_line_is_cut_off(site: Site) -> None:
    async def endless() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        sent = 0
        writer.write(INFO + b"X: ")
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000 and not reader.at_eof():
                writer.write(b"a" * 65536)
                await writer.drain()
                sent += 65536
        writer.close()
        return sent

    assert await endless() < 20_000_000


async def test_a_header_that_never_ends_has_its_time(site: Site) -> None:
    began = time.monotonic()
    received = await talk(site, INFO, wait=5)
    assert statuses(received) == [408]
    assert time.monotonic() - began < 3
    # A byte now and then does not extend it.
    began = time.monotonic()
    await talk(site, *[b"X"] * 12, pause=0.1, wait=5)
    assert time.monotonic() - began < 3


async def test_connections_that_say_nothing_are_closed_silently(site: Site) -> None:
    began = time.monotonic()
    assert await talk(site, wait=5) == b""
    assert await talk(site, b"\r\n\r\n", wait=5) == b""
    assert time.monotonic() - began < 4


async def test_stray_line_ends_after_an_answer_do_not_keep_a_connection(site: Site) -> None:
    began = time.monotonic()
    received = await talk(site, INFO + b"\r\n", b"\r\n", pause=0.2, wait=6)
    assert statuses(received) == [200]
    assert time.monotonic() - began < 4


async def test_100_continue(site: Site) -> None:
    request = KDF + b"Content-Length: 31\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    received = await talk(site, request, BODY, pause=0.1)
    assert statuses(received) == [100, 200]
    refused = await talk(site, KDF + b"Content-Length: 9999999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    assert statuses(refused) == [413]


async def test_head_is_get_without_the_body(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url) as client:
        for path in ("/", "/assets/main-abc.js", "/v1/info", "/openapi.json", "/.well-known/openpgpkey/policy"):
            whole, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b""), path
            assert head.headers["content-length"] == whole.headers["content-length"], path
            assert head.headers["content-type"] == whole.headers["content-type"], path
        missing = await client.head("/assets/missing.js")
        assert (missing.status_code, missing.content) == (404, b"")
        refused = await client.head("/v1/public/a@public.sealpost.test/events")
        assert refused.status_code == 405 and "GET" in refused.headers["allow"]


async def test_ranges_are_ignored_as_a_server_may(site: Site) -> None:
    for value in ("bytes=0-10", "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(2000)), "bytes=9-1", "x"):
        answer = await site.client.get("/assets/main-abc.js", headers={"range": value})
        assert (answer.status_code, len(answer.content)) == (200, 4000)


async def test_other_methods_are_refused_and_told_which_there_are(site: Site) -> None:
    for method, path, allowed in (
        ("GET", "/v1/kdf", {"POST"}),
        ("PATCH", "/v1/session", {"DELETE", "GET", "POST"}),
        ("OPTIONS", "/v1/info", {"GET"}),
        ("TRACE", "/v1/info", {"GET"}),
        ("DELETE", "/", {"GET", "HEAD"}),
    ):
        answer = await site.client.request(method, path)
        assert answer.status_code == 405, (method, path)
        assert set(answer.headers["allow"].split(", ")) == allowed
        assert answer.json()["reason"] == "method"


async def test_a_websocket_is_not_opened(site: Site) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    request = INFO + upgrade + b"Sec-WebSocket-Version: 13\r\n\r\n"
    began = time.monotonic()
    received = await talk(site, request + closed(INFO), wait=5)
    assert statuses(received) == [200] and b"connection: close" in received
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("host", [b"[", b"[::1", b"a b", b"\xff", b"", b"mail.test:99999", b"a@b", b"//x"])
async def test_a_strange_host_or_origin_is_no_fault(site: Site, host: bytes) -> None:
    name = b"y" * 32
    request = b"GET /.well-known/openpgpkey/hu/" + name + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    assert statuses(await talk(site, closed(request))) == [404]
    strange = b"POST /v1/kdf HTTP/1.1\r\nHost: " + host + b"\r\nOrigin: http://" + host
    assert statuses(await talk(site, strange + b"[\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) == [403]
