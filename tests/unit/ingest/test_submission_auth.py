"""AUTH (RFC 4954), as conversations: only over TLS, read strictly, refused without a hint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.runtime.errors import ExhaustedError, SealpostError, UnavailableError
from tests.support.clock import ManualClock
from tests.support.ingest import HOSTNAME, serve_submission
from tests.support.ingest_fakes import ADA_PASSWORD
from tests.unit.ingest.proofs import TLS, b64, plain, sign_in

NAME = b64("ada@sealpost.test")
PASSWORD = b64(ADA_PASSWORD)


async def test_auth_is_offered_only_over_tls() -> None:
    async with serve_submission(max_message_bytes=1_000_000) as server:
        dialogue = await server.connect()
        await dialogue.expect("220")
        await dialogue.send(b"EHLO client.example\r\n")
        before = await dialogue.expect("250")
        await dialogue.start_tls()
        await dialogue.send(b"EHLO client.example\r\n")
        after = await dialogue.expect("250")
    common = [f"250-{HOSTNAME}", "250-SIZE 1000000", "250-PIPELINING", "250-8BITMIME"]
    assert before.splitlines() == [*common, "250-STARTTLS", "250-SMTPUTF8", "250 ENHANCEDSTATUSCODES"]
    assert after.splitlines() == [*common, "250-AUTH PLAIN LOGIN", "250-SMTPUTF8", "250 ENHANCEDSTATUSCODES"]


@pytest.mark.parametrize("implicit", [False, True])
async def test_plain_in_one_line(implicit: bool) -> None:
    async with serve_submission(implicit=implicit) as server:
        await (await sign_in(server, implicit=implicit)).run("C: QUIT\nS: 221\nS closes")
        assert server.proofs.asked == ["ada@sealpost.test"]


@pytest.mark.parametrize(
    "exchange",
    [
        f"C: AUTH PLAIN\nS: 334\nC: {plain()}",
        f"C: auth plain\nS: 334\nC: {plain()}",
        f"C: AUTH PLAIN {plain(authorization='ada@sealpost.test')}",
        f"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {NAME}\nS: 334 UGFzc3dvcmQ6\nC: {PASSWORD}",
        f"C: AUTH LOGIN {NAME}\nS: 334 UGFzc3dvcmQ6\nC: {PASSWORD}",
    ],
)
async def test_every_way_to_sign_in(exchange: str) -> None:
    async with serve_submission() as server:
        await server.converse(f"""
            {TLS}
            {exchange}
            S: 235 2.7.0
            C: MAIL FROM:<ada@sealpost.test>
            S: 250 2.1.0
        """)


async def test_the_challenge_of_plain_is_empty() -> None:
    async with serve_submission() as server:
        dialogue = await server.converse(f"{TLS}\nC: AUTH PLAIN")
        assert await dialogue.reply() == "334 "


async def test_auth_in_the_clear_is_refused_and_nobody_is_asked() -> None:
    async with serve_submission() as server:
        await server.converse(f"""
            S: 220
            C: AUTH PLAIN {plain()}
            S: 538 5.7.11
            C: EHLO client.example
            S: 250
            C: AUTH PLAIN {plain()}
            S: 538 5.7.11
            C: AUTH LOGIN
            S: 538 5.7.11
            C: MAIL FROM:<ada@sealpost.test>
            S: 530 5.7.0 STARTTLS
        """)
        assert server.proofs.asked == []


@pytest.mark.parametrize(
    "ahead",
    [
        f"AUTH PLAIN {plain()}\r\n",
        f"EHLO evil.example\r\nAUTH PLAIN {plain()}\r\nMAIL FROM:<ada@sealpost.test>\r\n",
        "EHLO evil.example\r\nAUTH LOGIN\r\n",
    ],
)
async def test_auth_that_was_sent_ahead_of_the_handshake_is_not_obeyed(ahead: str) -> None:
    async with serve_submission() as server:
        dialogue = await server.converse("S: 220\nC: EHLO client.example\nS: 250")
        await dialogue.send(b"STARTTLS\r\n" + ahead.encode())
        await dialogue.expect("220 2.0.0")
        await dialogue.upgrade()
        await dialogue.run(f"""
            C: NOOP
            S: 250 2.0.0 OK
            C: MAIL FROM:<ada@sealpost.test>
            S: 503 5.5.1 EHLO
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<ada@sealpost.test>
            S: 530 5.7.0 AUTH
            C: AUTH PLAIN {plain()}
            S: 235
        """)
        assert server.proofs.asked == ["ada@sealpost.test"]


async def test_auth_needs_ehlo_after_the_handshake() -> None:
    async with serve_submission() as server:
        await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            TLS
            C: AUTH PLAIN {plain()}
            S: 503 5.5.1 EHLO
            C: HELO client.example
            S: 250
            C: AUTH PLAIN {plain()}
            S: 503 5.5.1 EHLO
        """)
        assert server.proofs.asked == []


async def test_nobody_signs_in_twice_or_within_a_mail() -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run(f"""
            C: AUTH PLAIN {plain()}
            S: 503 5.5.1
            C: MAIL FROM:<ada@sealpost.test>
            S: 250
            C: AUTH PLAIN {plain()}
            S: 503 5.5.1
            C: AUTH LOGIN
            S: 503 5.5.1
            C: RCPT TO:<x@example.com>
            S: 250
            C: EHLO client.example
            S: 250
            C: AUTH PLAIN {plain()}
            S: 503 5.5.1
            C: MAIL FROM:<ada@sealpost.test>
            S: 250
        """)
        assert len(server.proofs.asked) == 1


@pytest.mark.parametrize(
    ("exchange", "reply"),
    [
        ("C: AUTH", "501 5.5.4"),
        ("C: AUTH CRAM-MD5", "504 5.5.4"),
        ("C: AUTH XOAUTH2 dXNlcj1hZGE=", "504 5.5.4"),
        ("C: AUTH PLAIN\nS: 334\nC: *", "501 5.7.0"),
        ("C: AUTH PLAIN *", "501 5.7.0"),
        ("C: AUTH LOGIN\nS: 334\nC: *", "501 5.7.0"),
        (f"C: AUTH LOGIN\nS: 334\nC: {NAME}\nS: 334\nC: *", "501 5.7.0"),
        # Not base64, or not as it must be.
        ("C: AUTH PLAIN secret", "501 5.5.2"),
        ("C: AUTH PLAIN AGFkYQBh YmM=", "501 5.5.2"),
        ("C: AUTH PLAIN AGFkYQBhYmM", "501 5.5.2"),
        ("C: AUTH PLAIN AGFkYQBhYmM==", "501 5.5.2"),
        ("C: AUTH PLAIN AGFk_QBhYmM=", "501 5.5.2"),
        ("C: AUTH PLAIN\nS: 334\nC: !!!!", "501 5.5.2"),
        ("C: AUTH PLAIN\nS: 334\nC raw: \\xff\\xfe\\r\\n", "501 5.5.2"),
        ("C: AUTH LOGIN\nS: 334\nC: no", "501 5.5.2"),
        # Not a message of PLAIN: too few or many NULs, nothing between them, not UTF-8, too long.
        ("C: AUTH PLAIN =", "501 5.5.2"),
        ("C: AUTH PLAIN\nS: 334\nC:", "501 5.5.2"),
        (f"C: AUTH PLAIN {NAME}", "501 5.5.2"),
        (f"C: AUTH PLAIN {b64(chr(0) + 'ada@sealpost.test')}", "501 5.5.2"),
        (f"C: AUTH PLAIN {b64(chr(0) * 2)}", "501 5.5.2"),
        (f"C: AUTH PLAIN {plain(password='')}", "501 5.5.2"),
        (f"C: AUTH PLAIN {plain(name='')}", "501 5.5.2"),
        (f"C: AUTH PLAIN {plain(password=ADA_PASSWORD + chr(0) + 'x')}", "501 5.5.2"),
        (f"C: AUTH PLAIN {b64(bytes([0, 0xFF, 0, 0x61]))}", "501 5.5.2"),
        (f"C: AUTH PLAIN {plain(password='x' * 256)}", "501 5.5.2"),
        (f"C: AUTH LOGIN {b64('ada' + chr(0))}\nS: 334\nC: {b64('x')}", "501 5.5.2"),
        ("C: AUTH LOGIN =\nS: 334\nC: eA==", "501 5.5.2"),
        # Too long for any proof.
        (f"C: AUTH PLAIN {'A' * 2100}", "500 5.5.6"),
        (f"C: AUTH PLAIN\nS: 334\nC: {'A' * 2100}", "500 5.5.6"),
        # Somebody else's mailbox.
        (f"C: AUTH PLAIN {plain(authorization='lovelace@sealpost.test')}", "535 5.7.8"),
        (f"C: AUTH PLAIN {plain(authorization='root')}", "535 5.7.8"),
    ],
)
async def test_what_is_no_proof_is_refused_and_the_connection_goes_on(exchange: str, reply: str) -> None:
    async with serve_submission() as server:
        await server.converse(f"""
            {TLS}
            {exchange}
            S: {reply}
            C: MAIL FROM:<ada@sealpost.test>
            S: 530 5.7.0
            C: AUTH PLAIN {plain()}
            S: 235
        """)
        assert server.proofs.asked == ["ada@sealpost.test"]


@pytest.mark.parametrize("line", ["A" * 9000, "AAAA\\nAAAA\\r\\n", "AA\\rAA\\r\\n", "AA\\x00AA\\r\\n"])
async def test_a_response_that_is_no_line_ends_the_connection(line: str) -> None:
    async with serve_submission() as server:
        await server.converse(f"{TLS}\nC: AUTH PLAIN\nS: 334\nC raw: {line}\nS: 500 5.5.\nS closes")
        assert server.proofs.asked == []


async def test_a_response_that_does_not_come_ends_the_connection() -> None:
    async with serve_submission(idle_seconds=0.3) as server:
        await server.converse(f"{TLS}\nC: AUTH PLAIN\nS: 334\nS: 421 4.4.2\nS closes")


FROM_ADA = "C: MAIL FROM:<ada@sealpost.test>"


async def test_a_revoked_password_ends_the_connections_that_are_open() -> None:
    clock = ManualClock()
    async with serve_submission(clock=clock) as server:
        dialogue = await sign_in(server)
        revoked = server.proofs.known.pop(("ada@sealpost.test", ADA_PASSWORD))
        # For a minute it is believed.
        clock.advance(59)
        await dialogue.run(f"{FROM_ADA}\nS: 250\nC: RSET\nS: 250")
        assert len(server.proofs.asked) == 1
        clock.advance(2)
        await dialogue.run(f"{FROM_ADA}\nS: 421 4.7.0 The password\nS closes")
        # And where somebody else has that address and password by now.
        server.proofs.known["ada@sealpost.test", ADA_PASSWORD] = revoked
        other = await sign_in(server)
        server.proofs.known["ada@sealpost.test", ADA_PASSWORD] = replace(revoked, account_id="account-other")
        clock.advance(61)
        await other.run(f"{FROM_ADA}\nS: 421 4.7.0\nS closes")


async def test_a_valid_password_is_asked_for_once_a_minute() -> None:
    clock = ManualClock()
    async with serve_submission(clock=clock) as server:
        dialogue = await sign_in(server)
        for _ in range(6):
            clock.advance(31)
            await dialogue.run(f"{FROM_ADA}\nS: 250\nC: RSET\nS: 250")
        assert len(server.proofs.asked) == 1 + 3


@pytest.mark.parametrize("failure", [UnavailableError("unreachable"), ExhaustedError("too_many_attempts")])
async def test_while_nobody_can_tell_whether_a_password_is_valid_mail_waits(failure: SealpostError) -> None:
    clock = ManualClock()
    async with serve_submission(clock=clock) as server:
        dialogue = await sign_in(server)
        clock.advance(61)
        server.proofs.failure = failure
        await dialogue.run(f"{FROM_ADA}\nS: 45\nC: RCPT TO:<x@example.com>\nS: 503")
        server.proofs.failure = None
        await dialogue.run(f"{FROM_ADA}\nS: 250")
