"""Faults on the way out that nobody mends: disks that cannot write, servers that go, a crash at the worst moment.

One run. Its process dies once by itself when the first mail has been taken elsewhere, before that is written down; then
fsync fails in turn for the queue and for the keys; then a server goes away and comes back. All the while another server
loses replies, and a client goes on submitting.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.support.ledger import Load
from tests.support.ledger_check import summary
from tests.support.ledger_disk import failing_calls
from tests.support.ledger_journal import Ledger
from tests.support.ledger_procs import kill, pids, wait_for
from tests.support.ledger_scan import Leak, Scanner
from tests.support.outward import Outward, outward
from tests.support.outward_check import Found, judge_outward
from tests.support.outward_mail import SLEEPY, OutwardRun

pytestmark = pytest.mark.timeout(300)

_MAILS = 200
_FEW = 25
_RECOVERY_SECONDS = 20.0
# Mails that are under way when a disk fails are written down when it is back, if that is before their lease is over.
_FAULT_SECONDS = 2.5
# per_destination, for each of three destinations.
_UNDER_WAY = 3 * 20
_TEMPORARY = {0, 421, 451, 452, 454}


@dataclass
class Aftermath:
    """What the run has left. `codes`: what clients were told while fsync failed, by service."""

    run: OutwardRun
    ledger: Ledger = field(default_factory=Ledger)
    found: Found = field(default_factory=lambda: Found((), ()))
    codes: dict[str, list[int]] = field(default_factory=dict)
    same_process: dict[str, bool] = field(default_factory=dict)
    recovered: dict[str, float] = field(default_factory=dict)
    unsigned: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Run it once."""
    folder = tmp_path_factory.mktemp("faults")
    with outward(folder, "delivery:crash_after_reply") as scene:
        result = Aftermath(scene.run)
        scene.world.sleepy.wake()
        with scene.load(_MAILS) as client:
            _crash(scene, folder, client)
            for service in ("delivery", "crypto"):
                _fail_fsync(result, scene, client, service)
            _kill_while_fsync_fails(scene, client)
            _send_away(scene, client)
            client.finish()
        result.ledger = client.ledger()
        scene.settle()
        result.found = scene.found()
        result.unsigned = scene.unsigned(result.found.arrivals)
    result.leaks = Scanner(scene.run.token, [scene.run.address]).scan(folder / "home", folder / "home-scratch")
    yield result


def _crash(scene: Outward, folder: Path, client: Load) -> None:
    before = pids(scene.platform)["delivery"]
    marker = folder / "home-scratch" / "died-reply"
    wait_for("a crash", marker.exists)
    wait_for("delivery back", lambda: pids(scene.platform).get("delivery", before) != before)
    client.wait_accepted(_FEW)


def _fail_fsync(result: Aftermath, scene: Outward, client: Load, service: str) -> None:
    process = pids(scene.platform)[service]
    with failing_calls(process, "fsync,fdatasync", "EIO"):
        # What had its fsync before the fault may still be on its way to the client.
        time.sleep(0.3)
        before = client.ledger()
        wanted, end = client.concluded() + _FEW, time.monotonic() + _FAULT_SECONDS
        while client.concluded() < wanted and time.monotonic() < end:
            time.sleep(0.05)
        result.codes[service] = client.codes_since(before)
    result.recovered[service] = client.wait_accepted(_FEW, _RECOVERY_SECONDS)
    result.same_process[service] = pids(scene.platform)[service] == process


def _kill_while_fsync_fails(scene: Outward, client: Load) -> None:
    process = pids(scene.platform)["delivery"]
    with failing_calls(process, "fsync,fdatasync", "EIO"):
        time.sleep(0.5)
        scene.deaths.append(time.monotonic())
        kill(process)
    client.wait_accepted(_FEW, _RECOVERY_SECONDS)


def _send_away(scene: Outward, client: Load) -> None:
    scene.world.sleepy.sleep()
    client.wait_accepted(2 * _FEW, 60.0)
    wait_for("mails that wait", lambda: scene.queued() > 0)
    scene.world.sleepy.wake()


def test_mail_is_refused_for_a_while_and_then_taken_by_the_same_processes(aftermath: Aftermath) -> None:
    assert set(aftermath.codes["delivery"]) <= _TEMPORARY
    assert aftermath.codes["delivery"], "nothing was submitted while fsync failed"
    # Keys that were made before are used up first.
    assert set(aftermath.codes["crypto"]) <= _TEMPORARY | {250}
    assert aftermath.same_process == {"delivery": True, "crypto": True}
    print({service: round(seconds, 1) for service, seconds in aftermath.recovered.items()})


def test_the_crash_repeats_what_it_forgot_and_nothing_else(aftermath: Aftermath) -> None:
    """Nobody has told the reckoning of this death, so it sees the mail twice; told of it, it sees nothing."""
    blind = judge_outward(aftermath.run, aftermath.ledger, aftermath.found)
    assert set(summary(blind.faults)) <= {"doubled"}
    assert 1 <= len(blind.faults) <= _UNDER_WAY
    first = min(one.at for one in aftermath.found.arrivals)
    told = replace(aftermath.found, deaths=[first, *aftermath.found.deaths])
    seeing = judge_outward(aftermath.run, aftermath.ledger, told)
    assert [str(fault) for fault in seeing.faults] == []
    assert seeing.deaths >= 1
    assert seeing.lost_replies > 0


def test_what_waited_for_a_server_came_when_it_was_back(aftermath: Aftermath) -> None:
    came = [one for one in aftermath.found.arrivals if any(to.endswith(f"@{SLEEPY}") for to in one.mail.recipients)]
    wanted = [one for one in aftermath.ledger.accepted() if any(to.endswith(f"@{SLEEPY}") for to in one.recipients)]
    assert len(came) >= len(wanted) > _FEW


def test_all_signatures_hold(aftermath: Aftermath) -> None:
    assert aftermath.unsigned == []


def test_no_canary_is_anywhere(aftermath: Aftermath) -> None:
    assert [str(leak) for leak in aftermath.leaks] == []
