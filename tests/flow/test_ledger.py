"""The ledger test (docs/threat-model.md): 2,000 mails under load while every process in turn is killed.

One run, looked at from several sides. A separate process has recorded, on disk, what it was told; it is compared with
what the recipients can read, with what was announced, and with every byte that the platform has left anywhere.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import pytest

from libs.client.http import COOKIE
from tests.support.ledger import drained, event_faults, load, mail_faults
from tests.support.ledger_check import Fault, StoredCopy
from tests.support.ledger_client import Assignment
from tests.support.ledger_journal import Ledger
from tests.support.ledger_kills import Recovery, kill_in_turn, victims
from tests.support.ledger_logs import log_faults, log_files
from tests.support.ledger_mail import Run, Shape
from tests.support.ledger_mailboxes import READERS, Mailboxes, read_with_gpg
from tests.support.ledger_procs import command_lines, files_open_for_writing, metrics, wait_for
from tests.support.ledger_scan import Leak, Scanner
from tests.support.platform import ROOT, RunningPlatform, running_platform
from tests.support.tools import find_tool, require_tool

pytestmark = pytest.mark.timeout(300)

_MAILS, _MOST = 2000, 5000
# So many that nobody who reads his mails back exceeds what the gateway answers in a minute.
_MEMBERS = 8
_WORKERS = 2
_SESSIONS = 12
_BETWEEN_KILLS = 150
_GPG_SAMPLE = 100
_SERVICES = ("accounts", "analytics", "billing", "crypto", "delivery", "gateway", "ingest", "retention", "storage")


@dataclass
class Aftermath:
    """What one run has left."""

    run: Run
    home: Path
    temporary: Path
    ledger: Ledger = field(default_factory=Ledger)
    copies: list[StoredCopy] = field(default_factory=list)
    mail_faults: list[Fault] = field(default_factory=list)
    event_faults: list[Fault] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    open_files: set[str] = field(default_factory=set)
    gpg: dict[str, bytes] = field(default_factory=dict)
    metered: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Run it once."""
    folder = tmp_path_factory.mktemp("ledger")
    found = Aftermath(Run.fresh(), folder / "home", folder / "temporary")
    found.temporary.mkdir()
    scanner = Scanner(found.run.token, [found.run.address, READERS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(found.temporary))
        with running_platform(found.home, SMTP_WORKERS=str(_WORKERS)) as platform:
            _live(found, platform, folder / "journal")
            # Before the stop, which empties the write-ahead logs, and after it.
            found.leaks += _said_aloud(platform, scanner) + scanner.scan(found.home, found.temporary)
    found.leaks += scanner.scan(found.home, found.temporary)
    found.event_faults = event_faults(found.home, folder / "events", found.copies)
    _write_report(found, scanner)
    yield found


def _live(found: Aftermath, platform: RunningPlatform, journal: Path) -> None:
    with closing(Mailboxes(platform, found.run)) as mailboxes:
        mailboxes.sign_up(_MEMBERS)
        _load_and_kill(found, platform, journal)
        found.mail_faults, found.copies = mail_faults(mailboxes, found.run, found.ledger)
        drained(platform, found.copies)
        found.metered = _metered(platform, mailboxes, found.copies)
        found.open_files |= set(files_open_for_writing(platform.process.pid))
        found.gpg = _open_with_gpg(platform, mailboxes, found.copies)


def _load_and_kill(found: Aftermath, platform: RunningPlatform, journal: Path) -> None:
    assignment = Assignment(
        found.run, platform.smtp_host, platform.smtp_port, str(journal), _MAILS, _MOST, _MEMBERS, _SESSIONS
    )
    with load(assignment) as client:
        for victim in victims(platform):
            found.recoveries += kill_in_turn(platform, client, [victim], _BETWEEN_KILLS)
            found.open_files |= set(files_open_for_writing(platform.process.pid))
        found.seconds = client.finish()
    found.ledger = client.ledger()


def _open_with_gpg(platform: RunningPlatform, mailboxes: Mailboxes, copies: Sequence[StoredCopy]) -> dict[str, bytes]:
    gpg = find_tool("gpg")
    opened: dict[str, bytes] = {}
    for member in mailboxes.members if gpg is not None else ():
        ids = [copy.message_id for copy in copies if copy.owner == member.address]
        opened |= read_with_gpg(platform, member, ids[:: max(1, len(ids) * _MEMBERS // _GPG_SAMPLE)], gpg or "")
    return opened


def _metered(platform: RunningPlatform, mailboxes: Mailboxes, copies: Sequence[StoredCopy]) -> dict[str, int]:
    """Return how many stored mails billing has counted for each member, once it has as many as there are."""
    held = Counter(copy.owner for copy in copies)
    counted: dict[str, int] = {}

    def look() -> bool:
        for member in mailboxes.members:
            headers = {"Cookie": f"{COOKIE}={member.client.token}"}
            answer = httpx.get(f"{platform.url}/v1/billing/usage", headers=headers, timeout=30).raise_for_status()
            counted[member.address] = sum(day["units"].get("mails_stored", 0) for day in answer.json()["days"])
        # Not more often than the gateway answers one client.
        time.sleep(0.5)
        return all(counted[member.address] >= held[member.address] for member in mailboxes.members)

    with suppress(AssertionError):
        # Where some are missing, the test says so.
        wait_for("all mails to be counted", look, 60.0)
    return counted


def _said_aloud(platform: RunningPlatform, scanner: Scanner) -> list[Leak]:
    leaks = scanner.scan_bytes("process list", command_lines(platform.process.pid))
    leaks += scanner.scan_bytes("terminal", "\n".join(platform.output).encode())
    for name in _SERVICES:
        leaks += scanner.scan_bytes(f"metrics of {name}", metrics(platform, name).encode())
    return leaks


def _write_report(found: Aftermath, scanner: Scanner) -> None:
    report = {
        "mails_per_second": round(found.ledger.counts()["accepted"] / found.seconds, 1),
        "seconds": round(found.seconds, 1),
        "transactions": found.ledger.counts(),
        "copies": len(found.copies),
        "recoveries": [asdict(recovery) for recovery in found.recoveries],
        "opened_by_gpg": len(found.gpg),
        "searched": {"files": scanner.files, "bytes": scanner.bytes},
    }
    (ROOT / "artifacts").mkdir(exist_ok=True)
    (ROOT / "artifacts" / "ledger.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def test_every_process_was_killed_and_came_back(aftermath: Aftermath) -> None:
    killed = [recovery.victim for recovery in aftermath.recoveries]
    assert killed == [*(f"worker {place}" for place in range(_WORKERS)), *_SERVICES, "nats"]
    assert len(aftermath.ledger.mails_accepted()) >= _MAILS
    counts = aftermath.ledger.counts()
    assert counts["refused"] > 0, "no kill was felt: the load was too light to prove anything"


def test_every_acknowledged_mail_is_there_once_and_byte_for_byte(aftermath: Aftermath) -> None:
    assert [str(fault) for fault in aftermath.mail_faults] == []
    assert {one.shape for one in aftermath.ledger.accepted()} == set(Shape)
    assert {len(one.recipients) for one in aftermath.ledger.accepted()} == {1, 3}


def test_gnupg_opens_what_was_acknowledged(aftermath: Aftermath) -> None:
    require_tool("gpg")
    opened = {copy.message_id: copy.body for copy in aftermath.copies}
    assert len(aftermath.gpg) >= _GPG_SAMPLE
    assert [one for one, body in aftermath.gpg.items() if body != opened[one]] == []


def test_every_stored_mail_was_announced_once(aftermath: Aftermath) -> None:
    assert [str(fault) for fault in aftermath.event_faults] == []


def test_metered_mails_are_acknowledged_mails_exactly(aftermath: Aftermath) -> None:
    held = Counter(copy.owner for copy in aftermath.copies)
    assert len(aftermath.metered) == _MEMBERS
    assert aftermath.metered == {address: held[address] for address in aftermath.metered}


def test_failures_were_told_as_failures(aftermath: Aftermath) -> None:
    outcomes = list(aftermath.ledger.outcomes.values())
    assert len(outcomes) == len(aftermath.ledger.transactions)
    odd = {(one.code, one.stage) for one in outcomes if not one.accepted and one.code and not 400 <= one.code < 600}
    assert odd == set()
    # No reply at all is for those whose worker was killed, by itself or with its parent.
    assert sum(one.unknown for one in outcomes) <= 2 * _WORKERS * _SESSIONS


def test_no_canary_is_anywhere(aftermath: Aftermath) -> None:
    assert [str(leak) for leak in aftermath.leaks] == []


def test_nothing_is_written_outside_of_the_home(aftermath: Aftermath) -> None:
    outside = {path for path in aftermath.open_files if not path.startswith(f"{aftermath.home}/")}
    assert outside == set()
    assert [str(path) for path in aftermath.temporary.rglob("*")] == []
    assert [str(path) for path in aftermath.home.rglob("core*")] == []


def test_every_log_line_keeps_to_the_closed_list(aftermath: Aftermath) -> None:
    files = log_files(aftermath.home)
    assert {path.stem for path in files} == set(_SERVICES)
    assert [fault for path in files for fault in log_faults(path)] == []
    assert [path.name for path in files if re.search(rb"[0-9]+(\.[0-9]+){3}|@|sealpost\.test", path.read_bytes())] == []
    nats = (aftermath.home / "log" / "nats.log").read_bytes()
    assert READERS.encode() not in nats
    assert b"sealpost.test" not in nats
