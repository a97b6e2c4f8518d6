"""The rules of the ledger: what the journal says, what the mailboxes hold and what was announced must agree.

lost         answered 250, and a recipient does not have it
doubled      a recipient has a transaction more than once
partial      some recipients have it, others do not
refused      answered 4xx or 5xx, or never sent whole, and stored all the same
altered      not the bytes that were sent behind the documented trace fields, or another envelope
unreadable   listed, and its owner cannot open it
strange      a mail that no transaction explains, or in a mailbox that is not a recipient's
unannounced, announced twice, announced in vain: stored messages and mail.stored.v1 events are not one to one
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.client.model import Json
from tests.support.ledger_journal import Ledger, Outcome
from tests.support.ledger_mail import Run, Transaction

_ACCEPTED_AS = re.compile(r"2\.0\.0 Accepted as ([0-9a-f]{32})")


@dataclass(frozen=True)
class StoredCopy:
    """One message in its owner's list: `body`, None if it cannot be had, and `envelope` as opened."""

    owner: str
    message_id: str
    envelope: Json
    body: bytes | None


@dataclass(frozen=True)
class Fault:
    """A rule that was broken. Names the transaction by its number, never its content."""

    rule: str
    detail: str

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.rule}: {self.detail}"


def judge(run: Run, ledger: Ledger, copies: Iterable[StoredCopy]) -> list[Fault]:
    """Return which rules about mails are broken."""
    faults: list[Fault] = []
    held: dict[int, Counter[str]] = {number: Counter() for number in ledger.transactions}
    for copy in copies:
        if copy.body is None:
            faults.append(Fault("unreadable", f"message {copy.message_id}"))
            continue
        number = run.number_in(copy.body)
        transaction = ledger.transactions.get(number) if number is not None else None
        if transaction is None or copy.owner not in transaction.recipients:
            faults.append(Fault("strange", f"message {copy.message_id}"))
            continue
        held[transaction.number][copy.owner] += 1
        reason = difference(run, transaction, ledger.outcome(transaction.number), copy)
        if reason:
            faults.append(Fault("altered", f"transaction {transaction.number}, {transaction.shape}: {reason}"))
    for number, transaction in ledger.transactions.items():
        faults += _judge_one(transaction, ledger.outcome(number), held[number])
    return faults


def _judge_one(transaction: Transaction, outcome: Outcome, held: Counter[str]) -> list[Fault]:
    what = (
        f"transaction {transaction.number}, {transaction.shape}, {len(transaction.recipients)} recipients, "
        f"reply {outcome.code or 'none'} at {outcome.stage}"
    )
    faults = []
    missing = set(transaction.recipients) - set(held)
    if outcome.accepted and missing:
        faults.append(Fault("lost", what))
    if held and missing:
        faults.append(Fault("partial", what))
    if held and not outcome.accepted and not outcome.unknown:
        faults.append(Fault("refused", what))
    if any(count > 1 for count in held.values()):
        faults.append(Fault("doubled", what))
    return faults


def difference(run: Run, transaction: Transaction, outcome: Outcome, copy: StoredCopy) -> str:
    """Return how a copy differs from what was sent, "" if it does not; docs/architecture.md, "Sealed members' mail"."""
    body = copy.body or b""
    trace = re.match(trace_pattern(run, transaction), body)
    if trace is None:
        return "the trace fields are not those documented"
    accepted = _ACCEPTED_AS.fullmatch(outcome.text)
    if outcome.accepted and (accepted is None or accepted[1].encode() != trace["id"]):
        return "the reply and the Received field name different deliveries"
    if body[trace.end() :] != transaction.content(run):
        return "other bytes"
    found = (
        copy.envelope.get("v"),
        (copy.envelope.get("from") or {}).get("address"),
        copy.envelope.get("rcpt"),
        copy.envelope.get("subject"),
    )
    if found != (1, transaction.sender(run), copy.owner, transaction.subject(run)):
        return "another envelope"
    return ""


def trace_pattern(run: Run, transaction: Transaction) -> bytes:
    """Return what the documented trace fields of a copy match: Return-Path, Received, Authentication-Results."""
    sender, hello, address = (re.escape(text) for text in (transaction.sender(run), run.hello, run.address))
    return (
        rf"Return-Path: <{sender}>\r\n"
        rf"Received: from {hello} \(\[{address}\]\)\r\n"
        r"\tby [a-z0-9.-]+ with ESMTPS? id (?P<id>[0-9a-f]{32});\r\n"
        r"\t[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \+0000\r\n"
        r"Authentication-Results: [^\r\n]+\r\n(?:[ \t][^\r\n]+\r\n)*"
    ).encode()


def judge_events(stored: Iterable[str], announced: Mapping[str, int]) -> list[Fault]:
    """Return which rules about events are broken: message ids that are stored, and how often each was announced."""
    ids = set(stored)
    faults = [Fault("unannounced", f"message {one}") for one in sorted(ids - set(announced))]
    faults += [Fault("announced in vain", f"message {one}") for one in sorted(set(announced) - ids)]
    faults += [Fault("announced twice", f"message {one}: {n} times") for one, n in announced.items() if n > 1]
    return faults


def summary(faults: Iterable[Fault]) -> dict[str, int]:
    """Return how often each rule was broken."""
    return dict(Counter(fault.rule for fault in faults))
