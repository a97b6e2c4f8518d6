"""The side door answers three pages, to anybody, in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
import pytest

from libs.runtime.health import Health
from libs.runtime.probes import Probes
from libs.telemetry.logs import get_logger
from tests.support.clock import ManualClock


@pytest.fixture
def health() -> Health:
    return Health(ManualClock(), get_logger("test"))


@pytest.fixture
async def probes(health: Health) -> AsyncIterator[Probes]:
    async with Probes("127.0.0.1", 0, health) as made:
        yield made


@pytest.fixture
async def client(probes: Probes) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{probes.port}", trust_env=False) as made:
        yield made


@asynccontextmanager
async def connected(probes: Probes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", probes.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def talk(probes: Probes, request: bytes) -> bytes:
    async with connected(probes) as (reader, writer):
        writer.write(request)
        return await reader.read()


async def test_alive(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez")
    assert (answer.status_code, answer.text) == (200, "alive\n")


async def test_ready_is_what_health_says(client: httpx.AsyncClient, health: Health) -> None:
    async def failing() -> bool:
        return False

    assert (await client.get("/readyz")).status_code == 503
    health.started()
    assert (await client.get("/readyz")).text == "ready\n"
    health.add("store", failing)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\nstore failing\n")


async def test_metrics_are_an_exposition(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# HELP sealpost_log_lines_total" in answer.text


async def test_head_has_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/livez")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "6", b"")


async def test_a_query_changes_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez?verbose=1")).status_code == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /secrets HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"GET /livez\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"400"),
    ],
    ids=["unknown", "path", "post", "no version", "empty", "tls", "long"],
)
async def test_everything_else_is_refused(probes: Probes, request_bytes: bytes, status: bytes) -> None:
    assert (await talk(probes, request_bytes)).split(b" ")[1] == status


async def test_connections_are_bounded_and_come_free_again(probes: Probes) -> None:
    async with AsyncExitStack() as idle:
        for _ in range(32):
            await idle.enter_async_context(connected(probes))
        await asyncio.sleep(0.05)
        with pytest.raises((ConnectionError, AssertionError)):
            assert await talk(probes, b"GET /livez HTTP/1.1\r\n\r\n")
    await asyncio.sleep(0.05)
    assert (await talk(probes, b"GET /livez HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_who_says_nothing_is_cut_off(health: Health) -> None:
    async with Probes("127.0.0.1", 0, health, seconds=0.05) as probes, connected(probes) as (reader, _):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_closing_ends_open_connections(health: Health) -> None:
    async with AsyncExitStack() as stack:
        async with Probes("127.0.0.1", 0, health) as probes:
            reader, _ = await stack.enter_async_context(connected(probes))
            await asyncio.sleep(0.05)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_a_taken_port_is_an_error(probes: Probes, health: Health) -> None:
    with pytest.raises(OSError, match="address"):
        async with Probes("127.0.0.1", probes.port, health):
            pytest.fail("two listeners on one port")
