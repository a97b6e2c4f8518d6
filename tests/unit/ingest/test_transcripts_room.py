"""A mail of declared size waits for room instead of being turned away at once."""

from __future__ import annotations

from services.ingest.settings import MIB
from tests.support.ingest import Dialogue, Server, serve_edge, until


async def _greeted(server: Server) -> Dialogue:
    dialogue = await server.connect()
    await dialogue.expect("220")
    await dialogue.send(b"EHLO client.example\r\n")
    await dialogue.expect("250")
    return dialogue


async def test_a_mail_waits_for_room() -> None:
    async with serve_edge(admission_bytes=MIB, max_message_bytes=MIB, room_seconds=10.0) as server:
        first, second = await _greeted(server), await _greeted(server)
        await first.send(b"MAIL FROM:<a@b.example> SIZE=800000\r\n")
        await first.expect("250")
        await second.send(b"NOOP\r\nMAIL FROM:<a@b.example> SIZE=800000\r\n")
        await second.expect("250")
        await first.send(b"RSET\r\n")
        await first.expect("250")
        await second.expect("250")
        assert server.site.admission.held == 800_000


async def test_who_hangs_up_while_waiting_takes_no_room() -> None:
    async with serve_edge(admission_bytes=MIB, max_message_bytes=MIB, room_seconds=10.0) as server:
        first, second = await _greeted(server), await _greeted(server)
        await first.send(b"MAIL FROM:<a@b.example> SIZE=800000\r\n")
        await first.expect("250")
        await second.send(b"NOOP\r\nMAIL FROM:<a@b.example> SIZE=800000\r\n")
        await second.expect("250")
        second.writer.transport.abort()
        await until(lambda: len(server.site.connections) == 1)
        await first.send(b"RSET\r\n")
        await first.expect("250")
        await first.send(b"NOOP\r\n")
        await first.expect("250")
        assert server.site.admission.held == 0
