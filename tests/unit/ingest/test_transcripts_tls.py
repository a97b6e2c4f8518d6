"""STARTTLS: what was said before is forgotten, what was sent ahead is not obeyed, certificates are renewed in place."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import warnings
from pathlib import Path

import pytest

from tests.support.ingest import MAIL, Dialogue, serve_edge, trusting
from tests.support.ingest_fakes import without_trace
from tests.support.rpc import certificates


async def offered(dialogue: Dialogue) -> list[str]:
    await dialogue.send(b"EHLO client.example\r\n")
    return [line[4:] for line in (await dialogue.expect("250")).splitlines()]


async def test_a_mail_over_tls_says_so() -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        assert "STARTTLS" in await offered(dialogue)
        await dialogue.send(b"STARTTLS\r\n")
        await dialogue.expect("220 2.0.0")
        await dialogue.upgrade()
        assert "STARTTLS" not in await offered(dialogue)
        await dialogue.send(b"STARTTLS\r\n")
        await dialogue.expect("503 5.5.1")
        await dialogue.begin_data()
        await dialogue.send(MAIL + b".\r\nQUIT\r\n")
        await dialogue.expect("250")
        await dialogue.expect("221")
        assert b" with ESMTPS id " in server.storage.body()


async def test_a_large_mail_over_tls_arrives_whole() -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"EHLO x.example\r\nSTARTTLS\r\n")
        await dialogue.expect("250")
        await dialogue.expect("220")
        await dialogue.upgrade()
        await offered(dialogue)
        await dialogue.begin_data()
        mail = MAIL + b"".join(b"%06d\r\n" % number for number in range(200_000))
        await dialogue.send(mail + b".\r\n")
        await dialogue.expect("250")
        assert without_trace(server.storage.body()) == mail


async def test_what_was_said_before_is_forgotten() -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await offered(dialogue)
        await dialogue.send(b"MAIL FROM:<a@b.example> SIZE=1000\r\nSTARTTLS\r\n")
        await dialogue.expect("250")
        await dialogue.expect("220")
        assert server.site.admission.held == 0
        await dialogue.upgrade()
        await dialogue.send(b"RCPT TO:<bob@sealpost.test>\r\nMAIL FROM:<a@b.example>\r\n")
        await dialogue.expect("503 5.5.1")
        await dialogue.expect("503 5.5.1 EHLO")


@pytest.mark.parametrize(
    "ahead",
    [
        b"EHLO evil.example\r\n",
        b"EHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@sealpost.test>\r\nDATA\r\n",
        b"NOOP",
    ],
)
async def test_commands_sent_ahead_in_the_clear_are_not_obeyed(ahead: bytes) -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await offered(dialogue)
        await dialogue.send(b"STARTTLS\r\n" + ahead)
        await dialogue.expect("220 2.0.0")
        await dialogue.upgrade()
        # An answer to what was sent ahead would come first now, or be part of the next command.
        await dialogue.send(b"NOOP\r\n")
        await dialogue.expect("250 2.0.0 OK")
        await dialogue.send(b"MAIL FROM:<a@b.example>\r\n")
        await dialogue.expect("503 5.5.1 EHLO")


async def test_old_protocols_are_refused() -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await offered(dialogue)
        await dialogue.send(b"STARTTLS\r\n")
        await dialogue.expect("220")
        context = trusting()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await dialogue.upgrade(context)


async def test_no_handshake_ends_that_connection_alone() -> None:
    async with serve_edge(tls=certificates("smtp")) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await offered(dialogue)
        await dialogue.send(b"STARTTLS\r\n")
        await dialogue.expect("220")
        await dialogue.send(b"MAIL FROM:<evil@example.org>\r\nthis is no handshake\r\n" * 10)
        async with asyncio.timeout(10):
            try:
                answer = await dialogue.reader.read()
            except ConnectionError:
                answer = b""
        # An alert of TLS at most, nothing of SMTP.
        assert b"250" not in answer
        await (await server.connect()).expect("220")


async def test_a_renewed_certificate_is_shown_and_half_a_pair_is_not(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        shutil.copy(certificates("smtp") / name, tmp_path / name)
    async with serve_edge(tls=tmp_path) as server:
        first = await shown(server.port)
        shutil.copy(certificates("renewed") / "tls.crt", tmp_path / "tls.crt")
        assert await shown(server.port) == first
        shutil.copy(certificates("renewed") / "tls.key", tmp_path / "tls.key")
        second = await shown(server.port)
        assert second != first
        (tmp_path / "tls.crt").unlink()
        assert await shown(server.port) == second


async def shown(port: int) -> bytes:
    """Return the certificate that a client sees."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    dialogue = Dialogue(reader, writer)
    await dialogue.expect("220")
    await dialogue.send(b"EHLO x.example\r\nSTARTTLS\r\n")
    await dialogue.expect("250")
    await dialogue.expect("220")
    await dialogue.upgrade()
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    await dialogue.send(b"QUIT\r\n")
    await dialogue.expect("221")
    await dialogue.close()
    return certificate
