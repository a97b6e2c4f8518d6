"""Backups of an installation, and bringing one back so that who was erased stays erased.

    python -m libs.local.backup save DIRECTORY               the platform of `make run`, running or not
    python -m libs.local.backup restore DIRECTORY [--register-lost]      the same, stopped
    python -m libs.local.backup mongodb-save DIRECTORY DATABASE...       any MongoDB, by SEALPOST_BACKUP_URI
    python -m libs.local.backup mongodb-restore DIRECTORY DATABASE...

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
import sys
from collections.abc import Sequence
from pathlib import Path

from libs.docstore import backup
from libs.docstore.backup import BackupError
from libs.local import settings as local
from libs.local.plan import ROOT
from libs.runtime.clock import Clock, SystemClock

REGISTER = "register/register.jsonl"
MARKER = "register/replay.pending"
_SUFFIX = ".db"
# Its ledger has been published: what it says of the past must not change.
_NEVER_BACK = "retention"


def save(home: Path, target: Path, clock: Clock) -> list[str]:
    """Copy every store below `home` into `target`, which is made; return their names. Raises: BackupError, OSError."""
    stores = {path.stem: path for path in sorted((home / "data").glob(f"*/*{_SUFFIX}"))}
    if not stores:
        raise BackupError(f"there is nothing to save in {home}")
    target.mkdir(parents=True, mode=0o700)
    for name, path in stores.items():
        backup.save_file(path, target / f"{name}{_SUFFIX}")
    backup.write_manifest(target, clock.now())
    return list(stores)


def restore(home: Path, source: Path, *, register_lost: bool = False) -> list[str]:
    """Put the stores in `source` back below `home`; return their names. Raises: BackupError, OSError.

    Everything is checked before anything is changed. Without a register nobody knows who has to be erased again, so
    that has to be said: `register_lost`.
    """
    if is_running(home):
        raise BackupError("the platform is running; stop it first")
    manifest = backup.read_manifest(source)
    names = [name.removesuffix(_SUFFIX) for name in manifest.files if name.endswith(_SUFFIX)]
    # retention's own store has a copy of the register, and stays.
    known = (home / REGISTER).exists() or (home / "data" / _NEVER_BACK / f"{_NEVER_BACK}{_SUFFIX}").exists()
    if not known and not register_lost:
        raise BackupError(
            f"no register of erasures at {home / REGISTER}: whoever was erased after the backup would be back. "
            "Bring the register back first, or say that it is lost."
        )
    for name in names:
        backup.check_file(source / f"{name}{_SUFFIX}")
    # First: should this be interrupted, what is half restored lets nobody in.
    marker = home / MARKER
    marker.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    marker.touch(mode=0o600)
    restored = []
    for name in names:
        target = home / "data" / name / f"{name}{_SUFFIX}"
        if name == _NEVER_BACK and target.exists():
            continue
        backup.restore_file(source / f"{name}{_SUFFIX}", target)
        restored.append(name)
    return restored


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


def _mongodb(action: str, folder: Path, databases: Sequence[str]) -> None:
    from libs.docstore.mongo_backup import restore_database, save_database

    uri = os.environ.get("SEALPOST_BACKUP_URI", "")
    if not uri:
        raise BackupError("SEALPOST_BACKUP_URI has to name the MongoDB, mongodb://...")
    if action == "mongodb-save":
        folder.mkdir(parents=True, mode=0o700)
        for database in databases:
            asyncio.run(save_database(uri, database, folder))
        backup.write_manifest(folder, SystemClock().now())
    else:
        backup.read_manifest(folder)
        for database in databases:
            asyncio.run(restore_database(uri, database, folder))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit code: 0 done, 1 not possible, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m libs.local.backup", description="Backups that forget who was erased."
    )
    parser.add_argument("action", choices=("save", "restore", "mongodb-save", "mongodb-restore"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("databases", nargs="*")
    parser.add_argument("--register-lost", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.action.startswith("mongodb"):
            if not options.databases:
                parser.error("name the databases")
            _mongodb(options.action, options.directory, options.databases)
            print(f"{options.action}: {', '.join(options.databases)}")
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
    except FileExistsError:
        print(f"{options.directory} is there already; a backup needs a new directory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
