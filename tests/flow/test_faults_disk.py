"""Disks that fail or are full: mail is refused for a while, goes in as soon as it can again, and nothing is lost.

Nobody lends a hand: once the fault is over the same processes take the same mails.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libs.client.errors import UnreachableError
from tests.support.ledger import Load, drained, event_faults, load, mail_faults
from tests.support.ledger_check import StoredCopy
from tests.support.ledger_client import Assignment
from tests.support.ledger_disk import failing_calls, fill, small_disk
from tests.support.ledger_journal import Ledger
from tests.support.ledger_mail import Run
from tests.support.ledger_mailboxes import Mailboxes
from tests.support.ledger_procs import is_ready, kill, pids, wait_for
from tests.support.platform import RunningPlatform, running_platform

_RECOVERY_SECONDS = 15.0
_SHOWN_SECONDS = 30.0
_FEW = 40
_TEMPORARY = {421, 451, 452}


class Scene:
    """A platform, its members and its mails."""

    def __init__(self, platform: RunningPlatform, folder: Path) -> None:
        """Begin without members."""
        self.platform = platform
        self.run = Run.fresh()
        self.folder = folder
        self.mailboxes = Mailboxes(platform, self.run)

    def __enter__(self) -> Scene:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the connections of the readers."""
        self.mailboxes.close()

    @contextmanager
    def load(self, mails: int, *, members: int = 2) -> Iterator[Load]:
        """Have a client send at least so many mails, and more until it is told to end."""
        journal = str(self.folder / "journal")
        smtp = (self.platform.smtp_host, self.platform.smtp_port)
        with load(Assignment(self.run, *smtp, journal, mails, 4000, members, large_every=20)) as client:
            yield client

    def settle(self, ledger: Ledger) -> list[StoredCopy]:
        """Return all that is stored, which must be what `ledger` says.

        A mail to several recipients is accepted when that is decided and durable; where the disk fails between that and
        showing the copies, they are shown by storage's recovery, which looks every ten seconds.
        """
        faults, copies = mail_faults(self.mailboxes, self.run, ledger)
        end = time.monotonic() + _SHOWN_SECONDS
        while faults and {fault.rule for fault in faults} <= {"lost", "partial"} and time.monotonic() < end:
            time.sleep(2.0)
            faults, copies = mail_faults(self.mailboxes, self.run, ledger)
        assert [str(fault) for fault in faults] == []
        drained(self.platform, copies)
        return copies


def outcomes_since(client: Load, before: Ledger) -> list[int]:
    """Return the codes of the outcomes that `before` does not know."""
    return [outcome.code for number, outcome in client.ledger().outcomes.items() if number not in before.outcomes]


def wait_outcomes(client: Load, before: Ledger) -> list[int]:
    """Let a fault last until it has decided over some mails; return the replies."""
    wanted = client.concluded() + _FEW
    wait_for("replies in spite of the fault", lambda: client.concluded() > wanted, 40.0)
    return outcomes_since(client, before)


def test_mail_is_refused_while_fsync_fails_and_taken_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_platform(home) as platform, Scene(platform, tmp_path) as scene:
        scene.mailboxes.sign_up(2)
        with scene.load(200) as client:
            client.wait_accepted(100)
            storage = pids(platform)["storage"]
            with failing_calls(storage, "fsync,fdatasync", "EIO"):
                # What had its fsync before the fault may still be on its way to the client.
                time.sleep(0.3)
                codes = wait_outcomes(client, client.ledger())
            seconds = client.wait_accepted(_FEW, _RECOVERY_SECONDS)
            client.finish()
        assert set(codes) <= _TEMPORARY
        assert pids(platform)["storage"] == storage
        copies = scene.settle(client.ledger())
    assert [str(fault) for fault in event_faults(home, tmp_path / "events", copies)] == []
    print(f"recovered {seconds:.1f} s after fsync worked again")


def test_a_kill_in_the_midst_of_failing_fsync_brings_nothing_back_that_was_refused(tmp_path: Path) -> None:
    with running_platform(tmp_path / "home") as platform, Scene(platform, tmp_path) as scene:
        with scene.load(100, members=0) as client:
            client.wait_accepted(50)
            storage = pids(platform)["storage"]
            with failing_calls(storage, "fsync,fdatasync", "EIO"):
                time.sleep(0.3)
                wait_outcomes(client, client.ledger())
                kill(storage)
            client.wait_accepted(_FEW, 30.0)
            client.finish()
        scene.settle(client.ledger())


def test_new_keys_wait_for_the_disk_of_crypto(tmp_path: Path) -> None:
    with running_platform(tmp_path / "home") as platform, Scene(platform, tmp_path) as scene:
        crypto = pids(platform)["crypto"]
        with scene.load(_FEW, members=0) as client:
            # The first public mail of the day needs a new key of the day.
            with failing_calls(crypto, "fsync,fdatasync", "EIO"):
                codes = wait_outcomes(client, Ledger())
                with pytest.raises(UnreachableError):
                    scene.mailboxes.sign_up(1)
            client.wait_accepted(_FEW, _RECOVERY_SECONDS)
            client.finish()
        assert set(codes) <= _TEMPORARY
        assert pids(platform)["crypto"] == crypto
        scene.mailboxes.members.clear()
        wait_for("sign-up again", lambda: _signs_up(scene), _RECOVERY_SECONDS)
        scene.settle(client.ledger())


def _signs_up(scene: Scene) -> bool:
    try:
        scene.mailboxes.sign_up(1)
    except UnreachableError:
        return False
    return True


def test_a_full_disk_refuses_mail_until_there_is_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    place = home / "data" / "storage"
    with small_disk(place, 96), running_platform(home) as platform, Scene(platform, tmp_path) as scene:
        scene.mailboxes.sign_up(2)
        with scene.load(300) as client:
            client.wait_accepted(100)
            storage = pids(platform)["storage"]
            filler = fill(place)
            _wait_refused(client)
            codes = wait_outcomes(client, client.ledger())
            filler.unlink()
            seconds = client.wait_accepted(_FEW, _RECOVERY_SECONDS)
            client.finish()
        assert set(codes) <= _TEMPORARY
        assert pids(platform)["storage"] == storage
        assert is_ready(platform, "storage")
        copies = scene.settle(client.ledger())
    assert [str(fault) for fault in event_faults(home, tmp_path / "events", copies)] == []
    print(f"recovered {seconds:.1f} s after there was room")


def _wait_refused(client: Load) -> None:
    """Return when nothing has been accepted for a while: the last free bytes are used up."""
    while True:
        accepted = client.accepted()
        time.sleep(1.0)
        if client.accepted() == accepted:
            return
