"""The commands, as conversations: RFC 5321 and the extensions that EHLO offers."""

from __future__ import annotations

import asyncio

import pytest

from libs.mail.verdict import Verdict
from libs.runtime.errors import ExhaustedError, InternalError, InvalidError, UnavailableError
from tests.support.ingest import HOSTNAME, MAIL, serve_edge
from tests.support.ingest_fakes import FixedAuthentication


async def test_a_mail_from_greeting_to_quit() -> None:
    async with serve_edge() as server:
        await server.converse("""
            S: 220 mx.sealpost.test ESMTP
            C: EHLO client.example
            S: 250-mx.sealpost.test
            C: MAIL FROM:<ada@example.org> SIZE=100 BODY=8BITMIME
            S: 250 2.1.0
            C: RCPT TO:<bob@sealpost.test>
            S: 250 2.1.5
            C: DATA
            S: 354
            C: Subject: Hello
            C:
            C: ..a line with a dot
            C: .
            S: 250 2.0.0 Accepted as
            C: QUIT
            S: 221 2.0.0
            S closes
        """)
        assert server.storage.content() == b"Subject: Hello\r\n\r\n.a line with a dot\r\n"
        (copy,) = server.storage.copies
        assert copy.route.mailbox_id == "mailbox-bob"
        assert copy.size == len(server.storage.body())


async def test_ehlo_offers_exactly_what_is_there() -> None:
    async with serve_edge(max_message_bytes=1_000_000) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"EHLO [192.0.2.1]\r\n")
        offered = (await dialogue.expect("250")).splitlines()
        assert offered == [
            f"250-{HOSTNAME}",
            "250-SIZE 1000000",
            "250-PIPELINING",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250 ENHANCEDSTATUSCODES",
        ]


async def test_helo_offers_nothing_and_takes_no_parameters() -> None:
    async with serve_edge() as server:
        await server.converse("""
            S: 220
            C: HELO client.example
            S: 250 mx.sealpost.test
            C: MAIL FROM:<ada@example.org> SIZE=10
            S: 555 5.5.4
            C: MAIL FROM:<ada@example.org>
            S: 250
            C: RCPT TO:<bob@sealpost.test>
            S: 250
            C: DATA
            S: 354
            C: .
            S: 250
        """)
        assert b" with SMTP id " in server.storage.body()


async def test_order_is_enforced() -> None:
    async with serve_edge() as server:
        await server.converse("""
            S: 220
            C: MAIL FROM:<ada@example.org>
            S: 503 5.5.1
            C: RCPT TO:<bob@sealpost.test>
            S: 503 5.5.1
            C: DATA
            S: 503 5.5.1
            C: EHLO client.example
            S: 250
            C: RCPT TO:<bob@sealpost.test>
            S: 503 5.5.1
            C: MAIL FROM:<ada@example.org>
            S: 250
            C: MAIL FROM:<ada@example.org>
            S: 503 5.5.1
            C: DATA
            S: 503 5.5.1
            C: RSET
            S: 250 2.0.0
            C: RCPT TO:<bob@sealpost.test>
            S: 503 5.5.1
        """)


async def test_commands_that_say_nothing() -> None:
    async with serve_edge() as server:
        await server.converse("""
            S: 220
            C: NOOP
            S: 250 2.0.0
            C: NOOP with words
            S: 250 2.0.0
            C: noop
            S: 250 2.0.0
            C: HELP
            S: 214 2.0.0
            C: VRFY bob@sealpost.test
            S: 252 2.5.0
            C: VRFY nobody@sealpost.test
            S: 252 2.5.0
            C: EXPN list
            S: 502 5.5.1
            C: AUTH PLAIN AGJvYgBzZWNyZXQ=
            S: 500 5.5.2
            C: STARTTLS
            S: 502 5.5.1
            C: XCLIENT ADDR=192.0.2.1
            S: 500 5.5.2
            C: RSET now
            S: 501 5.5.4
            C: EHLO
            S: 501 5.5.4
            C: EHLO two words
            S: 501 5.5.4
            C raw: \\r\\n
            S: 500 5.5.2
        """)


async def test_recipients_are_refused_where_they_stand() -> None:
    async with serve_edge() as server:
        await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<ada@example.org>
            S: 250
            C: RCPT TO:<nobody@sealpost.test>
            S: 550 5.1.1
            C: RCPT TO:<ada@example.com>
            S: 550 5.7.1
            C: RCPT TO:<sam@sealpost.test>
            S: 450 4.2.1
            C: RCPT TO:<>
            S: 553 5.1.3
            C: RCPT TO:<bob>
            S: 553 5.1.3
            C: RCPT TO:bob@sealpost.test
            S: 501 5.5.4
            C: RCPT TO:<bob@sealpost.test> NOTIFY=NEVER
            S: 555 5.5.4
            C: RCPT TO:<b\u00f6b@sealpost.test>
            S: 553 5.6.7
            C: RCPT TO:<@relay.example:bob@sealpost.test>
            S: 250 2.1.5
            C: RCPT TO:<Postmaster>
            S: 250 2.1.5
        """)


async def test_senders_and_their_parameters() -> None:
    async with serve_edge(max_message_bytes=100_000) as server:
        await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<no-domain>
            S: 553 5.1.7
            C: MAIL FROM:<postmaster>
            S: 553 5.1.7
            C: MAIL ada@example.org
            S: 501 5.5.4
            C: MAIL FROM:<ada@example.org> SIZE=100001
            S: 552 5.3.4
            C: MAIL FROM:<ada@example.org> SIZE=many
            S: 501 5.5.4
            C: MAIL FROM:<ada@example.org> SIZE=10 SIZE=10
            S: 501 5.5.4
            C: MAIL FROM:<ada@example.org> BODY=BINARYMIME
            S: 501 5.5.4
            C: MAIL FROM:<ada@example.org> SMTPUTF8=yes
            S: 501 5.5.4
            C: MAIL FROM:<ada@example.org> RET=HDRS
            S: 555 5.5.4
            C: MAIL FROM:<\u00e4da@example.org>
            S: 553 5.6.7
            C: MAIL FROM:<\u00e4da@example.org> SMTPUTF8
            S: 250
            C: RSET
            S: 250
            C: mail from: <ada@example.org> size=10 body=7bit
            S: 250
            C: RSET
            S: 250
            C: MAIL FROM:<>
            S: 250
        """)


async def test_smtputf8_goes_through_and_says_so() -> None:
    async with serve_edge() as server:
        server.accounts.routes["b\u00f6b@sealpost.test"] = server.accounts.routes["bob@sealpost.test"]
        await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<\u00e4da@example.org> SMTPUTF8 BODY=8BITMIME
            S: 250
            C: RCPT TO:<b\u00f6b@sealpost.test>
            S: 250
            C: DATA
            S: 354
            C: Subject: gr\u00fc\u00df
            C:
            C: .
            S: 250
        """)
        body = server.storage.body().decode()
        assert body.startswith("Return-Path: <\u00e4da@example.org>\r\n")
        assert " with UTF8SMTP id " in body
        assert '"subject":"gr\u00fc\u00df"' in server.crypto.tasks[0].envelope.decode()


async def test_a_whole_mail_in_one_group_and_the_next_behind_it() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.send(
            b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@sealpost.test>\r\n"
            b"RCPT TO:<nobody@sealpost.test>\r\nDATA\r\n"
        )
        for beginning in ("220", "250-", "250 2.1.0", "250 2.1.5", "550", "354"):
            await dialogue.expect(beginning)
        await dialogue.send(
            b"Subject: 1\r\n\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<carol@sealpost.test>\r\nDATA\r\n"
        )
        for beginning in ("250 2.0.0", "250 2.1.0", "250 2.1.5", "354"):
            await dialogue.expect(beginning)
        await dialogue.send(b"Subject: 2\r\n\r\n.\r\nQUIT\r\n")
        await dialogue.expect("250 2.0.0")
        await dialogue.expect("221")
        assert [copy.route.mailbox_id for copy in server.storage.copies] == ["mailbox-bob", "mailbox-carol"]


async def test_commands_come_in_any_pieces() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        for byte in b"EHLO client.example\r\n":
            await dialogue.send(bytes([byte]))
        await dialogue.expect("250")


async def test_each_recipient_gets_an_own_copy_once() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail("bob@sealpost.test", "carol@sealpost.test", "BOB@sealpost.test")
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        (delivery,) = server.storage.deliveries
        assert [copy.route.mailbox_id for copy in delivery.copies] == ["mailbox-bob", "mailbox-carol"]
        assert len({copy.message_id for copy in delivery.copies}) == 2
        assert [task.owner for task in server.crypto.tasks] == ["account-bob", "account-carol"]
        bob, carol = (task.envelope.decode() for task in server.crypto.tasks)
        assert '"rcpt":"bob@sealpost.test"' in bob
        assert '"rcpt":"carol@sealpost.test"' in carol
        assert "carol" not in server.storage.body(0).decode()


async def test_more_recipients_than_allowed_are_told_to_come_again() -> None:
    async with serve_edge(max_recipients=100) as server:
        dialogue = await server.connect()
        await dialogue.send(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n")
        for beginning in ("220", "250", "250"):
            await dialogue.expect(beginning)
        for number in range(100):
            await dialogue.send(b"RCPT TO:<user%d@public.sealpost.test>\r\n" % number)
            await dialogue.expect("250")
        await dialogue.send(b"RCPT TO:<bob@sealpost.test>\r\nDATA\r\n")
        await dialogue.expect("452 4.5.3")
        await dialogue.expect("354")
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        assert len(server.storage.copies) == 100


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (UnavailableError("unreachable"), "451 4.3.0"),
        (InternalError("internal"), "451 4.3.0"),
        (InvalidError("certificate"), "451 4.3.0"),
        (ExhaustedError("quota_bytes"), "452 4.2.2"),
        (ExhaustedError("queue_full"), "452 4.3.1"),
        (RuntimeError("with a secret text"), "451 4.3.0"),
    ],
)
async def test_a_failing_store_is_a_temporary_refusal(failure: Exception, reply: str) -> None:
    async with serve_edge() as server:
        server.storage.failure = failure
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(MAIL + b".\r\n")
        assert "secret" not in await dialogue.expect(reply)
        assert server.mails == 0
        server.storage.failure = None
        await dialogue.begin_data()
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        assert server.mails == 1


async def test_one_copy_that_cannot_be_sealed_refuses_all() -> None:
    async with serve_edge() as server:
        server.crypto.failures["account-carol"] = UnavailableError("key_destroyed")
        dialogue = await server.connect()
        await dialogue.start_mail("bob@sealpost.test", "carol@sealpost.test")
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("451 4.3.0")
        assert server.mails == 0


async def test_accounts_out_of_reach_is_a_temporary_refusal_of_one_recipient() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.send(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@sealpost.test>\r\n")
        for beginning in ("220", "250", "250", "250"):
            await dialogue.expect(beginning)
        server.accounts.failure = UnavailableError("unreachable")
        await dialogue.send(b"RCPT TO:<carol@sealpost.test>\r\nDATA\r\n")
        await dialogue.expect("451 4.3.0")
        await dialogue.expect("354")
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        assert [copy.route.mailbox_id for copy in server.storage.copies] == ["mailbox-bob"]


async def test_nothing_is_said_before_storage_has_answered() -> None:
    async with serve_edge() as server:
        server.storage.hold = asyncio.Event()
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(MAIL + b".\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await dialogue.reader.read(1)
        server.storage.hold.set()
        await dialogue.expect("250 2.0.0")


async def test_a_client_that_says_no_more_still_gets_its_answer() -> None:
    async with serve_edge() as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        await dialogue.send(MAIL + b".\r\n")
        dialogue.writer.write_eof()
        await dialogue.expect("250")
        assert await dialogue.closed()


async def test_checks_begin_at_mail_and_are_written_down() -> None:
    verdict = Verdict("pass", "fail", "pass", "spf=pass smtp.mailfrom=example.org; dkim=fail header.d=example.org")
    checks = FixedAuthentication(verdict)
    async with serve_edge(authenticator=checks) as server:
        dialogue = await server.connect()
        await dialogue.start_mail()
        assert checks.begun == [("127.0.0.1", "ada@example.org")]
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        assert (
            b"Authentication-Results: mx.sealpost.test; spf=pass smtp.mailfrom=example.org;\r\n"
            b"\tdkim=fail header.d=example.org\r\n" in server.storage.body()
        )
        assert '"auth":{"spf":"pass","dkim":"fail","dmarc":"pass"}' in server.crypto.tasks[0].envelope.decode()


async def test_a_mail_given_up_drops_its_checks() -> None:
    checks = FixedAuthentication(Verdict())
    async with serve_edge(authenticator=checks) as server:
        await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<ada@example.org>
            S: 250
            C: RSET
            S: 250
        """)
        assert checks.cancelled == 1
