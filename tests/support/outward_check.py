"""The rules of the outward ledger: what the journal says, what came to the rest of the world, what senders were told.

lost             answered 250, and a recipient has it neither received nor refused with a report
doubled          a recipient's server has taken a transaction again though its reply had reached us, and nobody died
partial          some recipients' fate is decided, that of others is not
refused          answered 5xx, and sent all the same
altered          not the bytes that were submitted behind two signatures, or another sender
strange          a mail, or a report, that no transaction explains
unreported, reported twice, reported in vain: reports in the sender's mailbox and recipients that were refused are
not one to one

A reply that is lost on its way leaves two possibilities, and SMTP has no way to ask. So a transaction is repeated, and
may be, where the server kept its reply to itself, and where delivery died between that reply and writing it down. The
second is believed only of what came shortly before a known death.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.support.ledger_check import Fault, StoredCopy
from tests.support.ledger_journal import Ledger, Outcome
from tests.support.ledger_mail import Transaction
from tests.support.outward_mail import REFUSING, OutwardRun
from tests.support.outward_world import Arrival

# How long before a death a mail may have come whose end was not yet written down, and how long after it the other side
# may see what was on its way.
BEFORE_DEATH, AFTER_DEATH = 2.0, 1.0

_SIGNATURES = re.compile(rb"(?:DKIM-Signature:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*){2}")
_FINAL_RECIPIENT = re.compile(rb"^Final-Recipient: rfc822; *([^\r\n]+)\r?$", re.MULTILINE)
_FAILED = re.compile(rb"^Action: failed\r?$", re.MULTILINE)


@dataclass
class Reckoning:
    """What came of a run.

    `faults` are rules that were broken; `lost_replies` and `deaths` count repetitions that are excused by the one or
    the other; `unacknowledged` counts transactions that nobody was told 250 of and that went out; `delivered` counts
    the recipients who have a sender's mails, by sender.
    """

    faults: list[Fault] = field(default_factory=list)
    lost_replies: int = 0
    deaths: int = 0
    unacknowledged: int = 0
    delivered: Counter[str] = field(default_factory=Counter)

    def add(self, rule: str, detail: str) -> None:
        """Note a fault."""
        self.faults.append(Fault(rule, detail))


@dataclass(frozen=True)
class Found:
    """What a run has left: arrivals in order, all that is in the mailboxes of the senders, and when delivery died."""

    arrivals: Sequence[Arrival]
    reports: Sequence[StoredCopy]
    deaths: Sequence[float] = ()


def judge_outward(run: OutwardRun, ledger: Ledger, found: Found) -> Reckoning:
    """Return which rules are broken once the queue is empty."""
    reckoning = Reckoning()
    received = _sort_arrivals(run, ledger, found.arrivals, reckoning)
    reported = _sort_reports(run, ledger, found.reports, reckoning)
    for number, transaction in ledger.transactions.items():
        reckoning.delivered[run.sender(transaction)] += sum(
            bool(received[number, one]) for one in transaction.recipients
        )
        for recipient in transaction.recipients:
            _judge_repetitions(number, received[number, recipient], found.deaths, reckoning)
        _judge_one(transaction, ledger.outcome(number), (received, reported), reckoning)
    return reckoning


_Received = defaultdict[tuple[int, str], list[Arrival]]


def _sort_arrivals(run: OutwardRun, ledger: Ledger, arrivals: Iterable[Arrival], reckoning: Reckoning) -> _Received:
    received: _Received = defaultdict(list)
    for arrival in arrivals:
        number = run.number_in(arrival.mail.content)
        transaction = ledger.transactions.get(number) if number is not None else None
        if transaction is None or not set(arrival.mail.recipients) <= set(transaction.recipients):
            reckoning.add("strange", f"a mail with {len(arrival.mail.recipients)} recipients")
            continue
        if not _is_as_submitted(run, transaction, arrival.mail.content):
            reckoning.add("altered", f"transaction {number}, {transaction.shape}")
        for recipient in arrival.mail.recipients:
            received[transaction.number, recipient].append(arrival)
    return received


def _is_as_submitted(run: OutwardRun, transaction: Transaction, content: bytes) -> bool:
    signatures = _SIGNATURES.match(content)
    return signatures is not None and content[signatures.end() :] == transaction.content(run)


def _sort_reports(
    run: OutwardRun, ledger: Ledger, reports: Iterable[StoredCopy], reckoning: Reckoning
) -> Counter[tuple[int, str]]:
    reported: Counter[tuple[int, str]] = Counter()
    for report in reports:
        body = report.body or b""
        number = run.number_in(body)
        transaction = ledger.transactions.get(number) if number is not None else None
        named = [one.decode() for one in _FINAL_RECIPIENT.findall(body)]
        known = transaction is not None and set(named) <= set(transaction.recipients)
        if transaction is None or not known or report.owner != run.sender(transaction) or not _FAILED.search(body):
            reckoning.add("strange", f"message {report.message_id}")
            continue
        for recipient in named:
            reported[transaction.number, recipient] += 1
    return reported


def _judge_repetitions(number: int, arrivals: Sequence[Arrival], deaths: Sequence[float], reckoning: Reckoning) -> None:
    for earlier, later in pairwise(arrivals):
        if earlier.lost:
            reckoning.lost_replies += 1
        elif any(earlier.at - AFTER_DEATH <= death <= min(earlier.at + BEFORE_DEATH, later.at) for death in deaths):
            reckoning.deaths += 1
        else:
            reckoning.add("doubled", f"transaction {number}, again after {later.at - earlier.at:.1f} s")


def _judge_one(
    transaction: Transaction,
    outcome: Outcome,
    fates: tuple[_Received, Counter[tuple[int, str]]],
    reckoning: Reckoning,
) -> None:
    received, reported = fates
    number = transaction.number
    what = (
        f"transaction {number}, {transaction.shape}, {len(transaction.recipients)} recipients, "
        f"reply {outcome.code or 'none'} at {outcome.stage}"
    )
    decided = {one for one in transaction.recipients if received[number, one] or reported[number, one]}
    missing = set(transaction.recipients) - decided
    if outcome.accepted and missing:
        unreported = all(one.endswith(f"@{REFUSING}") for one in missing)
        reckoning.add("unreported" if unreported else "lost", what)
    if decided and missing:
        reckoning.add("partial", what)
    if decided and not outcome.accepted:
        reckoning.unacknowledged += 1
        if outcome.code >= 500:
            reckoning.add("refused", what)
    for one in decided:
        if reported[number, one] > 1:
            reckoning.add("reported twice", what)
        if reported[number, one] and (received[number, one] or not one.endswith(f"@{REFUSING}")):
            reckoning.add("reported in vain", what)
