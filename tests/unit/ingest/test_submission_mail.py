"""Mail from who has signed in, as conversations: whose address, how many recipients, what delivery says to it."""

from __future__ import annotations

import asyncio

import pytest

from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InternalError,
    InvalidError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import is_id
from services.ingest import desk, meters
from tests.support.clock import ManualClock
from tests.support.ingest import MAIL, Dialogue, serve_submission, until
from tests.support.ingest_fakes import ADA, SHOP
from tests.unit.ingest.proofs import sign_in

SHOP_NAME = "shop@relay.sealpost.test"


async def submit(dialogue: Dialogue, content: bytes = MAIL, sender: str = "ada@sealpost.test") -> str:
    """Return the reply to a mail."""
    await dialogue.begin_data("x@example.com", sender=sender)
    await dialogue.send(content + b".\r\n")
    return await dialogue.reply()


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_mail_is_handed_over_as_it_came(implicit: bool) -> None:
    async with serve_submission(implicit=implicit) as server:
        dialogue = await sign_in(server, implicit=implicit)
        await dialogue.run("""
            C: MAIL FROM:<ada@sealpost.test> SIZE=200 BODY=8BITMIME
            S: 250 2.1.0
            C: RCPT TO:<x@example.com>
            S: 250 2.1.5
            C: RCPT TO:<bob@sealpost.test>
            S: 250 2.1.5
            C: DATA
            S: 354
        """)
        await dialogue.send(MAIL + b"..a dot\r\n.\r\n")
        reply = await dialogue.expect("250 2.0.0 Accepted as ")
        (one,) = server.delivery.submissions
        assert is_id(one.submission_id)
        assert reply.endswith(one.submission_id)
        assert one.submitter == ADA
        assert (one.sender, list(one.recipients)) == ("ada@sealpost.test", ["x@example.com", "bob@sealpost.test"])
        # No trace of the client: neither its address nor its name.
        assert bytes(one.content) == MAIL + b".a dot\r\n"
        assert not one.smtputf8


async def test_several_mails_on_one_connection_have_ids_of_their_own() -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        for sender in ("ada@sealpost.test", "lovelace@sealpost.test"):
            assert (await submit(dialogue, sender=sender)).startswith("250")
        assert [one.sender for one in server.delivery.submissions] == ["ada@sealpost.test", "lovelace@sealpost.test"]
        assert len({one.submission_id for one in server.delivery.submissions}) == 2


async def test_who_signed_in_stays_signed_in_through_reset_and_ehlo() -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run("C: RSET\nS: 250\nC: EHLO again.example\nS: 250\nC: HELO again.example\nS: 250")
        assert (await submit(dialogue)).startswith("250")


@pytest.mark.parametrize("sender", ["bob@sealpost.test", "x@example.com", "news@shop.example", "ada@[192.0.2.1]"])
async def test_a_sender_must_be_an_address_of_the_account(sender: str) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run(f"""
            C: MAIL FROM:<{sender}>
            S: 553 5.7.1
            C: RCPT TO:<x@example.com>
            S: 503 5.5.1
            C: DATA
            S: 503 5.5.1
            C: MAIL FROM:<ada@sealpost.test>
            S: 250
        """)


async def test_what_must_not_be_answered_comes_from_the_null_reverse_path_for_one_recipient() -> None:
    """Read receipts, RFC 8098 2.1: mail programs submit them so."""
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run("""
            C: MAIL FROM:<>
            S: 250 2.1.0
            C: RCPT TO:<x@example.com>
            S: 250 2.1.5
            C: RCPT TO:<y@example.com>
            S: 452 4.5.3
            C: DATA
            S: 354
        """)
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250 2.0.0 Accepted as ")
        (one,) = server.delivery.submissions
        assert (one.submitter, one.sender, list(one.recipients)) == (ADA, "", ["x@example.com"])
        # The next mail on this connection may have as many as ever.
        await dialogue.run("""
            C: MAIL FROM:<ada@sealpost.test>
            S: 250
            C: RCPT TO:<x@example.com>
            S: 250
            C: RCPT TO:<y@example.com>
            S: 250
        """)


async def test_a_mail_from_the_null_reverse_path_is_judged_by_its_from_field_and_counted() -> None:
    async with serve_submission(messages_per_minute=2) as server:
        dialogue = await sign_in(server)
        server.delivery.failure = DeniedError("from_not_allowed")
        assert (await submit(dialogue, sender="")).startswith("550 5.7.1 The From field")
        server.delivery.failure = UnavailableError("unreachable")
        assert (await submit(dialogue, sender="")).startswith("451")
        await dialogue.run("C: MAIL FROM:<>\nS: 450 4.7.1")


async def test_addresses_in_utf8() -> None:
    async with serve_submission() as server:
        server.delivery.senders[ADA.account_id].add("\u00e4da@sealpost.test")
        dialogue = await sign_in(server)
        await dialogue.run("""
            C: MAIL FROM:<\u00e4da@sealpost.test>
            S: 553 5.6.7
            C: MAIL FROM:<\u00e4da@sealpost.test> SMTPUTF8
            S: 250
            C: RCPT TO:<j\u00fcrgen@example.com>
            S: 250
            C: DATA
            S: 354
            C: .
            S: 250
        """)
        assert server.delivery.submissions[0].smtputf8


@pytest.mark.parametrize(
    ("parameter", "reply"),
    [
        ("AUTH=<>", "250"),
        ("AUTH=ada@sealpost.test", "250"),
        ("AUTH=e+3Dmc2@example.com", "250"),
        ("AUTH=", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH=a+3", "501 5.5.4"),
        ("AUTH=<ada>=", "501 5.5.4"),
        ("RET=HDRS", "555 5.5.4"),
    ],
)
async def test_parameters_of_mail(parameter: str, reply: str) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run(f"C: MAIL FROM:<ada@sealpost.test> {parameter}\nS: {reply}")


@pytest.mark.parametrize("recipient", ["postmaster", "x", "x@", "<x@example.com", "x@example.com>\\r", ""])
async def test_a_recipient_must_be_a_whole_address(recipient: str) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.run(f"C: MAIL FROM:<ada@sealpost.test>\nS: 250\nC: RCPT TO:<{recipient}>\nS: 5")
        await dialogue.run("C: DATA\nS: 503 5.5.1 RCPT")


@pytest.mark.parametrize(
    ("name", "sender", "most"),
    [
        ("ada@sealpost.test", "ada@sealpost.test", 100),
        (SHOP_NAME, "news@shop.example", 150),
    ],
)
async def test_recipients_are_limited_by_profile(name: str, sender: str, most: int) -> None:
    async with serve_submission(max_recipients=100, relay_recipients=150) as server:
        dialogue = await sign_in(server, name)
        await dialogue.run(f"C: MAIL FROM:<{sender}>\nS: 250")
        for number in range(most):
            await dialogue.run(f"C: RCPT TO:<x{number}@example.com>\nS: 250")
        await dialogue.run("C: RCPT TO:<y@example.com>\nS: 452 4.5.3\nC: DATA\nS: 354\nC: .\nS: 250")
        assert len(server.delivery.submissions[0].recipients) == most


async def test_mails_of_an_account_are_limited_by_profile() -> None:
    clock = ManualClock()
    async with serve_submission(messages_per_minute=2, relay_messages_per_minute=3, clock=clock) as server:
        first, second = await sign_in(server), await sign_in(server)
        # Of all connections together, and a refused sender is none.
        await first.run("C: MAIL FROM:<bob@sealpost.test>\nS: 553")
        assert (await submit(first)).startswith("250")
        assert (await submit(second)).startswith("250")
        await first.run("C: MAIL FROM:<ada@sealpost.test>\nS: 450 4.7.1")
        shop = await sign_in(server, SHOP_NAME)
        for _ in range(3):
            assert (await submit(shop, sender="news@shop.example")).startswith("250")
        await shop.run("C: MAIL FROM:<news@shop.example>\nS: 450 4.7.1")
        clock.advance(61)
        assert (await submit(first)).startswith("250")
        assert [one.submitter for one in server.delivery.submissions] == [ADA, ADA, SHOP, SHOP, SHOP, ADA]


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (DeniedError("sender_not_allowed"), "553 5.7.1"),
        (DeniedError("from_not_allowed"), "550 5.7.1 The From"),
        (DeniedError("sending_paused"), "550 5.7.1 Sending is paused"),
        (DeniedError("campaign_stopped"), "550 5.7.1"),
        (InvalidError("from_missing"), "550 5.6.0"),
        (InvalidError("from_malformed"), "550 5.6.0"),
        (InvalidError("content_malformed"), "550 5.6.0"),
        (InvalidError("too_large"), "552 5.3.4"),
        (InvalidError("too_many_recipients"), "554 5.5.3"),
        (InvalidError("recipient_invalid"), "553 5.1.3"),
        (InvalidError("loop"), "554 5.4.6"),
        (InvalidError("submission_id"), "451 4.3.0"),
        (ExhaustedError("recipients_per_day", retry_after=3600), "452 4.7.1"),
        (ExhaustedError("recipients_per_minute", retry_after=20), "450 4.7.1"),
        (ExhaustedError("queue_full"), "452 4.3.1"),
        (ConflictError("idempotency_mismatch"), "451 4.3.0"),
        (UnavailableError("unreachable"), "451 4.3.0"),
        (UnavailableError("deadline"), "451 4.3.0"),
        (InternalError("x"), "451 4.3.0"),
    ],
)
async def test_what_delivery_says_becomes_a_reply(failure: SealpostError, reply: str) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        server.delivery.failure = failure
        assert (await submit(dialogue)).startswith(reply)
        # The mail is over, the session is not.
        server.delivery.failure = None
        assert (await submit(dialogue)).startswith("250")


@pytest.mark.parametrize("failure", [UnavailableError("unreachable"), InternalError("x"), InvalidError("x")])
async def test_delivery_away_at_mail_is_temporary(failure: SealpostError) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        server.delivery.ask_failure = failure
        await dialogue.run("C: MAIL FROM:<ada@sealpost.test>\nS: 451 4.3.0\nC: RCPT TO:<x@example.com>\nS: 503")
        server.delivery.ask_failure = None
        assert (await submit(dialogue)).startswith("250")


async def test_250_is_said_only_when_delivery_has_answered() -> None:
    async with serve_submission() as server:
        server.delivery.hold = asyncio.Event()
        dialogue = await sign_in(server)
        await dialogue.begin_data("x@example.com", sender="ada@sealpost.test")
        await dialogue.send(MAIL + b".\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await dialogue.reader.read(1)
        server.delivery.hold.set()
        await dialogue.expect("250 2.0.0 Accepted")


async def test_a_submission_without_an_answer_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_SUBMIT_SECONDS", 0.2)
    async with serve_submission() as server:
        server.delivery.hold = asyncio.Event()
        assert (await submit(await sign_in(server))).startswith("451 4.3.0")


async def test_a_stop_finishes_a_submission_under_way() -> None:
    async with serve_submission(implicit=True) as server:
        server.delivery.hold = asyncio.Event()
        dialogue = await sign_in(server, implicit=True)
        idle = await sign_in(server, implicit=True)
        await dialogue.begin_data("x@example.com", sender="ada@sealpost.test")
        await dialogue.send(MAIL + b".\r\n")
        await until(lambda: len(server.site.connections) == 2)
        drain = asyncio.create_task(server.site.drain(5.0))
        await idle.expect("421 4.3.2")
        server.delivery.hold.set()
        await dialogue.expect("250 2.0.0 Accepted")
        await dialogue.expect("421 4.3.2")
        await drain


@pytest.mark.parametrize("content", [b"Subject: x\n\r\n", b"Subject: x\r\r\n\r\n", b"Subject: \0\r\n\r\n"])
async def test_data_is_read_as_strictly_as_at_the_mx(content: bytes) -> None:
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await dialogue.begin_data("x@example.com", sender="ada@sealpost.test")
        await dialogue.send(content + b".\r\nMAIL FROM:<ada@sealpost.test>\r\n")
        await dialogue.run("S: 550 5.6.0\nS closes")
        assert server.delivery.submissions == []


async def test_size_is_limited_as_at_the_mx() -> None:
    async with serve_submission(max_message_bytes=100_000) as server:
        dialogue = await sign_in(server)
        await dialogue.run("C: MAIL FROM:<ada@sealpost.test> SIZE=100001\nS: 552 5.3.4")
        assert (await submit(dialogue, MAIL + b"x" * 100_000 + b"\r\n")).startswith("552 5.3.4")
        assert server.delivery.submissions == []


async def test_the_room_is_that_of_the_process() -> None:
    async with serve_submission(max_message_bytes=2**20, admission_bytes=2**20) as server:
        other = server.site.admission.open("")
        assert other.reserve(2**20 - 100)
        dialogue = await sign_in(server)
        await dialogue.run("C: MAIL FROM:<ada@sealpost.test> SIZE=1000\nS: 452 4.3.1")
        assert (await submit(dialogue)).startswith("452 4.3.1")
        other.release()
        assert (await submit(dialogue)).startswith("250")


async def test_mails_are_counted_apart_from_those_of_the_mx() -> None:
    counted = (meters.SUBMITTED.mails, meters.RECEIVED.mails)
    before = [one.value(outcome="accepted") for one in counted]
    denied = meters.SUBMITTED.mails.value(outcome="denied")
    async with serve_submission() as server:
        dialogue = await sign_in(server)
        await submit(dialogue)
        server.delivery.failure = DeniedError("from_not_allowed")
        await submit(dialogue)
    assert [one.value(outcome="accepted") - was for one, was in zip(counted, before, strict=True)] == [1, 0]
    assert meters.SUBMITTED.mails.value(outcome="denied") - denied == 1
