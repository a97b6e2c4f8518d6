"""TLS from the first byte (RFC 8314): counted before the handshake, bounded in time, with the newest certificate."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import warnings
from pathlib import Path

import pytest

from services.ingest import listener, meters
from tests.support.ingest import Counter, serve_submission, trusting, until
from tests.support.rpc import certificates
from tests.unit.ingest.proofs import sign_in


async def raw(server: Counter, data: bytes) -> bytes:
    """Send `data` in the clear and return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    async with asyncio.timeout(10):
        try:
            answer = await reader.read()
        except ConnectionError:
            answer = b""
    writer.close()
    return answer


@pytest.mark.parametrize(
    "data", [b"EHLO client.example\r\nMAIL FROM:<x@example.com>\r\n", b"\x16\x03\x01\0\x05hello", b"\0" * 600]
)
async def test_what_is_no_handshake_is_hung_up_on(data: bytes) -> None:
    failed = meters.HANDSHAKES.value(outcome="failed")
    async with serve_submission(implicit=True) as server:
        answer = await raw(server, data)
        # An alert of TLS at most, nothing of SMTP.
        assert b"220" not in answer
        assert b"sealpost" not in answer
        await sign_in(server, implicit=True)
    assert meters.HANDSHAKES.value(outcome="failed") == failed + 1


async def test_a_handshake_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_HANDSHAKE_SECONDS", 0.3)
    async with serve_submission(implicit=True) as server:
        assert await raw(server, b"") == b""


async def test_half_open_connections_count() -> None:
    refused, failed = (meters.HANDSHAKES.value(outcome=one) for one in ("refused", "failed"))
    async with serve_submission(implicit=True, max_connections=3) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        # A word would be in the clear: nothing is said.
        assert await raw(server, b"") == b""
        assert meters.HANDSHAKES.value(outcome="refused") == refused + 1
        for _, writer in silent:
            writer.close()
        await until(lambda: meters.HANDSHAKES.value(outcome="failed") == failed + 3)
        await sign_in(server, implicit=True)


async def test_clients_are_counted_as_at_the_mx() -> None:
    async with serve_submission(implicit=True, connections_per_client=2, exempt_networks=()) as server:
        first = await sign_in(server, implicit=True)
        await sign_in(server, implicit=True)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await server.connect(tls=True)
        await first.run("C: QUIT\nS: 221\nS closes")
        await until(lambda: len(server.site.connections) == 1)
        await sign_in(server, implicit=True)


async def test_nothing_to_upgrade() -> None:
    async with serve_submission(implicit=True) as server:
        dialogue = await server.connect(tls=True)
        await dialogue.expect("220 mx.sealpost.test ESMTP")
        await dialogue.send(b"EHLO client.example\r\n")
        offered = await dialogue.expect("250")
        assert "STARTTLS" not in offered
        assert "AUTH PLAIN LOGIN" in offered
        await dialogue.run("C: STARTTLS\nS: 503 5.5.1")


async def test_old_protocols_are_refused() -> None:
    async with serve_submission(implicit=True) as server:
        context = trusting()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")


async def test_a_renewed_certificate_is_shown(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        shutil.copy(certificates("smtp") / name, tmp_path / name)
    async with serve_submission(implicit=True, tls=tmp_path) as server:
        first = await shown(server)
        for name in ("tls.crt", "tls.key"):
            shutil.copy(certificates("renewed") / name, tmp_path / name)
        assert await shown(server) != first


async def shown(server: Counter) -> bytes:
    """Return the certificate that a client sees."""
    dialogue = await server.connect(tls=True)
    await dialogue.expect("220")
    certificate: bytes = dialogue.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return certificate


async def test_a_stop_ends_handshakes_under_way() -> None:
    async with serve_submission(implicit=True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
