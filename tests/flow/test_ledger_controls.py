"""The ledger test proves itself: each safeguard that is taken away, and each fault that is made up, makes it fail.

Where something is taken away from a real platform, the same fault with the safeguard in place is got over first, so
that it is the safeguard that makes the difference.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import quopri
import secrets
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger import drained, event_faults, load, mail_faults
from tests.support.ledger_check import StoredCopy, judge, judge_events, summary
from tests.support.ledger_client import Assignment
from tests.support.ledger_disk import LoopDisk, failing_calls
from tests.support.ledger_journal import Ledger, Outcome
from tests.support.ledger_logs import log_faults
from tests.support.ledger_mail import Run, Shape, Transaction
from tests.support.ledger_mailboxes import Mailboxes
from tests.support.ledger_platform import end_at_once, spoiled_platform
from tests.support.ledger_procs import pids
from tests.support.ledger_scan import Scanner
from tests.support.platform import RunningPlatform

RUN = Run("bcdfghjklmnpqrst", "127.1.2.3")
ID = "0" * 31 + "1"
FAULTS = ("storage:crash_after_append", "storage:crash_after_publish")
MISSING = ("storage:append_dedupe_off", "storage:event_dedupe_off", "ingest:spool")


def mail(*recipients: str) -> Transaction:
    return Transaction(7, 0, Shape.DOTS, 300, recipients or (RUN.inbox(1),))


def ledger(transaction: Transaction, code: int) -> Ledger:
    text = f"2.0.0 Accepted as {ID}" if code == 250 else ""
    return Ledger({transaction.number: transaction}, {transaction.number: Outcome(code, "content", text)})


def copy(transaction: Transaction, owner: str = "") -> StoredCopy:
    owner = owner or transaction.recipients[0]
    trace = (
        f"Return-Path: <{transaction.sender(RUN)}>\r\nReceived: from {RUN.hello} ([{RUN.address}])\r\n"
        f"\tby mx.sealpost.test with ESMTP id {ID};\r\n\tSun, 22 Nov 2026 17:00:00 +0000\r\n"
        "Authentication-Results: mx.sealpost.test; spf=none;\r\n\tdkim=none\r\n"
    )
    envelope = {
        "v": 1,
        "from": {"address": transaction.sender(RUN)},
        "rcpt": owner,
        "subject": transaction.subject(RUN),
    }
    return StoredCopy(owner, "m1", envelope, trace.encode() + transaction.content(RUN))


def rules(code: int, *copies: StoredCopy, to: Transaction | None = None) -> dict[str, int]:
    return summary(judge(RUN, ledger(to or mail(), code), copies))


def test_a_ledger_that_agrees_has_no_faults() -> None:
    assert rules(250, copy(mail())) == {}
    assert rules(0, copy(mail())) == rules(0) == rules(451) == rules(550) == {}
    two = mail(RUN.inbox(1), RUN.member(2))
    assert rules(250, copy(two), copy(two, RUN.member(2)), to=two) == {}


def test_lost_and_doubled_mails_are_noticed() -> None:
    assert rules(250) == {"lost": 1}
    assert rules(250, copy(mail()), copy(mail())) == {"doubled": 1}
    assert rules(0, copy(mail()), copy(mail())) == {"doubled": 1}
    assert rules(250, replace(copy(mail()), body=None)) == {"unreadable": 1, "lost": 1}


def test_a_mail_that_was_refused_and_stored_is_noticed() -> None:
    assert rules(451, copy(mail())) == {"refused": 1}
    assert rules(550, copy(mail())) == {"refused": 1}


def test_some_recipients_but_not_all_is_noticed() -> None:
    two = mail(RUN.inbox(1), RUN.member(2))
    assert rules(0, copy(two), to=two) == {"partial": 1}
    assert rules(250, copy(two), to=two) == {"partial": 1, "lost": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-1],
        lambda body: body + b"\r\n",
        lambda body: body.replace(b"\r\n..", b"\r\n."),
        lambda body: body.replace(b"\r\n\r\n", b"\n\n"),
        lambda body: body.replace(b"Return-Path", b"Return-path"),
        lambda body: body.replace(ID.encode(), b"0" * 32),
        lambda body: b"X-Extra: field\r\n" + body,
    ],
)
def test_one_changed_byte_is_noticed(change: Callable[[bytes], bytes]) -> None:
    true = copy(mail())
    assert rules(250, replace(true, body=change(true.body or b""))) == {"altered": 1}


def test_another_envelope_is_noticed() -> None:
    true = copy(mail())
    assert rules(250, replace(true, envelope={**true.envelope, "subject": "another"})) == {"altered": 1}
    assert rules(250, replace(true, envelope={})) == {"altered": 1}


def test_mails_that_nobody_sent_there_are_noticed() -> None:
    assert rules(250, copy(mail()), replace(copy(mail()), body=b"no canary")) == {"strange": 1}
    assert rules(250, copy(mail()), copy(mail(), RUN.inbox(2))) == {"strange": 1}


def test_missing_doubled_and_empty_announcements_are_noticed() -> None:
    assert judge_events(["a"], {"a": 1}) == []
    assert summary(judge_events(["a", "b"], {"b": 2, "c": 1})) == {
        "unannounced": 1, "announced twice": 1, "announced in vain": 1
    }  # fmt: skip


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda text: text,
    "upper": bytes.upper,
    "reversed": lambda text: text[::-1],
    "rot13": lambda text: codecs.encode(text.decode(), "rot13").encode(),
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64url": base64.urlsafe_b64encode,
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text)),
    "base64 reversed": lambda text: base64.b64encode(text)[::-1],
    "base32": base64.b32encode,
    "base85": base64.b85encode,
    "ascii85": base64.a85encode,
    "hex": lambda text: text.hex().encode(),
    "HEX": lambda text: text.hex().upper().encode(),
    "quoted-printable": lambda text: b"".join(b"=%02X" % byte for byte in text),
    "quoted-printable, as it comes": lambda text: quopri.encodestring(text, quotetabs=True),
    "percent": lambda text: b"".join(b"%%%02x" % byte for byte in text),
    "json": lambda text: b"".join(b"\\u%04x" % byte for byte in text),
    "html": lambda text: b"".join(b"&#%d;" % byte for byte in text),
    "utf-16": lambda text: text.decode().encode("utf-16"),
    "utf-16-be": lambda text: text.decode().encode("utf-16-be"),
    "utf-32": lambda text: text.decode().encode("utf-32"),
    "base64 of utf-16": lambda text: base64.b64encode(text.decode().encode("utf-16-le")),
    "zlib": zlib.compress,
    "gzip": gzip.compress,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("offset", range(5))
@pytest.mark.parametrize("canary", [RUN.canary("b", 4711), RUN.canary("s", 1), RUN.member(3)])
def test_a_planted_canary_is_found(tmp_path: Path, encoding: str, offset: int, canary: str) -> None:
    text = b"." * offset + canary.encode() + b" and what stands around it, and more of it; " + canary.encode()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.db-wal").write_bytes(
        secrets.token_bytes(5000) + ENCODINGS[encoding](text) + secrets.token_bytes(5000)
    )
    assert Scanner(RUN.token).scan(tmp_path)


def test_a_canary_in_a_file_name_is_found_and_noise_is_not(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(secrets.token_bytes(2_000_000))
    assert Scanner(RUN.token, [RUN.address]).scan(tmp_path) == []
    (tmp_path / f"{RUN.member(1)}.eml").touch()
    assert Scanner(RUN.token).scan(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "[]",
        '{"time":"now","level":"info","service":"x","logger":"x","event":"x"}',
        '{"time":"2026-11-22T17:00:00.000+00:00","level":"info","service":"x","logger":"x","event":"x","address":"a"}',
        '{"time":"2026-11-22T17:00:00.000+00:00","level":"info","service":"x","logger":"x","event":"x","reason":"a@b"}',
        '{"time":"2026-11-22T17:00:00.000+00:00","level":"info","service":"x","logger":"x","event":"mail from a"}',
    ],
)
def test_a_line_beside_the_closed_list_is_noticed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "service.log"
    good = '{"time":"2026-11-22T17:00:00.000+00:00","level":"info","service":"x","logger":"x","event":"x","count":1}\n'
    path.write_text(good)
    assert log_faults(path) == []
    path.write_text(good + line + "\n")
    assert len(log_faults(path)) == 1


def run_load(platform: RunningPlatform, run: Run, journal: Path, mails: int, members: int = 0) -> Ledger:
    smtp = (platform.smtp_host, platform.smtp_port)
    assignment = Assignment(run, *smtp, str(journal), mails, mails, members, large_every=0)
    with load(assignment) as client:
        client.finish()
    return client.ledger()


def faults_of(folder: Path, *sabotage: str) -> dict[str, int]:
    """Return which rules are broken when a platform with these faults gets forty mails, leaks among them."""
    run = Run.fresh()
    home = folder / "home"
    with spoiled_platform(home, *sabotage) as platform, closing(Mailboxes(platform, run)) as mailboxes:
        mailboxes.sign_up(2)
        record = run_load(platform, run, folder / "journal", 40, members=2)
        faults, copies = mail_faults(mailboxes, run, record)
        drained(platform, copies)
    faults += event_faults(home, folder / "events", copies)
    leaks = Scanner(run.token, [run.address]).scan(home, folder / "home-scratch")
    return summary(faults) | ({"leaks": len(leaks)} if leaks else {})


def test_crashes_at_the_worst_moments_are_got_over(tmp_path: Path) -> None:
    assert faults_of(tmp_path, *FAULTS) == {}
    assert {path.name for path in (tmp_path / "home-scratch").iterdir()} == {"died-append", "died-publish"}


def test_without_dedupe_and_with_a_spool_the_same_crashes_are_noticed(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, *FAULTS, *MISSING)
    assert {"doubled", "announced twice", "leaks"} <= set(faults)


def faults_after_power_cut(folder: Path, *sabotage: str) -> dict[str, int]:
    """Return which rules are broken when the disk of storage loses its power in the midst of mails."""
    run = Run.fresh()
    home = folder / "home"
    disk = LoopDisk(folder / "disk.img", home / "data" / "storage")
    disk.mount()
    try:
        with spoiled_platform(home, *sabotage) as platform:
            assignment = Assignment(
                run, platform.smtp_host, platform.smtp_port, str(folder / "journal"), 5000, 5000, large_every=20
            )
            with load(assignment) as client:
                client.wait_accepted(150)
                disk.cut_power()
                client.kill()
            end_at_once(platform)
        disk.unmount()
        disk.mount()
        with spoiled_platform(home, *sabotage) as platform, closing(Mailboxes(platform, run)) as mailboxes:
            record = client.ledger()
            assert len(record.accepted()) >= 150
            return summary(mail_faults(mailboxes, run, record)[0])
    finally:
        disk.unmount()


def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    assert faults_after_power_cut(tmp_path) == {}


def test_without_fsync_a_power_cut_is_noticed(tmp_path: Path) -> None:
    """Other work of storage on the same disk, scrubbing, syncs too: what came just before it is kept by chance."""
    homes = [tmp_path / str(number) for number in range(4)]
    for home in homes:
        home.mkdir()
    assert any(faults_after_power_cut(home, "storage:sync_off").get("lost", 0) > 0 for home in homes)


def test_without_fsync_a_disk_that_fails_goes_unnoticed_and_that_is_noticed(tmp_path: Path) -> None:
    """The platform in order answers 4xx here: test_faults_disk.py."""
    run = Run.fresh()
    with spoiled_platform(tmp_path / "home", "storage:sync_off") as platform:
        with failing_calls(pids(platform)["storage"], "fsync,fdatasync", "EIO"):
            record = run_load(platform, run, tmp_path / "journal", 20)
    assert len(record.accepted()) == 20
