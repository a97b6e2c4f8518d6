"""Servers that refuse, drop, fall silent, or talk nonsense, at every step of the conversation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.delivery.domain.model import Result
from services.delivery.transport.settings import Bounds, Tuning
from tests.support.remote_steps import (
    CONNECT,
    CONTENT,
    DATA,
    DROP,
    EHLO,
    MAIL,
    RCPT,
    RESET,
    SILENCE,
    Misdeed,
    slow,
)
from tests.unit.delivery.transport.site import SHORT, TUNING, FakeSettings, Site, make_site, raw_server, zone_for

DELIVERED, TEMPORARY, PERMANENT = Result.DELIVERED, Result.TEMPORARY, Result.PERMANENT
# Waits that make silence short.
HASTY = Tuning(replace(SHORT, greeting=0.3, hello=0.3, mail=0.3, rcpt=0.3, data=0.3, block=0.3, content=0.3), Bounds())

LARGE = b"Subject: large\r\n\r\n" + (b"y" * 998 + b"\r\n") * 20_000


@asynccontextmanager
async def reaching(port: int, tuning: Tuning = TUNING) -> AsyncIterator[Site]:
    """Run a site whose mail server is somebody else's, at 127.0.0.2 and `port`."""
    settings = FakeSettings(mx_port=port)
    async with make_site(servers=(), zone=zone_for("127.0.0.2"), settings=settings, tuning=tuning) as site:
        yield site


@pytest.mark.parametrize(
    ("step", "reply", "result", "status", "elsewhere"),
    [
        (CONNECT, "421 4.3.2 not now", TEMPORARY, "4.3.2", True),
        (CONNECT, "554 5.7.1 we do not talk to you", TEMPORARY, "4.0.0", True),
        (CONNECT, "521 takes no mail", PERMANENT, "5.3.2", False),
        (EHLO, "421 4.3.2 not now", TEMPORARY, "4.3.2", True),
        (EHLO, "554 5.7.1 go away", TEMPORARY, "4.0.0", True),
        (MAIL, "451 4.7.1 not now", TEMPORARY, "4.7.1", False),
        (MAIL, "421 4.7.0 closing", TEMPORARY, "4.7.0", True),
        (MAIL, "550 5.7.1 not from you", PERMANENT, "5.7.1", False),
        (RCPT, "450 4.2.1 not now", TEMPORARY, "4.2.1", False),
        (RCPT, "550 5.1.1 nobody", PERMANENT, "5.1.1", False),
        (RCPT, "421 4.7.0 closing", TEMPORARY, "4.7.0", True),
        (DATA, "451 4.3.0 not now", TEMPORARY, "4.3.0", False),
        (DATA, "554 5.7.1 no", PERMANENT, "5.7.1", False),
        (DATA, "250 2.0.0 thanks for nothing", TEMPORARY, "4.5.0", True),
        (CONTENT, "452 4.3.1 no room", TEMPORARY, "4.3.1", False),
        (CONTENT, "550 5.7.1 spam", PERMANENT, "5.7.1", False),
        (CONTENT, "421 4.3.2 closing", TEMPORARY, "4.3.2", False),
        (CONTENT, "354 go on", TEMPORARY, "4.5.0", False),
    ],
)
@pytest.mark.parametrize("pipelining", [True, False])
async def test_what_a_server_says_is_what_comes_of_it(
    step: str, reply: str, result: Result, status: str, elsewhere: bool, pipelining: bool
) -> None:
    async with make_site() as site:
        site.mta.extensions = ("PIPELINING",) if pipelining else ()
        site.mta.says(step, reply)
        outcomes = await site.send("a@remote.test", "b@remote.test")
        assert {(one.result, one.status, one.elsewhere) for one in outcomes} == {(result, status, elsewhere)}
        assert outcomes[0].code == int(reply[:3]) or outcomes[0].code in (0, 450)
        assert not [mail for mail in site.mta.mails if mail.accepted]
        # Nothing of it sticks to the destination.
        site.mta.behaves()
        if step not in (CONNECT, EHLO):
            assert (await site.send_one()).result is DELIVERED


@pytest.mark.parametrize("step", [CONNECT, EHLO, MAIL, RCPT, DATA])
@pytest.mark.parametrize("misdeed", [DROP, RESET, SILENCE], ids=lambda misdeed: misdeed.kind)
@pytest.mark.parametrize("pipelining", [True, False])
async def test_before_the_end_of_the_mail_the_next_server_takes_it(
    step: str, misdeed: Misdeed, pipelining: bool
) -> None:
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), tuning=HASTY) as site:
        first, second = site.mtas
        first.extensions = second.extensions = ("PIPELINING",) if pipelining else ()
        first.says(step, misdeed)
        outcome = await site.send_one()
        assert (outcome.result, outcome.host) == (DELIVERED, "mx2.remote.test")
        assert (first.connections, second.connections) == (1, 1)
        assert (len(first.mails), len(second.mails)) == (0, 1)


@pytest.mark.parametrize("misdeed", [DROP, RESET, SILENCE], ids=lambda misdeed: misdeed.kind)
async def test_a_reply_lost_after_the_mail_is_not_made_good_by_sending_again(misdeed: Misdeed) -> None:
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), tuning=HASTY) as site:
        first, second = site.mtas
        first.says(CONTENT, misdeed)
        outcomes = await site.send("a@remote.test", "b@remote.test")
        assert {(one.result, one.code, one.status) for one in outcomes} == {(TEMPORARY, 0, "4.4.2")}
        assert len(first.mails) == 1
        assert not second.mails


@pytest.mark.parametrize("step", [CONNECT, EHLO, MAIL, RCPT, DATA])
@pytest.mark.parametrize("misdeed", [DROP, SILENCE], ids=lambda misdeed: misdeed.kind)
async def test_if_all_servers_do_it_the_mail_waits(step: str, misdeed: Misdeed) -> None:
    async with make_site(servers=("127.0.0.2", "127.0.0.3"), tuning=HASTY) as site:
        for mta in site.mtas:
            mta.says(step, misdeed)
        outcome = await site.send_one()
    assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.2", True)
    assert [mta.connections for mta in site.mtas] == [1, 1]


@pytest.mark.parametrize("step", [CONNECT, EHLO, MAIL, RCPT, DATA, CONTENT])
@pytest.mark.parametrize(
    "reply",
    [
        "no code at all",
        "25",
        "999 5.0.0 no such code",
        "250-never ends\r\n" * 300,
        "250 " + "x" * 100_000,
        "250-\xff\xfe\r\nabc",
        "+50 sign",
        "2\u0665\u0660 arabic digits",
    ],
)
async def test_nonsense_is_no_reply(step: str, reply: str) -> None:
    async with make_site() as site:
        site.mta.says(step, reply)
        outcome = await site.send_one()
        assert outcome.result is TEMPORARY
        assert len(outcome.text) <= 500


async def test_more_replies_than_questions_never_count_for_the_mail() -> None:
    async with make_site() as site:
        site.mta.says(RCPT, "250 2.1.5 ok\r\n354 go ahead\r\n250 2.0.0 taken")
        site.mta.says(DATA, "354 go ahead")
        site.mta.says(CONTENT, "550 5.7.1 no")
        outcome = await site.send_one()
    assert outcome.result is not DELIVERED


async def test_greylisting_is_a_matter_of_time() -> None:
    async with make_site() as site:
        site.mta.greylists()
        first = await site.send_one()
        assert (first.result, first.code, first.status, first.elsewhere) == (TEMPORARY, 450, "4.2.0", False)
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 1


async def test_a_tarpit_is_sat_out_up_to_the_limit_of_each_command() -> None:
    async with make_site() as site:
        for step in (CONNECT, EHLO, MAIL, RCPT, DATA, CONTENT):
            site.mta.says(step, slow(0.3))
        assert (await site.send_one()).result is DELIVERED


async def test_an_attempt_ends_in_time_and_keeps_what_was_reached() -> None:
    bounds = Bounds(recipients_per_transaction=1)
    async with make_site(tuning=Tuning(replace(SHORT, attempt=1.0), bounds)) as site:
        site.mta.says(RCPT, lambda argument: slow(0.9) if "late" in argument else None)
        began = time.monotonic()
        outcomes = await site.send("a@remote.test", "late1@remote.test", "late2@remote.test")
        assert time.monotonic() - began < 8
    assert [one.result for one in outcomes] == [DELIVERED, outcomes[1].result, TEMPORARY]
    assert outcomes[2].status == "4.4.7"


async def test_a_server_that_has_seen_enough_of_a_mail_is_heard() -> None:
    """It says no in the middle of a large mail and hangs up: a bounce, not five days of trying."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx ESMTP\r\n")
        for reply in (b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.read(1000)
        writer.write(b"552 5.3.4 enough\r\n")
        # Not closed yet: what is unread would turn that into a reset, which may overtake the reply.
        await asyncio.sleep(0.3)
        writer.close()

    async with raw_server(talk) as port, reaching(port) as site:
        outcome = await site.send_one(content=LARGE)
    assert (outcome.result, outcome.status) == (PERMANENT, "5.3.4")


async def test_a_server_that_stops_reading_is_given_up_before_the_end_of_the_mail() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx ESMTP\r\n")
        for reply in (b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await asyncio.sleep(10)

    async with raw_server(talk) as port, reaching(port, HASTY) as site:
        began = time.monotonic()
        outcome = await site.send_one(content=LARGE)
        assert time.monotonic() - began < 8
    # Of the destination: had the end been sent, it would be of this mail.
    assert (outcome.result, outcome.status, outcome.elsewhere) == (TEMPORARY, "4.4.2", True)


async def test_sending_can_be_cancelled_at_any_time() -> None:
    async with make_site(tuning=TUNING) as site:
        site.mta.says(RCPT, SILENCE)
        task = asyncio.create_task(site.send_one())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        site.mta.behaves()
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 2
