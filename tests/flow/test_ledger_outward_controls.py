"""The outward ledger test proves itself: faults that are made up, and safeguards that are taken away, make it fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger_check import StoredCopy, summary
from tests.support.ledger_journal import Ledger, Outcome
from tests.support.ledger_mail import Shape, Transaction
from tests.support.ledger_procs import wait_for
from tests.support.ledger_scan import Scanner
from tests.support.outward import outward
from tests.support.outward_check import AFTER_DEATH, BEFORE_DEATH, Found, Reckoning, judge_outward
from tests.support.outward_mail import REFUSING, SESSIONS, STEADY, OutwardAssignment, OutwardRun
from tests.support.outward_world import Arrival
from tests.support.remote_steps import Received

RUN = OutwardRun("bcdfghjklmnpqrst", "127.1.2.3")
SIGNED = b"DKIM-Signature: v=1; a=ed25519-sha256;\r\n\tb=abc\r\nDKIM-Signature: v=1; a=rsa-sha256; b=abc\r\n"
NOW = 1000.0


def mail(*recipients: str) -> Transaction:
    return Transaction(7, 5, Shape.DOTS, 300, recipients or (RUN.recipient(1, STEADY),))


TWO = mail(RUN.recipient(1, STEADY), RUN.recipient(2, REFUSING))


def arrival(transaction: Transaction, at: float = NOW, *, lost: bool = False) -> Arrival:
    content = SIGNED + transaction.content(RUN)
    to = [one for one in transaction.recipients if not one.endswith(f"@{REFUSING}")]
    return Arrival(at, lost, Received(1, "mx", "", "b-1@bounces.test", (), to, content, True))


def report(transaction: Transaction, owner: str = "") -> StoredCopy:
    refused = [one for one in transaction.recipients if one.endswith(f"@{REFUSING}")]
    groups = "".join(f"\r\nFinal-Recipient: rfc822; {one}\r\nAction: failed\r\n" for one in refused)
    body = groups.encode() + transaction.content(RUN)
    return StoredCopy(owner or RUN.sender(transaction), "m1", {}, body)


def reckon(
    transaction: Transaction,
    arrivals: Sequence[Arrival],
    reports: Sequence[StoredCopy] = (),
    *,
    code: int = 250,
    deaths: Sequence[float] = (),
) -> Reckoning:
    ledger = Ledger({transaction.number: transaction}, {transaction.number: Outcome(code, "content")})
    return judge_outward(RUN, ledger, Found(arrivals, reports, deaths))


def rules(reckoning: Reckoning) -> dict[str, int]:
    return summary(reckoning.faults)


def test_a_ledger_that_agrees_has_no_faults() -> None:
    assert rules(reckon(mail(), [arrival(mail())])) == {}
    assert rules(reckon(TWO, [arrival(TWO)], [report(TWO)])) == {}
    for code in (0, 451, 550):
        assert rules(reckon(mail(), [], code=code)) == {}
    for code in (0, 451):
        unsure = reckon(mail(), [arrival(mail())], code=code)
        assert rules(unsure) == {}
        assert unsure.unacknowledged == 1


def test_lost_partial_and_refused_mails_are_noticed() -> None:
    assert rules(reckon(mail(), [])) == {"lost": 1}
    assert rules(reckon(TWO, [], [report(TWO)])) == {"lost": 1, "partial": 1}
    assert rules(reckon(TWO, [], [report(TWO)], code=0)) == {"partial": 1}
    assert rules(reckon(mail(), [arrival(mail())], code=550)) == {"refused": 1}


def test_reports_that_are_missing_too_many_or_wrong_are_noticed() -> None:
    assert rules(reckon(TWO, [arrival(TWO)])) == {"unreported": 1, "partial": 1}
    assert rules(reckon(TWO, [arrival(TWO)], [report(TWO), report(TWO)])) == {"reported twice": 1}
    assert rules(reckon(TWO, [arrival(TWO)], [report(TWO, "somebody@sealpost.test")])) == {
        "strange": 1, "unreported": 1, "partial": 1
    }  # fmt: skip
    one = mail()
    in_vain = replace(report(TWO), body=(report(TWO).body or b"").replace(*_other(TWO.recipients[1], one)))
    assert rules(reckon(one, [arrival(one)], [in_vain])) == {"reported in vain": 1}


def _other(recipient: str, transaction: Transaction) -> tuple[bytes, bytes]:
    return f"rfc822; {recipient}".encode(), f"rfc822; {transaction.recipients[0]}".encode()


def test_a_repetition_is_excused_by_a_lost_reply_or_a_death_nearby_and_by_nothing_else() -> None:
    again = [arrival(mail()), arrival(mail(), NOW + 10)]
    assert rules(reckon(mail(), again)) == {"doubled": 1}
    assert rules(reckon(mail(), again, code=0)) == {"doubled": 1}
    lost = reckon(mail(), [arrival(mail(), lost=True), arrival(mail(), NOW + 10)])
    assert rules(lost) == {}
    assert lost.lost_replies == 1
    # That a later reply got lost excuses nothing before.
    late = [*again[:1], arrival(mail(), NOW + 10, lost=True)]
    assert rules(reckon(mail(), late)) == {"doubled": 1}
    for death, noticed in (
        (NOW + BEFORE_DEATH / 2, False),
        (NOW - AFTER_DEATH / 2, False),
        (NOW + BEFORE_DEATH + 0.1, True),
        (NOW - AFTER_DEATH - 0.1, True),
        (NOW + 10.1, True),
    ):
        assert rules(reckon(mail(), again, deaths=[death])) == ({"doubled": 1} if noticed else {})


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"\r\n",
        lambda content: content.removeprefix(SIGNED),
        lambda content: b"Received: from somewhere\r\n" + content,
        lambda content: content.replace(b"\r\n\r\n", b"\r\nX-Extra: field\r\n\r\n"),
    ],
)
def test_one_changed_byte_is_noticed(change: Callable[[bytes], bytes]) -> None:
    true = arrival(mail())
    changed = replace(true, mail=replace(true.mail, content=change(true.mail.content)))
    assert rules(reckon(mail(), [changed])) == {"altered": 1}


def test_mails_that_nobody_sent_there_are_noticed() -> None:
    true = arrival(mail())
    unknown = replace(true, mail=replace(true.mail, content=b"no canary"))
    assert rules(reckon(mail(), [true, unknown])) == {"strange": 1}
    elsewhere = replace(true, mail=replace(true.mail, recipients=["somebody@steady.test"]))
    assert rules(reckon(mail(), [true, elsewhere])) == {"strange": 1}


def test_accounts_are_not_paused_for_the_load() -> None:
    """Far fewer recipients are refused than an account may have; it is judged from a hundred on."""
    assignment = OutwardAssignment(RUN, "", 0, "", 600, 600)
    by_account: dict[str, list[str]] = {}
    for session in range(SESSIONS):
        for place in range(50):
            number = assignment.number_of(session, place)
            if number is not None:
                one = assignment.mail(number)
                by_account.setdefault(RUN.sender(one), []).extend(one.recipients)
    assert set(by_account) == set(RUN.accounts())
    for recipients in by_account.values():
        refused = sum(one.endswith(f"@{REFUSING}") for one in recipients)
        assert len(recipients) < 50 or refused < 0.06 * len(recipients)


def test_without_its_safeguards_the_queue_is_caught(tmp_path: Path) -> None:
    """Settled mails are not written down, some mails are not kept at all, and all of them lie in a spool."""
    missing = ("delivery:settle_skipped", "delivery:queue_forgets", "delivery:queue_spool")
    with outward(tmp_path, *missing, lease=5) as scene:
        scene.world.sleepy.wake()
        with scene.load(40) as client:
            client.finish()
        record = client.ledger()
        settled = len(scene.world.arrivals())
        wait_for("mails that come again", lambda: len(scene.world.arrivals()) > settled + 20, 60.0)
        faults = summary(scene.reckon(record).faults)
        assert {"lost", "doubled"} <= set(faults)
        leaks = Scanner(scene.run.token).scan(tmp_path / "home", tmp_path / "home-scratch")
        assert leaks
        assert {Path(leak.place).parent.name for leak in leaks} == {"queue"}
