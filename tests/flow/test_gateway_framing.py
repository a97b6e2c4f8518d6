"""Where a request ends: what two parsers could read differently, bodies that are too large, too slow or never end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import Site
from tests.support.gateway_wire import BODY, CHUNKED, HOST, INFO, KDF, impatient_site, statuses, talk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site with a small page and short patience."""
    async with impatient_site(tmp_path_factory.mktemp("site")) as running:
        yield running


SMUGGLED = b"GET /v1/nothing HTTP/1.1\r\nHost: mail.test\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        KDF + b"Content-Length: 31\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        KDF + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        KDF + b"Content-Length: 31\r\nContent-Length: 0\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: 31\r\nContent-Length: 31\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: 31, 31\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: +31\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: 0x1f\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: 31 31\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length: \xb2\r\n\r\n" + BODY + SMUGGLED,
        KDF + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
        KDF + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        KDF + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        KDF + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        KDF + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        CHUNKED + b"\r\n0x1\r\nZ\r\n0\r\n\r\n" + SMUGGLED,
        CHUNKED + b"\r\n-1\r\nZ\r\n0\r\n\r\n" + SMUGGLED,
        CHUNKED + b"\r\nfffffffffffffffff\r\nZ\r\n0\r\n\r\n" + SMUGGLED,
        CHUNKED + b"\r\n1\r\nZZ\r\n0\r\n\r\n" + SMUGGLED,
        CHUNKED + b"\r\n1\nZ\n0\n\n" + SMUGGLED,
        b"GET /v1/info HTTP/1.1\nHost: mail.test\n\n" + SMUGGLED,
        b"GET /v1/info HTTP/1.1\rHost: mail.test\r\n\r\n" + SMUGGLED,
        INFO + b"X-Fold: a\r\n Content-Length: 5\r\n\r\n" + SMUGGLED,
        INFO + b"X: a\rContent-Length: 5\r\n\r\n" + SMUGGLED,
        INFO + b"X: a\x00b\r\n\r\n" + SMUGGLED,
        INFO + b": nameless\r\n\r\n" + SMUGGLED,
        INFO + HOST + b"\r\n" + SMUGGLED,
        b"GET /v1/info HTTP/1.1\r\n\r\n" + SMUGGLED,
        b"GET /v1/info\r\n" + SMUGGLED,
        b"GET /v1/info HTTP/1.2\r\nHost: mail.test\r\n\r\n" + SMUGGLED,
        b"GET /v1/info HTTP/9.9\r\nHost: mail.test\r\n\r\n" + SMUGGLED,
        b"GET /v1/\xc3\xa4 HTTP/1.1\r\nHost: mail.test\r\n\r\n" + SMUGGLED,
        b"CONNECT mail.test:443 HTTP/1.1\r\nHost: mail.test\r\n\r\n" + SMUGGLED,
        b"GET * HTTP/1.1\r\nHost: mail.test\r\n\r\n" + SMUGGLED,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"EHLO mail.test\r\n",
    ],
)
async def test_what_two_parsers_could_read_differently_is_refused_and_nothing_after_it_is_read(
    site: Site, request_bytes: bytes
) -> None:
    received = await talk(site, request_bytes)
    assert statuses(received) in ([400], []), received[:300]
    assert b"no_such_path" not in received
    if received:
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"content-security-policy" in head and b"connection: close" in head
        assert json.loads(body)["reason"] == "request_malformed"


async def test_a_body_has_its_time(site: Site) -> None:
    received = await talk(site, KDF + b"Content-Length: 31\r\n\r\n" + BODY[:5], wait=8)
    assert statuses(received) == [408]
    assert b"body_late" in received
    # Chunk extensions are no way around it: they are bytes that no body counts.
    began = time.monotonic()
    received = await talk(site, CHUNKED + b"\r\n1;", *[b"x" * 100] * 20, pause=0.05, wait=8)
    # Whoever still sends may miss the answer, but not the end.
    assert statuses(received) in ([408], []) and time.monotonic() - began < 4


@pytest.mark.parametrize("framing", [b"Content-Length: 400000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
async def test_whoever_sends_too_much_gets_to_read_that(site: Site, framing: bytes) -> None:
    payload = b"x" * 400_000
    if b"chunked" in framing:
        payload = b"61a80\r\n" + payload + b"\r\n0\r\n\r\n"
    received = await talk(site, KDF + framing, payload, wait=4)
    assert statuses(received) == [413]
    assert json.loads(received.partition(b"\r\n\r\n")[2])["reason"] == "body_too_large"


@pytest.mark.parametrize(
    "piece", [b"x" * 65536, b"x: y\r\n" * 10_000, b"x: " + b"y" * 65536], ids=["one", "many", "long"]
)
async def test_extensions_and_trailers_without_end_are_cut_off(site: Site, piece: bytes) -> None:
    opening = b"1;" if piece[:2] == b"xx" else b"1\r\n{\r\n0\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(CHUNKED + b"\r\n" + opening)
    sent = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while sent < 50_000_000:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
    writer.close()
    assert sent < 20_000_000


async def test_a_trailer_is_no_header(site: Site) -> None:
    """It comes after the Origin has been looked at: a cookie in it would be one that nobody has checked."""
    ada = await site.sign_up("ada")
    request = CHUNKED.replace(b"/v1/kdf", b"/v1/folders") + b"Connection: close\r\n"
    cookie = b"Cookie: " + ada.cookie["cookie"].encode() + b"\r\n"
    form = b'{"sealed_name":"eA=="}'
    body = b"%x\r\n%b\r\n0\r\n" % (len(form), form)
    assert statuses(await talk(site, request + b"\r\n" + body + cookie + b"\r\n")) == [401]
    origin = b"Origin: http://mail.test\r\n"
    assert statuses(await talk(site, request + cookie + origin + b"\r\n" + body + b"\r\n")) == [201]


async def test_a_body_in_the_smallest_chunks_is_taken(site: Site) -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY + b" " * 200_000) + b"0\r\n\r\n"
    received = await talk(site, CHUNKED + b"Connection: close\r\n\r\n" + body, wait=10)
    assert statuses(received) == [200]


async def test_whoever_goes_on_sending_after_a_refusal_is_cut_off(site: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(KDF + b"Content-Length: 99999999999\r\n\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while sent < 50_000_000:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
    assert sent < 30_000_000
    writer.close()
