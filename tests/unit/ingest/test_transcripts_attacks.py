"""The attack list, as conversations: smuggling, injection, loops, floods. Each fails when its defence is taken out."""

from __future__ import annotations

import asyncio

import pytest

from services.ingest.mx import MxEdge
from tests.support.ingest import MAIL, serve_edge

SMUGGLED = (
    b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<carol@sealpost.test>\r\nDATA\r\n"
    b"From: bob@sealpost.test\r\n\r\nhi\r\n.\r\n"
)


@pytest.mark.parametrize(
    "ending",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\n.\r\n\r\n"],
)
async def test_smuggling_in_data_is_refused_and_the_connection_closed(ending: bytes) -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(b"Subject: outer\r\n\r\ntext" + ending + SMUGGLED)
        await dialogue.expect("550 5.6.0")
        assert await dialogue.closed()
        assert server.mails == 0


async def test_smuggling_cut_into_single_bytes_is_refused_too() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        for byte in b"text\n.\r\n":
            await dialogue.send(bytes([byte]))
            await asyncio.sleep(0.001)
        await dialogue.expect("550 5.6.0")
        assert await dialogue.closed()


@pytest.mark.parametrize(
    "command",
    [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NOOP \0\r\n", b"NOOP\r\r\n", b"EHLO x\nMAIL FROM:<a@b>\r\n", b"\nNOOP\r\n"],
)
async def test_commands_end_with_crlf_or_the_connection_ends(command: bytes) -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(command)
        await dialogue.expect("500 5.5.2")
        assert await dialogue.closed()


async def test_data_sent_ahead_of_354_is_refused_and_the_connection_closed() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(
            b"EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@sealpost.test>\r\nDATA\r\n" + MAIL + b".\r\n"
        )
        for beginning in ("250", "250", "250", "503 5.5.0"):
            await dialogue.expect(beginning)
        assert await dialogue.closed()
        assert server.mails == 0


async def test_content_behind_a_refused_data_never_becomes_commands() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(
            b"EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@sealpost.test>\r\nDATA\r\nRSET\r\n"
            + SMUGGLED
        )
        for beginning in ("250", "250", "550", "503 5.5.0"):
            await dialogue.expect(beginning)
        assert await dialogue.closed()
        assert server.mails == 0


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<a@b.example>\\x0bSIZE=1",
        "MAIL FROM:<a\\x00@b.example>",
        "MAIL FROM:<a@b.example\\x7f>",
        "MAIL FROM:<\\x1b[2Ja@b.example>",
        'MAIL FROM:<"a\\x01b"@b.example>',
        "EHLO client\\x08.example",
        "EHLO client.example\\xe2\\x80\\xa8Received:",
        "NOOP \\x01",
        "VRFY \\x1b[2J",
        "EHLO (comment)",
        "EHLO x;y",
    ],
)
async def test_controls_get_nowhere(line: str) -> None:
    async with serve_edge() as server:
        dialogue = await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
        """)
        await dialogue.send(line.encode("latin-1").decode("unicode_escape").encode("latin-1") + b"\r\n")
        assert (await dialogue.reply())[:3] in ("500", "501", "553")
        assert server.mails == 0


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example>\tX: <",
        "a b@example.org",
        "a@exa mple.org",
        "a@example.org> <x",
        "a(comment)@example.org",
        "a@example.org;X",
        "a@-example.org",
        "a@example..org",
        "x" * 65 + "@example.org",
        "x@" + "a." * 130 + "org",
        "a@[127.0.0.1]]",
        '"unfinished@example.org',
    ],
)
async def test_addresses_that_are_none_are_refused(address: str) -> None:
    async with serve_edge() as server:
        dialogue = await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
        """)
        await dialogue.send(f"MAIL FROM:<{address}>\r\n".encode())
        assert (await dialogue.reply())[:3] in ("501", "553", "555")
        await dialogue.send(b"MAIL FROM:<>\r\n")
        await dialogue.expect("250")
        await dialogue.send(f"RCPT TO:<{address}>\r\n".encode())
        assert (await dialogue.reply())[:3] in ("501", "553", "555")


async def test_relaying_is_denied() -> None:
    async with serve_edge() as server:
        dialogue = await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<bob@sealpost.test>
            S: 250
        """)
        for address in (
            b"x@example.com",
            b"x%example.com@example.net",
            b"@sealpost.test:x@example.com",
            b'"x@y"@z.example',
        ):
            await dialogue.send(b"RCPT TO:<" + address + b">\r\n")
            await dialogue.expect("550 5.7.1")
        await dialogue.send(b"DATA\r\n")
        await dialogue.expect("503")


@pytest.mark.parametrize(("count", "reply"), [(99, "250"), (100, "554 5.4.6"), (500, "554 5.4.6")])
async def test_a_loop_is_broken(count: int, reply: str) -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(b"Received: from a\r\n\tby b; now\r\n" * count + MAIL + b".\r\n")
        await dialogue.expect(reply)
        assert server.mails == (reply == "250")


async def test_a_browser_is_shown_the_door() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"POST / HTTP/1.1\r\nHost: mx.sealpost.test\r\n\r\n" + SMUGGLED)
        await dialogue.expect("502")
        assert await dialogue.closed()


async def test_bdat_is_not_taken_for_a_command_with_commands_behind_it() -> None:
    async with serve_edge() as server:
        dialogue = await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
        """)
        await dialogue.send(b"BDAT 200 LAST\r\n" + SMUGGLED)
        await dialogue.expect("502")
        assert await dialogue.closed()
        assert server.mails == 0


async def test_a_long_command_is_refused_and_an_endless_one_ends_the_connection() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"NOOP " + b"x" * 505 + b"\r\n")
        await dialogue.expect("250")
        await dialogue.send(b"NOOP " + b"x" * 506 + b"\r\n")
        await dialogue.expect("500 5.5.2")
        await dialogue.send(b"NOOP " + b"x" * 20_000)
        await dialogue.expect("500 5.5.2")
        assert await dialogue.closed()


async def test_the_reply_survives_what_the_client_still_sends() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(b"bare\nlf\r\n")
        for _ in range(50):
            await dialogue.send(b"x" * 1000 + b"\r\n")
            await asyncio.sleep(0)
        await dialogue.expect("550 5.6.0")
        dialogue.writer.write_eof()
        assert await dialogue.closed()


async def test_a_flood_of_pipelined_commands_is_held_back_and_answered() -> None:
    async with serve_edge(max_idle_commands=10**6) as server:
        server.storage.hold = asyncio.Event()
        dialogue = await server.connect()
        await dialogue.start_mail()
        # While the mail is stored nothing is read on but what fits into the buffer.
        flood = asyncio.create_task(dialogue.send(MAIL + b".\r\n" + b"NOOP\r\n" * 100_000))
        await asyncio.sleep(0.2)
        (connection,) = server.site.connections
        assert isinstance(connection, MxEdge)
        assert len(connection._inbox) < 600_000
        server.storage.hold.set()
        await dialogue.expect("250 2.0.0 Accepted")
        for _ in range(100_000):
            await dialogue.expect("250 2.0.0 OK")
        await flood


async def test_many_mistakes_end_the_connection() -> None:
    async with serve_edge(max_errors=3) as server:
        await server.converse("""
            S: 220
            C: WHAT
            S: 500
            C: EHLO
            S: 501
            C: DATA
            S: 503
            C: WHO
            S: 421 4.7.0
            S closes
        """)


async def test_idling_by_commands_ends_the_connection() -> None:
    async with serve_edge(max_idle_commands=5) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"NOOP\r\n" * 6)
        for _ in range(5):
            await dialogue.expect("250")
        await dialogue.expect("421 4.7.0")
        assert await dialogue.closed()


async def test_asking_for_unknown_recipients_ends_the_connection_and_the_next_one() -> None:
    async with serve_edge(unknown_per_hour=4, exempt_networks=()) as server:
        for allowed in (4, 0):
            dialogue = await server.converse("""
                S: 220
                C: EHLO client.example
                S: 250
                C: MAIL FROM:<ada@example.org>
                S: 250
            """)
            for number in range(allowed):
                await dialogue.send(b"RCPT TO:<guess%d@sealpost.test>\r\n" % number)
                await dialogue.expect("550 5.1.1")
            await dialogue.send(b"RCPT TO:<another@sealpost.test>\r\n")
            await dialogue.expect("421 4.7.0")
            assert await dialogue.closed()


async def test_replies_never_repeat_what_was_said() -> None:
    async with serve_edge(max_errors=100) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        for command in ("EHLO canary<x>", "MAIL FROM:<canary>", "RCPT TO:<canary>", "VRFY canary", "HELP canary",
                        "CANARY", "NOOP canary", "RSET canary", "MAIL canary", "EXPN canary"):  # fmt: skip
            await dialogue.send(command.encode() + b"\r\n")
            assert "canary" not in (await dialogue.reply()).lower()
