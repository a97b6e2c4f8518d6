"""Fetching from hosts that strangers name, against a real HTTPS server and a real DNS server of the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from libs.net.http import Fetched, GuardedHttp
from libs.runtime.errors import InvalidError, UnavailableError
from tests.support.dns import serve_dns
from tests.support.https import Answer, Asked, HttpsServer, reply, serve_https

HOST = "hooks.example"
HERE: Mapping[tuple[str, str], Sequence[str]] = {(HOST, "A"): ["127.0.0.1"]}


class Site:
    """A server and a client that may reach it."""

    def __init__(self, server: HttpsServer, client: GuardedHttp, asked_names: list[tuple[str, str]]) -> None:
        self.server, self.client, self.asked_names = server, client, asked_names

    def url(self, host: str = HOST, path: str = "/") -> str:
        return f"https://{host}:{self.server.port}{path}"

    async def fetch(self, **options: object) -> Fetched:
        return await self.client.fetch("GET", self.url(), **options)  # type: ignore[arg-type]


@asynccontextmanager
async def site(
    tmp_path: Path,
    answer: Answer,
    *,
    zone: Mapping[tuple[str, str], Sequence[str]] = HERE,
    hosts: Sequence[str] = (HOST,),
    allowed: Sequence[str] = ("127.0.0.1/32",),
    trusted: bool = True,
) -> AsyncIterator[Site]:
    with serve_dns(zone) as names:
        async with (
            serve_https(tmp_path, hosts, answer, trusted=trusted) as server,
            GuardedHttp(
                resolvers=[names.address], allowed_networks=allowed, ports=(server.port,), ca_file=server.ca_file
            ) as client,
        ):
            yield Site(server, client, names.asked)


async def test_it_posts_and_reads_the_answer(tmp_path: Path) -> None:
    async with site(tmp_path, reply(202, b"taken", {"X-Twice": "a", "x-twice": "b"})) as here:
        answer = await here.client.fetch(
            "POST", here.url(path="/hook?x=1"), headers={"Content-Type": "application/json"}, content=b"{}"
        )
        assert (answer.status, answer.body) == (202, b"taken")
        assert answer.headers["x-twice"] == "a, b"
        (asked,) = here.server.asked
        assert (asked.method, asked.path, asked.body) == ("POST", "/hook?x=1", b"{}")
        assert asked.headers["host"] == f"{HOST}:{here.server.port}"
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers["user-agent"] == "sealpost"


async def test_connections_are_kept(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200, b"x")) as here:
        for _ in range(3):
            await here.fetch()
        assert here.server.connections == 1


async def test_a_redirect_is_an_answer(tmp_path: Path) -> None:
    async with site(tmp_path, reply(302, b"", {"Location": "https://127.0.0.1/"})) as here:
        answer = await here.fetch()
        assert (answer.status, answer.headers["location"]) == (302, "https://127.0.0.1/")
        assert len(here.server.asked) == 1


@pytest.mark.parametrize(
    "records",
    [
        {(HOST, "A"): ["127.0.0.2"]},
        {(HOST, "A"): ["169.254.169.254"]},
        {(HOST, "A"): ["127.0.0.1", "10.0.0.1"]},
        {(HOST, "A"): ["127.0.0.1"], (HOST, "AAAA"): ["::1"]},
        {(HOST, "A"): ["127.0.0.1"], (HOST, "AAAA"): ["::ffff:127.0.0.2"]},
        {(HOST, "AAAA"): ["fe80::1"]},
        {(HOST, "AAAA"): ["64:ff9b::7f00:2"]},
    ],
)
async def test_one_address_that_is_not_public_refuses_all(
    tmp_path: Path, records: Mapping[tuple[str, str], Sequence[str]]
) -> None:
    async with site(tmp_path, reply(200), zone=records) as here:
        with pytest.raises(InvalidError, match="url_refused"):
            await here.fetch()
        assert here.server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "127。0。0。1"])
async def test_addresses_in_urls_are_judged_too(tmp_path: Path, host: str) -> None:
    async with site(tmp_path, reply(200), allowed=()) as here:
        with pytest.raises(InvalidError, match="url_refused"):
            await here.client.fetch("GET", here.url(host))
        assert here.server.connections == 0


async def test_an_address_that_is_allowed_is_asked_with_its_own_certificate(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200, b"x"), hosts=("127.0.0.1",)) as here:
        assert (await here.client.fetch("GET", here.url("127.0.0.1"))).body == b"x"


async def test_a_host_is_looked_up_once_for_a_connection(tmp_path: Path) -> None:
    """A name whose second answer is another one (DNS rebinding) gets no chance to give it."""

    async def closing(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    zone = {(HOST, "A"): ["127.0.0.1"]}
    with serve_dns(zone) as names:
        async with (
            serve_https(tmp_path, [HOST], closing) as server,
            GuardedHttp(
                resolvers=[names.address],
                allowed_networks=["127.0.0.1/32"],
                ports=(server.port,),
                ca_file=server.ca_file,
            ) as client,
        ):
            url = f"https://{HOST}:{server.port}/"
            assert (await client.fetch("GET", url)).status == 200
            assert sorted(names.asked) == [(f"{HOST}.", "A"), (f"{HOST}.", "AAAA")]
            names.zone[f"{HOST}.", "A"] = ["127.0.0.2"]
            with pytest.raises(InvalidError, match="url_refused"):
                await client.fetch("GET", url)
            assert server.connections == 1


@pytest.mark.parametrize("records", [{}, {(HOST, "MX"): ["10 mx.example."]}])
async def test_a_host_without_addresses_is_unreachable(
    tmp_path: Path, records: Mapping[tuple[str, str], Sequence[str]]
) -> None:
    async with site(tmp_path, reply(200), zone=records) as here:
        with pytest.raises(UnavailableError, match="unreachable"):
            await here.fetch()


async def test_a_port_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    with serve_dns(HERE) as names:
        async with GuardedHttp(resolvers=[names.address], allowed_networks=["127.0.0.1/32"], ports=(1,)) as client:
            with pytest.raises(UnavailableError, match="unreachable"):
                await client.fetch("GET", f"https://{HOST}:1/")


async def test_the_next_address_is_tried(tmp_path: Path) -> None:
    zone = {(HOST, "A"): ["127.0.0.1"], (HOST, "AAAA"): ["::1"]}
    async with site(tmp_path, reply(200, b"x"), zone=zone, allowed=("127.0.0.1/32", "::1/128")) as here:
        assert (await here.fetch()).body == b"x"


async def test_strange_authorities_are_not_trusted(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200), trusted=False) as here:
        with pytest.raises(UnavailableError, match="tls"):
            await here.fetch()
        assert not here.server.asked


async def test_certificates_for_other_hosts_are_not_taken(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200), hosts=("other.example", "127.0.0.1")) as here:
        with pytest.raises(UnavailableError, match="tls"):
            await here.fetch()
        assert not here.server.asked


async def test_bodies_are_bounded_by_what_they_announce(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200, b"x" * 1001)) as here:
        with pytest.raises(UnavailableError, match="too_large"):
            await here.fetch(max_bytes=1000)


async def test_bodies_without_an_end_are_cut_off(tmp_path: Path) -> None:
    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    async with site(tmp_path, endless) as here:
        with pytest.raises(UnavailableError, match="too_large"):
            await here.fetch(max_bytes=100_000)


async def test_headers_without_an_end_are_cut_off(tmp_path: Path) -> None:
    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Header: " + b"x" * 1024 + b"\r\n")
            await writer.drain()

    async with site(tmp_path, endless) as here:
        with pytest.raises(UnavailableError, match="unreachable"):
            await here.fetch()


async def test_a_body_that_drips_runs_into_the_deadline(tmp_path: Path) -> None:
    async def dripping(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with site(tmp_path, dripping) as here:
        begun = monotonic()
        with pytest.raises(UnavailableError, match="deadline"):
            await here.fetch(seconds=0.5)
        assert monotonic() - begun < 5


async def test_silence_runs_into_the_deadline(tmp_path: Path) -> None:
    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with site(tmp_path, silent) as here:
        with pytest.raises(UnavailableError, match="deadline"):
            await here.fetch(seconds=0.3)


async def test_answers_that_are_not_http_are_unreachable(tmp_path: Path) -> None:
    async def rude(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with site(tmp_path, rude) as here:
        with pytest.raises(UnavailableError, match="unreachable"):
            await here.fetch()


async def test_a_body_that_breaks_off_is_no_answer(tmp_path: Path) -> None:
    async def broken(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with site(tmp_path, broken) as here:
        with pytest.raises(UnavailableError, match="unreachable"):
            await here.fetch()


async def test_compressed_bodies_are_bytes_as_they_came(tmp_path: Path) -> None:
    async with site(tmp_path, reply(200, b"\x1f\x8b...", {"Content-Encoding": "gzip"})) as here:
        assert (await here.fetch()).body == b"\x1f\x8b..."
        assert here.server.asked[0].headers["accept-encoding"] == "identity"
