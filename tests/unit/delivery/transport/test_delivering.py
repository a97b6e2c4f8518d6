"""Mails that arrive, and what of them arrives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import uvloop

from services.delivery.domain.model import Result
from services.delivery.transport.settings import Bounds, Tuning
from tests.support.remote_steps import CONTENT, DATA, EHLO, MAIL, RCPT, RSET
from tests.unit.delivery.transport.site import CONTENT as MAIL_CONTENT
from tests.unit.delivery.transport.site import SHORT, make_site, zone_for

DELIVERED, TEMPORARY, PERMANENT = Result.DELIVERED, Result.TEMPORARY, Result.PERMANENT


async def test_a_mail_arrives_as_it_is() -> None:
    async with make_site() as site:
        outcome = await site.send_one()
    assert (outcome.result, outcome.code, outcome.status) == (DELIVERED, 250, "2.0.0")
    assert outcome.host == "mx1.remote.test"
    assert "taken" in outcome.text
    assert not outcome.elsewhere
    (received,) = site.mta.mails
    assert received.content == MAIL_CONTENT
    assert received.mail_from == "b-token@bounces.sealpost.test"
    assert received.recipients == ("bob@remote.test",)
    assert received.hello == "mx.sealpost.test"
    assert f"SIZE={len(MAIL_CONTENT)}" in received.options


def test_it_does_so_on_the_loop_that_services_run_on() -> None:
    uvloop.run(test_a_mail_arrives_as_it_is())


@pytest.mark.parametrize(
    "body",
    [b"", b".\r\n", b"..\r\n.\r\n", b"x", b".", b"\r\n.\r\nMAIL FROM:<eve@evil.test>\r\n", b"a\r\n.b\r\n..c\r\n\r\n"],
)
@pytest.mark.parametrize("pipelining", [True, False])
async def test_dots_are_stuffed_and_the_end_is_the_end(body: bytes, pipelining: bool) -> None:
    content = b"Subject: dots\r\n\r\n" + body
    async with make_site() as site:
        if not pipelining:
            site.mta.extensions = ()
        outcome = await site.send_one(content=content)
        assert outcome.result is DELIVERED
        assert (await site.send_one()).result is DELIVERED
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    assert [mail.content for mail in site.mta.mails] == [ended, MAIL_CONTENT]


async def test_a_large_mail_arrives_whole() -> None:
    content = b"Subject: large\r\n\r\n" + b"".join(b".%07d%s\r\n" % (line, b"x" * 68) for line in range(60_000))
    async with make_site(tuning=Tuning(replace(SHORT, content=20.0), Bounds())) as site:
        outcome = await site.send_one(content=content)
    assert outcome.result is DELIVERED
    assert site.mta.mails[0].content == content


async def test_a_report_has_no_return_path() -> None:
    async with make_site() as site:
        await site.send_one(return_path="")
    assert "MAIL FROM:<> " in next(line for line in site.mta.commands if line.startswith("MAIL")) + " "


async def test_commands_are_pipelined_where_that_is_offered_and_only_there() -> None:
    async with make_site() as site:
        await site.send("a@remote.test", "b@remote.test")
        assert site.mta.pipelined >= 2
        before = site.mta.pipelined
        site.mta.extensions = ("SIZE 1000000",)
        # Extensions are those of a connection: a new one has to be made.
        site.mta.says(CONTENT, "421 4.3.2 closing", once=True)
        assert (await site.send_one()).result is TEMPORARY
        before = site.mta.pipelined
        await site.send("c@remote.test", "d@remote.test")
        assert site.mta.pipelined == before
    assert [mail.recipients for mail in site.mta.mails if mail.accepted] == [
        ("a@remote.test", "b@remote.test"),
        ("c@remote.test", "d@remote.test"),
    ]


async def test_a_server_without_ehlo_is_greeted_the_old_way() -> None:
    async with make_site() as site:
        site.mta.says(EHLO, "502 5.5.1 what?")
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.commands[1] == "HELO mx.sealpost.test"
    assert site.mta.mails[0].options == ()


@pytest.mark.parametrize("pipelining", [True, False])
async def test_each_recipient_has_its_own_outcome(pipelining: bool) -> None:
    def answer(argument: str) -> str | None:
        if "nobody" in argument:
            return "550 5.1.1 no such user"
        return "452 4.2.2 over quota" if "full" in argument else None

    async with make_site() as site:
        if not pipelining:
            site.mta.extensions = ("SIZE",)
        site.mta.says(RCPT, answer)
        outcomes = await site.send("nobody@remote.test", "bob@remote.test", "full@remote.test", "eve@remote.test")
        assert [outcome.result for outcome in outcomes] == [PERMANENT, DELIVERED, TEMPORARY, DELIVERED]
        assert [outcome.status for outcome in outcomes] == ["5.1.1", "2.0.0", "4.2.2", "2.0.0"]
        # The connection is in order afterwards.
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 1
    assert site.mta.mails[0].recipients == ("bob@remote.test", "eve@remote.test")


@pytest.mark.parametrize("pipelining", [True, False])
async def test_with_nobody_taken_no_mail_is_sent_and_the_connection_goes_on(pipelining: bool) -> None:
    async with make_site() as site:
        if not pipelining:
            site.mta.extensions = ()
        site.mta.says(RCPT, "550 5.1.1 no", "550 5.1.1 no", once=True)
        outcomes = await site.send("x@remote.test", "y@remote.test")
        assert [outcome.result for outcome in outcomes] == [PERMANENT, PERMANENT]
        assert (await site.send_one()).result is DELIVERED
    assert site.mta.connections == 1
    assert len(site.mta.mails) == 1
    assert RSET in site.mta.commands


async def test_a_server_that_goes_ahead_for_nobody_gets_an_empty_mail() -> None:
    async with make_site() as site:
        site.mta.says(RCPT, "550 5.1.1 no", once=True)
        site.mta.says(DATA, "354 go ahead, why not", once=True)
        site.mta.says(CONTENT, "554 5.5.1 no valid recipients", once=True)
        outcome = await site.send_one()
        assert (outcome.result, outcome.status) == (PERMANENT, "5.1.1")
        assert (await site.send_one()).result is DELIVERED
    assert [mail.content for mail in site.mta.mails] == [b"", MAIL_CONTENT]


async def test_many_recipients_are_split_into_transactions() -> None:
    recipients = [f"user{number}@remote.test" for number in range(250)]
    async with make_site() as site:
        site.mta.says(RCPT, lambda argument: "550 5.1.1 no" if "user101@" in argument else None)
        outcomes = await site.send(*recipients)
    assert [len(mail.recipients) for mail in site.mta.mails] == [100, 99, 50]
    assert site.mta.connections == 1
    assert [place for place, one in enumerate(outcomes) if one.result is not DELIVERED] == [101]


async def test_too_many_recipients_are_tried_later() -> None:
    async with make_site() as site:
        site.mta.says(RCPT, lambda argument: "552 too many recipients" if "c@" in argument else None)
        outcomes = await site.send("a@remote.test", "b@remote.test", "c@remote.test")
    assert [outcome.result for outcome in outcomes] == [DELIVERED, DELIVERED, TEMPORARY]
    assert outcomes[2].status == "4.5.3"


async def test_a_mail_larger_than_the_server_takes_is_not_sent() -> None:
    async with make_site() as site:
        site.mta.extensions = ("SIZE 50", "PIPELINING")
        outcome = await site.send_one()
        assert (outcome.result, outcome.status) == (PERMANENT, "5.3.4")
        assert not [line for line in site.mta.commands if line.startswith(MAIL)]


async def test_eight_bit_content_is_announced_where_possible_and_sent_in_any_case() -> None:
    content = "Subject: hello\r\n\r\nGrüße\r\n".encode()
    async with make_site() as site:
        await site.send_one(content=content)
        site.mta.extensions = ()
        site.mta.says(CONTENT, "421 4.3.2 closing", once=True)
        await site.send_one()
        await site.send_one(content=content)
    first, _, last = site.mta.mails
    assert "BODY=8BITMIME" in first.options
    assert last.options == ()
    assert first.content == last.content == content


WIDE = "Subject: Grüße\r\n\r\nx\r\n".encode()


@pytest.mark.parametrize(
    ("recipient", "content", "offered", "result"),
    [
        ("böb@remote.test", MAIL_CONTENT, True, "SMTPUTF8"),
        ("böb@remote.test", MAIL_CONTENT, False, "5.6.7"),
        ("bob@remote.test", WIDE, True, "SMTPUTF8"),
        ("bob@remote.test", WIDE, False, "5.6.7"),
        # Neither addresses nor header need it, whatever the sender asked for.
        ("bob@remote.test", MAIL_CONTENT, False, "plain"),
        ("bob@remote.test", MAIL_CONTENT, True, "plain"),
    ],
)
async def test_international_mail_needs_a_server_that_takes_it(
    recipient: str, content: bytes, offered: bool, result: str
) -> None:
    async with make_site() as site:
        site.mta.extensions = ("8BITMIME", *(("SMTPUTF8",) if offered else ()))
        outcome = await site.send_one(recipient, content=content, smtputf8=True)
    if result == "5.6.7":
        assert (outcome.result, outcome.status) == (PERMANENT, "5.6.7")
        assert not site.mta.mails
        return
    assert outcome.result is DELIVERED
    assert ("SMTPUTF8" in site.mta.mails[0].options) == (result == "SMTPUTF8")
    assert site.mta.mails[0].recipients == (recipient,)


async def test_an_international_domain_alone_needs_nothing_special() -> None:
    zone = zone_for("127.0.0.2", domain="xn--bcher-kva.test")
    async with make_site(zone=zone) as site:
        site.mta.extensions = ()
        outcome = await site.send_one("bob@bücher.test")
    assert outcome.result is DELIVERED
    assert site.mta.mails[0].recipients == ("bob@xn--bcher-kva.test",)


@pytest.mark.parametrize(
    "address",
    [
        "bob@remote.test>\r\nRCPT TO:<eve@evil.test",
        "bob\r\n@remote.test",
        "bob@remote.test> SIZE=1",
        "bob smith@remote.test",
        "@relay.test:bob@remote.test",
        "bob",
        "",
        "bob\x00@remote.test",
        "bob@rem\u202eote.test",
    ],
)
async def test_what_is_no_address_never_reaches_a_server(address: str) -> None:
    async with make_site() as site:
        outcomes = await site.send("ada@remote.test", address)
        assert [outcome.result for outcome in outcomes] == [DELIVERED, PERMANENT]
        assert outcomes[1].status == "5.1.3"
        (outcome,) = await site.send("ada@remote.test", return_path=address or "<>")
        assert (outcome.result, outcome.status) == (PERMANENT, "5.1.7")
    assert [mail.recipients for mail in site.mta.mails] == [("ada@remote.test",)]


@pytest.mark.parametrize("smuggled", [b"\n.\r\n", b"\r.\r\n", b"\n.\n", b"\r\r\n", b"\r\n.\r"])
async def test_content_with_other_line_ends_stays_here(smuggled: bytes) -> None:
    async with make_site() as site:
        outcome = await site.send_one(content=b"Subject: x\r\n\r\nx" + smuggled + b"MAIL FROM:<a@b.test>\r\n")
    assert (outcome.result, outcome.status) == (PERMANENT, "5.6.0")
    assert site.mta.connections == 0
