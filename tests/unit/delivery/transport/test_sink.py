"""Mail through a mail server that we did not write: Postfix's smtp-sink."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.delivery.domain.model import Result
from tests.support.tools import require_tool
from tests.unit.delivery.transport.site import FakeSettings, Site, make_site, zone_for


@asynccontextmanager
async def sinking(*options: str) -> AsyncIterator[Site]:
    """Run smtp-sink with `options` as the server of remote.test."""
    program = require_tool("smtp-sink")
    probe = await asyncio.start_server(lambda reader, writer: None, "127.0.0.2", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    # It does not want to be root; to the files of tests it makes no difference, for it writes none.
    as_root = ("-u", "root") if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        program,
        *as_root,
        *options,
        f"127.0.0.2:{port}",
        "100",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await _listening(port)
        settings = FakeSettings(mx_port=port)
        async with make_site(servers=(), zone=zone_for("127.0.0.2"), settings=settings) as site:
            yield site
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.2", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


# -e: no EHLO; -p: no PIPELINING; -8: no 8BITMIME; -h: the name it says.
@pytest.mark.parametrize("options", [(), ("-p",), ("-e",), ("-8",)], ids=" ".join)
async def test_many_mails_reach_it(options: tuple[str, ...]) -> None:
    async with sinking(*options) as site:
        outcomes = await asyncio.gather(*(site.send(f"a{i}@remote.test", f"b{i}@remote.test") for i in range(60)))
    assert {one.result for pair in outcomes for one in pair} == {Result.DELIVERED}


# -f: 5xx at the command; -r: 4xx; -q: drops; -Q: 421 and drops.
@pytest.mark.parametrize(
    ("options", "result"),
    [
        (("-f", "RCPT"), Result.PERMANENT),
        (("-f", "."), Result.PERMANENT),
        (("-r", "MAIL"), Result.TEMPORARY),
        (("-r", "."), Result.TEMPORARY),
        (("-q", "DATA"), Result.TEMPORARY),
        (("-q", "RCPT"), Result.TEMPORARY),
        (("-Q", "."), Result.TEMPORARY),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_what_it_refuses_is_refused(options: tuple[str, ...], result: Result) -> None:
    async with sinking(*options) as site:
        outcome = await site.send_one()
    assert outcome.result is result
