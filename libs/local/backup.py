"""Backups of an installation, and bringing one back so that who was erased stays erased.

    python -m libs.local.backup save DIRECTORY               the platform of `make run`, running or not
    python -m libs.local.backup restore DIRECTORY [--register-lost]      the same, stopped
    python -m libs.local.backup mongodb-save DIRECTORY SERVICE...       any MongoDB, by SEALPOST_BACKUP_URI
    python -m libs.local.backup mongodb-restore DIRECTORY SERVICE...

A backup holds the stores, and nothing that opens them: the keys (secrets) are mounted and kept apart, so that whoever
finds a backup finds ciphertext. It does not hold the register of erasures either, for that must not go back in time:
it stays where it is, and after a restore everybody in it is erased again before anybody is let in. For the same reason
the ledger of evidence is put back only where there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from libs.docstore import backup
from libs.docstore.backup_manifest import Manifest
from libs.local import settings as local
from libs.local.plan import ROOT
from libs.policy import load_policy
from libs.runtime.clock import Clock, SystemClock, unix_seconds
from libs.runtime.errors import SealpostError

REGISTER = "register/register.jsonl"
MARKER = "register/replay.pending"
# Who refers before what is referred to (libs.docstore.backup).
ORDER = ("retention", "accounts", "delivery", "storage", "crypto", "billing", "analytics")
# Its ledger has been published: what it says of the past must not change.
_NEVER_BACK = "retention"
_OLD = "replaced"
_SAID = {
    "backup_exists": "there is something already; a backup needs a new directory",
    "store_absent": "there is nothing to save",
    "store_damaged": "a store is damaged and cannot be saved",
    "backup_absent": "there is no backup, or it was not finished",
    "backup_damaged": "the backup is not what was saved; nothing was changed",
    "backup_format": "the backup is of another format",
    "backup_stores": "the backup holds other services than these",
    "backup_engine": "the backup is of another engine",
    "not_empty": "the database is not empty",
    "backup_old": "the backup is older than erasures are remembered",
}


class BackupError(Exception):
    """A backup cannot be taken or brought back; the text says why."""


def save(home: Path, target: Path, clock: Clock) -> list[str]:
    """Copy every store below `home` into `target`; return their names. Raises: BackupError."""
    stores = {name: url for name, url in _stores(home / "data").items() if (home / "data" / name).exists()}
    return [store.name for store in _told(backup.save(stores, target, clock)).stores]


def restore(home: Path, source: Path, *, register_lost: bool = False) -> list[str]:
    """Put the stores in `source` back below `home`; return their names. Raises: BackupError.

    Everything is checked before anything is changed. Without a register nobody knows who has to be erased again, so
    that has to be said: `register_lost`.
    """
    if is_running(home):
        raise BackupError("the platform is running; stop it first")
    manifest = _told(backup.verify(source))
    if manifest.saved_at < _remembered():
        raise BackupError(_SAID["backup_old"])
    names = [store.name for store in manifest.stores]
    data = home / "data"
    # retention's own store has a copy of the register, and stays.
    stays = (data / _NEVER_BACK).exists()
    if not (home / REGISTER).exists() and not stays and not register_lost:
        raise BackupError(
            f"no register of erasures at {home / REGISTER}: whoever was erased after the backup would be back. "
            "Bring the register back first, or say that it is lost."
        )
    # First: should this be interrupted, what is half restored lets nobody in.
    marker = home / MARKER
    marker.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    marker.touch(mode=0o600)
    beside = home / _OLD
    shutil.rmtree(beside, ignore_errors=True)
    new = beside / "new"
    new.mkdir(parents=True, mode=0o700)
    _told(backup.restore(source, _stores(new, names)))
    restored = [name for name in names if not (stays and name == _NEVER_BACK)]
    for name in restored:
        if (data / name).exists():
            (data / name).replace(beside / name)
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (new / name).replace(data / name)
    shutil.rmtree(beside)
    return restored


def _remembered() -> int:
    """Return since when it is remembered who was erased, Unix seconds: an older backup may bring somebody back."""
    return unix_seconds(SystemClock()) - load_policy().rules["erasure_register_seconds"].value


def _stores(data: Path, names: Sequence[str] = ORDER) -> dict[str, str]:
    return {name: f"sqlite:{data / name}" for name in sorted(names, key=ORDER.index)}


def _told(working: Coroutine[object, object, Manifest]) -> Manifest:
    try:
        return asyncio.run(working)
    except SealpostError as error:
        raise BackupError(_SAID.get(error.reason, error.reason)) from error


def is_running(home: Path) -> bool:
    """Tell whether a platform runs in `home`, by the process ids that it leaves there."""
    try:
        pids = json.loads((home / "pids.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return any(_lives(int(pid)) for pid in pids.values())


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _mongodb(action: str, folder: Path, services: Sequence[str]) -> None:
    uri = os.environ.get("SEALPOST_BACKUP_URI", "")
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise BackupError("SEALPOST_BACKUP_URI has to name the MongoDB, mongodb://...")
    stores = {name: uri for name in sorted(services, key=lambda name: (*ORDER, name).index(name))}
    if action == "mongodb-save":
        _told(backup.save(stores, folder, SystemClock()))
    else:
        _told(backup.restore(folder, stores, not_before=_remembered()))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit code: 0 done, 1 not possible, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.local.backup", description="Backups that forget who was erased."
    )
    parser.add_argument("action", choices=("save", "restore", "mongodb-save", "mongodb-restore"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("services", nargs="*")
    parser.add_argument("--register-lost", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.action.startswith("mongodb"):
            if not options.services:
                parser.error("name the services")
            _mongodb(options.action, options.directory, options.services)
            print(f"{options.action}: {', '.join(options.services)}")
            return 0
        environ = {name: text for name, text in os.environ.items() if name != "SEALPOST_BACKUP_URI"}
        home = local.load(environ, ROOT).home
        if options.action == "save":
            print(f"saved: {', '.join(save(home, options.directory, SystemClock()))}")
        else:
            names = restore(home, options.directory, register_lost=options.register_lost)
            print(f"restored: {', '.join(names)}. At the next start whoever was erased is erased again first.")
    except (BackupError, local.LocalError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
