"""Limits of time, bytes and connections, with small settings."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.support.ingest import MAIL, Dialogue, Server, serve_edge, until

KIB = 1024
MIB = 1024 * 1024


async def test_a_silent_client_is_told_and_dropped() -> None:
    async with serve_edge(idle_seconds=0.2) as server:
        await server.converse("""
            S: 220
            S: 421 4.4.2 Idle
            S closes
        """)


async def test_a_client_that_trickles_a_command_is_dropped_all_the_same() -> None:
    async with serve_edge(idle_seconds=0.3) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        trickle = asyncio.create_task(_trickle(dialogue, b"E"))
        await dialogue.expect("421 4.4.2")
        assert await dialogue.closed()
        trickle.cancel()
        await asyncio.gather(trickle, return_exceptions=True)


async def test_a_slow_mail_is_cut_off_in_all() -> None:
    async with serve_edge(data_seconds=0.4, idle_seconds=30.0) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        trickle = asyncio.create_task(_trickle(dialogue, b"x"))
        await dialogue.expect("421 4.4.2 The mail")
        trickle.cancel()
        await asyncio.gather(trickle, return_exceptions=True)
        assert server.mails == 0
        assert server.site.admission.held == 0


@pytest.mark.parametrize("beginning", [b"", b"Subject: half\r\n", b"half a line"])
async def test_a_mail_that_stops_is_cut_off(beginning: bytes) -> None:
    async with serve_edge(data_seconds=30.0, idle_seconds=0.3) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(beginning)
        await dialogue.expect("421 4.4.2 The mail")


async def test_a_mail_that_goes_on_is_not_cut_off_by_the_idle_limit() -> None:
    async with serve_edge(data_seconds=30.0, idle_seconds=0.3) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        for _ in range(8):
            await dialogue.send(b"line\r\n")
            await asyncio.sleep(0.1)
        await dialogue.send(b".\r\n")
        await dialogue.expect("250")


async def test_a_session_ends_between_commands() -> None:
    async with serve_edge(session_seconds=0.5) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        for _ in range(100):
            reply = await _noop(dialogue)
            if not reply.startswith("250"):
                break
            await asyncio.sleep(0.05)
        assert reply.startswith("421 4.4.2 The session")
        assert await dialogue.closed()


async def test_a_client_that_does_not_read_is_dropped() -> None:
    async with serve_edge(idle_seconds=0.5, max_errors=10**6, max_idle_commands=10**9) as server:
        dialogue = await server.connect()
        dialogue.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = asyncio.create_task(_flood(dialogue))
        await until(lambda: not server.site.connections and flood.done())


@pytest.mark.parametrize("declared", [True, False])
async def test_too_large_is_told_after_the_end_and_the_session_goes_on(declared: bool) -> None:
    async with serve_edge(max_message_bytes=64 * KIB) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send((b"x" * 998 + b"\r\n") * (80 if declared else 100) + b".\r\n")
        await dialogue.expect("552 5.3.4")
        assert server.site.admission.held == 0
        await dialogue.begin_data()
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")


async def test_far_too_large_ends_the_connection() -> None:
    async with serve_edge(max_message_bytes=64 * KIB) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send((b"x" * 998 + b"\r\n") * 200)
        await dialogue.expect("552 5.3.4")
        dialogue.writer.write_eof()
        assert await dialogue.closed()


async def test_no_room_is_told_at_mail_where_a_size_was_declared() -> None:
    async with serve_edge(admission_bytes=MIB, max_message_bytes=MIB, exempt_networks=("127.0.0.0/8",)) as server:
        first, second = await _greeted(server), await _greeted(server)
        await first.send(b"MAIL FROM:<a@b.example> SIZE=800000\r\n")
        await first.expect("250")
        await second.send(b"MAIL FROM:<a@b.example> SIZE=800000\r\n")
        await second.expect("452 4.3.1")
        await second.send(b"MAIL FROM:<a@b.example> SIZE=1000\r\n")
        await second.expect("250")
        await first.send(b"RSET\r\n")
        await first.expect("250")
        await second.send(b"RSET\r\nMAIL FROM:<a@b.example> SIZE=800000\r\n")
        await second.expect("250")
        await second.expect("250")


async def test_no_room_is_told_at_the_end_where_none_was_declared() -> None:
    async with serve_edge(admission_bytes=MIB, max_message_bytes=MIB) as server:
        holder = await _greeted(server)
        await holder.send(b"MAIL FROM:<a@b.example> SIZE=900000\r\n")
        await holder.expect("250")
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send((b"x" * 998 + b"\r\n") * 300 + b".\r\n")
        await dialogue.expect("452 4.3.1")
        assert server.site.admission.held == 900_000
        await dialogue.begin_data()
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")


async def test_a_client_that_hangs_up_gives_its_room_back() -> None:
    async with serve_edge(admission_bytes=MIB, max_message_bytes=MIB) as server:
        dialogue = await _greeted(server)
        await dialogue.send(b"MAIL FROM:<a@b.example> SIZE=900000\r\n")
        await dialogue.expect("250")
        dialogue.writer.transport.abort()
        await until(lambda: server.site.admission.held == 0 and not server.site.connections)


@pytest.mark.parametrize("reset", [True, False])
async def test_a_client_that_hangs_up_while_its_mail_is_stored_leaves_nothing_behind(reset: bool) -> None:
    async with serve_edge() as server:
        server.storage.hold = asyncio.Event()
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(MAIL + b".\r\n")
        await until(lambda: bool(server.crypto.tasks))
        if reset:
            option = struct.pack("ii", 1, 0)
            dialogue.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        dialogue.writer.transport.abort()
        if not reset:
            # A client that says no more may still listen: only the end of the work tells.
            await asyncio.sleep(0.05)
            server.storage.hold.set()
        await until(lambda: not server.site.connections)
        assert server.site.admission.held == 0
        assert server.mails == (not reset)


async def test_one_client_cannot_hold_all_the_room() -> None:
    async with serve_edge(
        admission_bytes=MIB, max_message_bytes=MIB, client_share_percent=50, exempt_networks=()
    ) as server:
        first, second = await _greeted(server), await _greeted(server)
        await first.send(b"MAIL FROM:<a@b.example> SIZE=400000\r\n")
        await first.expect("250")
        await second.send(b"MAIL FROM:<a@b.example> SIZE=400000\r\n")
        await second.expect("452 4.3.1")


async def test_connections_of_one_client_are_bounded() -> None:
    async with serve_edge(connections_per_client=2, exempt_networks=()) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        await first.expect("220")
        await second.expect("220")
        await third.expect("421 4.7.0")
        third.writer.write_eof()
        assert await third.closed()
        await first.send(b"QUIT\r\n")
        await first.expect("221")
        assert await first.closed()
        await (await server.connect()).expect("220")


async def test_the_rate_of_connections_of_one_client_is_bounded() -> None:
    async with serve_edge(connects_per_minute=2, exempt_networks=()) as server:
        for beginning in ("220", "220", "421 4.7.0"):
            await (await server.connect()).expect(beginning)


async def test_connections_in_all_are_bounded() -> None:
    async with serve_edge(max_connections=1) as server:
        first = await server.connect()
        await first.expect("220")
        await (await server.connect()).expect("421 4.3.2")


async def test_exempt_clients_are_not_counted() -> None:
    async with serve_edge(connects_per_minute=1, connections_per_client=1, unknown_per_hour=1) as server:
        for _ in range(3):
            dialogue = await server.connect()
            await dialogue.start_mail()


async def test_draining_finishes_mails_and_closes_the_rest() -> None:
    async with serve_edge() as server:
        idle, busy = await server.connect(), await server.connect()
        await idle.expect("220")
        await busy.start_mail()
        drained = asyncio.create_task(server.site.drain(5.0))
        await idle.expect("421 4.3.2")
        await (await server.connect()).expect("421 4.3.2")
        await busy.send(MAIL + b".\r\n")
        await busy.expect("250")
        await busy.expect("421 4.3.2")
        assert await busy.closed()
        for dialogue in server.dialogues:
            await dialogue.close()
        await drained
        assert server.mails == 1


async def test_draining_does_not_wait_forever() -> None:
    async with serve_edge() as server:
        stuck = await server.connect()
        await stuck.start_mail()
        await server.site.drain(0.2)
        await stuck.expect("421")


async def _trickle(dialogue: Dialogue, byte: bytes) -> None:
    while True:
        await dialogue.send(byte)
        await asyncio.sleep(0.05)


async def _flood(dialogue: Dialogue) -> None:
    try:
        while True:
            await dialogue.send(b"HELP\r\n" * 1000)
    except ConnectionError:
        return


async def _noop(dialogue: Dialogue) -> str:
    await dialogue.send(b"NOOP\r\n")
    return await dialogue.reply()


async def _greeted(server: Server) -> Dialogue:
    return await server.converse("""
        S: 220
        C: EHLO client.example
        S: 250
    """)
