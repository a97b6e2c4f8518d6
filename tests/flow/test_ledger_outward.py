"""The ledger test outward: mails to the rest of the world while every process on their way is killed.

One run, looked at from several sides. A separate process has recorded, on disk, what it was told; it is compared with
what the servers of the world have taken, with the reports in the senders' mailboxes, and with every byte that the
platform has left anywhere, while mails were in the queue and after. Meanwhile one of the servers is away, and another
breaks the connection instead of saying that it has taken a mail.

The waits between attempts are seconds here; tests/unit/delivery/test_ledger_nodes.py has those of production, a server
that is away for half an hour, and workers that come too late for their mails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from tests.support.ledger_journal import Ledger
from tests.support.ledger_kills import Recovery, kill_in_turn
from tests.support.ledger_logs import log_faults, log_files
from tests.support.ledger_mail import Shape
from tests.support.ledger_procs import command_lines, files_open_for_writing, wait_for
from tests.support.ledger_scan import Leak, Scanner
from tests.support.outward import SIGNED_UP_FROM, Outward, outward
from tests.support.outward_check import Reckoning
from tests.support.outward_mail import FORGETFUL, REFUSING, RELAYS, SLEEPY, STEADY, OutwardRun
from tests.support.outward_world import Arrival
from tests.support.platform import ROOT

pytestmark = pytest.mark.timeout(300)

_MAILS = 300
_BETWEEN_KILLS = 30
# delivery twice: what the first one had begun is taken over by the next while others are killed.
_VICTIMS = ("crypto", "delivery", "storage", "nats", "billing", "ingest", "delivery")
# When one of the servers goes away, and comes back.
_AWAY_AFTER, _BACK_AFTER = "crypto", "delivery"
# A death leaves in doubt what is under way: no more than per_destination allows for each of three destinations.
_REPEATED_PER_DEATH = 3 * 20


@dataclass
class Aftermath:
    """What one run has left."""

    run: OutwardRun
    home: Path
    temporary: Path
    ledger: Ledger = field(default_factory=Ledger)
    arrivals: list[Arrival] = field(default_factory=list)
    reckoning: Reckoning = field(default_factory=Reckoning)
    recoveries: list[Recovery] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    waiting: int = 0
    settled: float = 0.0
    open_files: set[str] = field(default_factory=set)
    metered: dict[str, int] = field(default_factory=dict)

    def paid(self) -> dict[str, int]:
        """Return how many recipients have the mails of each account that pays for them: members do not."""
        return {one: self.reckoning.delivered[one] for one in self.run.accounts()[:RELAYS]}


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Run it once."""
    folder = tmp_path_factory.mktemp("outward")
    temporary = folder / "temporary"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        found, scanner = _live(folder, temporary)
    found.leaks += scanner.scan(found.home, folder / "home-scratch", temporary)
    _write_report(found, scanner)
    yield found


def _live(folder: Path, temporary: Path) -> tuple[Aftermath, Scanner]:
    with outward(folder, lease=8) as scene:
        found = Aftermath(scene.run, scene.platform.home, temporary)
        scanner = Scanner(scene.run.token, [scene.run.address, SIGNED_UP_FROM])
        _load_and_kill(found, scene, scanner)
        found.settled = scene.settle()
        found.arrivals = scene.world.arrivals()
        found.reckoning = scene.reckon(found.ledger)
        found.metered = scene.metered(found.paid())
        found.unsigned = scene.unsigned(found.arrivals)
        found.leaks += scanner.scan_bytes("what it prints", "\n".join(scene.platform.output).encode())
        found.leaks += scanner.scan_bytes("command lines", command_lines(scene.platform.process.pid))
        found.open_files |= set(files_open_for_writing(scene.platform.process.pid))
    return found, scanner


def _load_and_kill(found: Aftermath, scene: Outward, scanner: Scanner) -> None:
    scene.world.sleepy.wake()
    with scene.load(_MAILS) as client:
        for victim in _VICTIMS:
            found.recoveries += kill_in_turn(scene.platform, client, [victim], _BETWEEN_KILLS)
            found.open_files |= set(files_open_for_writing(scene.platform.process.pid))
            if victim == _AWAY_AFTER:
                scene.world.sleepy.sleep()
            if victim == _BACK_AFTER and not found.waiting:
                wait_for("mails that wait", lambda: scene.queued() > 0)
                found.waiting = scene.queued()
                found.leaks += scanner.scan(found.home)
                scene.world.sleepy.wake()
        client.finish()
    found.ledger = client.ledger()
    scene.deaths += [one.at for one in found.recoveries if one.victim == "delivery"]


def _write_report(found: Aftermath, scanner: Scanner) -> None:
    report = {
        "transactions": found.ledger.counts(),
        "arrivals": len(found.arrivals),
        "repeated": {"reply lost": found.reckoning.lost_replies, "delivery killed": found.reckoning.deaths},
        "unacknowledged": found.reckoning.unacknowledged,
        "recoveries": [asdict(recovery) for recovery in found.recoveries],
        "waiting_while_searched": found.waiting,
        "seconds_to_settle": round(found.settled, 1),
        "searched": {"files": scanner.files, "bytes": scanner.bytes},
    }
    (ROOT / "artifacts").mkdir(exist_ok=True)
    (ROOT / "artifacts" / "ledger_outward.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def test_every_process_was_killed_and_came_back(aftermath: Aftermath) -> None:
    assert [one.victim for one in aftermath.recoveries] == list(_VICTIMS)
    assert len(aftermath.ledger.mails_accepted()) >= _MAILS
    counts = aftermath.ledger.counts()
    assert counts["refused"] + counts["unsent"] > 0, "no kill was felt: the load was too light to prove anything"


def test_every_acknowledged_mail_arrived_once_or_was_reported_once(aftermath: Aftermath) -> None:
    assert [str(fault) for fault in aftermath.reckoning.faults] == []
    assert {one.shape for one in aftermath.ledger.accepted()} == set(Shape)
    assert {len(one.recipients) for one in aftermath.ledger.accepted()} == {1, 2}


def test_every_server_had_its_part(aftermath: Aftermath) -> None:
    came = Counter(recipient.partition("@")[2] for one in aftermath.arrivals for recipient in one.mail.recipients)
    assert set(came) == {STEADY, FORGETFUL, SLEEPY}
    refused = [one for one in aftermath.ledger.accepted() if any(to.endswith(f"@{REFUSING}") for to in one.recipients)]
    assert len(refused) > 5
    assert aftermath.waiting > 0


def test_only_lost_replies_and_deaths_made_mails_arrive_again(aftermath: Aftermath) -> None:
    """That there was nothing else is among the rules; here, that it was not more than there can be."""
    lost = sum(len(one.mail.recipients) for one in aftermath.arrivals if one.lost)
    assert 5 < aftermath.reckoning.lost_replies <= lost
    assert aftermath.reckoning.deaths <= _REPEATED_PER_DEATH * _VICTIMS.count("delivery")


def test_metered_deliveries_are_deliveries_exactly(aftermath: Aftermath) -> None:
    paid = aftermath.paid()
    assert min(paid.values()) > 20
    assert aftermath.metered == paid | dict.fromkeys(aftermath.run.accounts()[RELAYS:], 0)


def test_all_signatures_hold(aftermath: Aftermath) -> None:
    assert aftermath.unsigned == []


def test_no_canary_is_anywhere(aftermath: Aftermath) -> None:
    assert [str(leak) for leak in aftermath.leaks] == []


def test_nothing_is_written_outside_of_the_home(aftermath: Aftermath) -> None:
    assert {path for path in aftermath.open_files if not path.startswith(f"{aftermath.home}/")} == set()
    assert [str(path) for path in aftermath.temporary.rglob("*")] == []
    assert [str(path) for path in aftermath.home.rglob("core*")] == []


def test_nothing_of_the_client_is_in_the_mails(aftermath: Aftermath) -> None:
    secret = (aftermath.run.address.encode(), aftermath.run.hello.encode(), b"Received:")
    assert [word for word in secret if any(word in one.mail.content for one in aftermath.arrivals)] == []
    assert {one.mail.hello for one in aftermath.arrivals} == {"mx.sealpost.test"}


def test_every_log_line_keeps_to_the_closed_list(aftermath: Aftermath) -> None:
    files = log_files(aftermath.home)
    assert "delivery" in {path.stem for path in files}
    assert [fault for path in files for fault in log_faults(path)] == []
    named = re.compile(rb"[0-9]+(\.[0-9]+){3}|@|[a-z]\.test")
    assert [path.name for path in files if named.search(path.read_bytes())] == []
