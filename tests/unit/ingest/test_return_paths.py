"""Mail to return paths at the MX: known ones go to delivery, alone, and nothing else does."""

from __future__ import annotations

import pytest

from libs.runtime.errors import InvalidError, UnavailableError
from services.ingest import meters
from tests.support.ingest import MAIL, serve_edge
from tests.support.ingest_fakes import RETURN_PATH

BOUNCES = "bounces.sealpost.test"


async def test_a_report_goes_to_delivery_as_it_came() -> None:
    before = meters.REPORTS.value()
    async with serve_edge(bounce_domain=BOUNCES) as server:
        dialogue = await server.connect()
        await dialogue.start_mail(RETURN_PATH, sender="")
        await dialogue.send(MAIL + b"..a dot\r\n.\r\n")
        assert await dialogue.reply() == "250 2.0.0 Accepted"
        assert server.delivery.reports == [(RETURN_PATH, MAIL + b".a dot\r\n")]
        assert server.mails == 0
        # And the next one on the same connection.
        await dialogue.begin_data(RETURN_PATH.upper(), sender="abuse@example.org")
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250 2.0.0 Accepted")
        assert [address for address, _ in server.delivery.reports] == [RETURN_PATH, RETURN_PATH.upper()]
        assert server.accounts.asked == []
    assert meters.REPORTS.value() - before == 2


async def test_unknown_return_paths_are_refused_where_they_stand() -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        await server.converse("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<b-aaaa@bounces.sealpost.test>
            S: 550 5.1.1
            C: RCPT TO:<postmaster@bounces.sealpost.test>
            S: 550 5.1.1
            C: DATA
            S: 503 5.5.1
        """)


async def test_a_report_has_one_recipient_and_a_mail_has_no_return_path() -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<{RETURN_PATH}>
            S: 250
            C: RCPT TO:<{RETURN_PATH}>
            S: 452 4.5.3
            C: RCPT TO:<bob@sealpost.test>
            S: 452 4.5.3
            C: RCPT TO:<x@example.com>
            S: 452 4.5.3
            C: DATA
            S: 354
            C: Subject: x
            C:
            C: .
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<bob@sealpost.test>
            S: 250
            C: RCPT TO:<{RETURN_PATH}>
            S: 452 4.5.3
            C: RCPT TO:<carol@sealpost.test>
            S: 250
            C: DATA
            S: 354
            C: Subject: x
            C:
            C: .
            S: 250
        """)
        assert len(server.delivery.reports) == 1
        assert {copy.route.mailbox_id for copy in server.storage.copies} == {"mailbox-bob", "mailbox-carol"}


async def test_a_report_that_was_begun_is_forgotten_with_reset() -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        dialogue = await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<{RETURN_PATH}>
            S: 250
            C: RSET
            S: 250
        """)
        await dialogue.begin_data()
        await dialogue.send(MAIL + b".\r\n")
        await dialogue.expect("250")
        assert server.delivery.reports == []
        assert server.mails == 1


async def test_delivery_away_is_temporary() -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        server.delivery.ask_failure = UnavailableError("unreachable")
        dialogue = await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<{RETURN_PATH}>
            S: 451 4.3.0
        """)
        server.delivery.ask_failure = None
        server.delivery.failure = UnavailableError("deadline")
        await dialogue.run(f"C: RCPT TO:<{RETURN_PATH}>\nS: 250\nC: DATA\nS: 354\nC: .\nS: 451 4.3.0")


@pytest.mark.parametrize("address", [RETURN_PATH, "x@bounces.sealpost.test"])
async def test_without_the_domain_nothing_is_asked(address: str) -> None:
    async with serve_edge() as server:
        await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<{address}>
            S: 550 5.7.1
        """)


async def test_guessing_return_paths_ends_the_connection() -> None:
    async with serve_edge(bounce_domain=BOUNCES, exempt_networks=(), unknown_per_hour=3) as server:
        dialogue = await server.converse("S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<>\nS: 250")
        for number in range(3):
            await dialogue.run(f"C: RCPT TO:<b-{number}@{BOUNCES}>\nS: 550 5.1.1")
        await dialogue.run(f"C: RCPT TO:<b-4@{BOUNCES}>\nS: 421 4.7.0\nS closes")


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        ("return_path_forged", "550 5.7.1 Not a return path that was made here"),
        ("return_path_expired", "550 5.7.1 This return path has expired"),
        ("return_path_used", "550 5.7.1 This return path has been used already"),
    ],
)
async def test_return_paths_of_forwarded_mail_are_refused_for_a_reason(reason: str, reply: str) -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        server.delivery.ask_failure = InvalidError(reason)
        await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<>
            S: 250
            C: RCPT TO:<SRS0=aaaa=bb=cc@{BOUNCES}>
            S: {reply}
        """)


@pytest.mark.parametrize("local", ["SRS0=aaaa=bb=cc", "srs1=x==y"])
async def test_only_reports_come_to_return_paths_of_forwarded_mail(local: str) -> None:
    async with serve_edge(bounce_domain=BOUNCES) as server:
        server.delivery.ask_failure = UnavailableError("nobody is asked")
        await server.converse(f"""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<ada@example.org>
            S: 250
            C: RCPT TO:<{local}@{BOUNCES}>
            S: 550 5.7.1 Only reports
        """)
