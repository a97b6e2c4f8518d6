"""Where the gateway listens, whom it takes for whom, and how many connections it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from pathlib import Path

import pytest

from services.gateway.http.serve import allow_open_files, listen
from tests.support.gateway import Site, running_site

INFO = b"GET /v1/info HTTP/1.1\r\nHost: mail.test\r\n\r\n"


def needs_ipv6() -> None:
    """Skip where the machine has no IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")


async def status_of(host: str, port: int, request: bytes = INFO) -> int:
    """Return the status of the answer; 0 where the connection ends without one."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            async with asyncio.timeout(5):
                line = await reader.readline()
            return int(line.split()[1]) if line else 0
        return 0
    finally:
        writer.close()


async def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    needs_ipv6()
    async with running_site(tmp_path, http_address="[::1]:0", public_per_minute=2) as site:
        assert site.url.startswith("http://[::1]:")
        assert (await site.client.get("/v1/info")).status_code == 200
        # The Origin of a page at a literal address has brackets too.
        assert (await site.client.post("/v1/kdf", json={"address": "ada@sealpost.test"})).status_code == 200


async def test_any_address_means_both_kinds_and_one_client_is_one(tmp_path: Path) -> None:
    needs_ipv6()
    async with running_site(
        tmp_path, http_address="[::]:0", trusted_proxies=("127.0.0.1",), public_per_minute=1
    ) as site:
        for host in ("::1", "127.0.0.1"):
            assert await status_of(host, site.port) == 200
        # 127.0.0.1 arrives as ::ffff:127.0.0.1, and is the trusted proxy all the same.
        path = b"GET /v1/public/a@public.sealpost.test/messages HTTP/1.1\r\nHost: m\r\nX-Forwarded-For: %b\r\n\r\n"
        assert await status_of("127.0.0.1", site.port, path % b"192.0.2.1") == 200
        assert await status_of("127.0.0.1", site.port, path % b"192.0.2.1") == 429
        assert await status_of("127.0.0.1", site.port, path % b"192.0.2.2") == 200


async def test_without_trusted_proxies_nobody_chooses_his_own_address(tmp_path: Path) -> None:
    async with running_site(tmp_path, public_per_minute=3) as site:
        path = "/v1/public/a@public.sealpost.test/messages"
        answers = [
            (await site.client.get(path, headers={"x-forwarded-for": f"192.0.2.{n}", "forwarded": f"for=192.0.2.{n}"}))
            for n in range(5)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]


async def test_a_client_has_so_many_connections(tmp_path: Path) -> None:
    async with running_site(tmp_path, connections_per_client=5) as site, contextlib.AsyncExitStack() as stack:
        await site.client.aclose()
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        stack.callback(writer.close)
        received = await reader.read()
        assert received.startswith(b"HTTP/1.1 429 ") and b"content-security-policy" in received
        assert b"retry-after: 5" in received and b"too_many_at_once" in received
        await stack.aclose()
        await _eventually(site, 200)


async def test_there_are_so_many_connections_in_all(tmp_path: Path) -> None:
    async with running_site(tmp_path, max_connections=5) as site, contextlib.AsyncExitStack() as stack:
        await site.client.aclose()
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
        await asyncio.sleep(0.05)
        assert await status_of("127.0.0.1", site.port) in (503, 0)
        await stack.aclose()
        await _eventually(site, 200)


async def _eventually(site: Site, status: int) -> None:
    async with asyncio.timeout(5):
        while await status_of("127.0.0.1", site.port) != status:  # noqa: ASYNC110 - a refusal is no event here
            await asyncio.sleep(0.05)


async def test_a_trusted_proxy_may_have_any_number(tmp_path: Path) -> None:
    running = running_site(tmp_path, connections_per_client=3, trusted_proxies=("127.0.0.0/8",))
    async with running as site, contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stack.callback(writer.close)
        assert (await site.client.get("/v1/info")).status_code == 200


async def test_many_clients_at_once_each_get_their_answer(tmp_path: Path) -> None:
    async with running_site(tmp_path, connections_per_client=1000) as site:
        answers = await asyncio.gather(*(status_of("127.0.0.1", site.port) for _ in range(400)))
        assert set(answers) == {200}


async def test_connections_end_when_the_other_side_takes_nothing() -> None:
    listener = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_open_files_are_allowed_for_and_never_taken_away() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_open_files(400)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400, before[1])
        allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
