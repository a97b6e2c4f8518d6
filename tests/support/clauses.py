"""Mechanisms of clauses that a test takes out of a running platform, one by one, and puts back.

A file names the saboteurs that are at work at this moment. A saboteur puts something in the place of the symbol that
enforces a clause, once, when a service starts: it does what was there before, and while the file names it, what
a platform without that mechanism would do. The file is looked at again every few milliseconds, so nothing is restarted.
"""

from __future__ import annotations

import copy
import functools
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from libs.docstore.places import sqlite_path
from tests.support.altered import replace
from tests.support.ledger_procs import wait_for

VARIABLE = "CLAUSES_OFF_FILE"
LOOK_SECONDS = 0.05
_BUSY_SECONDS = 10.0
_TABLE = "written_down"

Anything = Callable[..., Any]


@dataclass(frozen=True)
class Saboteur:
    """Breaks one clause, in one way, in the services named. `spoil` is told which service it is in.

    `name` is what the file says: the clause, and behind a slash the way where there are several.
    """

    name: str
    services: tuple[str, ...]
    spoil: Callable[[str], None]

    @property
    def clause(self) -> str:
        """Return the clause."""
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class Broken:
    """The file, as the test writes it."""

    path: Path

    def put(self, *names: str) -> None:
        """Let these saboteurs work and no other; every process knows it when this returns."""
        new = self.path.with_suffix(".new")
        new.write_text(" ".join(names), encoding="ascii")
        new.replace(self.path)
        time.sleep(2 * LOOK_SECONDS)

    @contextmanager
    def by(self, *names: str) -> Iterator[None]:
        """Let these saboteurs work for a while, and none afterwards."""
        self.put(*names)
        try:
            yield
        finally:
            self.put()


class _Looking:
    """The file, as services read it."""

    def __init__(self) -> None:
        self._looked = float("-inf")
        self._names: Collection[str] = ()

    def names(self) -> Collection[str]:
        at = time.monotonic()
        if at - self._looked >= LOOK_SECONDS:
            self._looked = at
            self._names = Path(os.environ[VARIABLE]).read_text(encoding="ascii").split()
        return self._names


_looking = _Looking()


def is_off(name: str) -> bool:
    """Tell whether the mechanism that a saboteur takes away is off just now."""
    return name in _looking.names()


def switch(saboteur: str, place: Any, name: str, without: Callable[[Anything], Anything]) -> None:
    """Put a switch in the place of `place.name`: on, what was there; off, what `without` makes of it.

    A function of a module is replaced in every module that has imported it by name. Raises: AttributeError if it is not
    there any more.
    """
    kept = getattr(place, name, None)
    if kept is None:
        raise AttributeError(f"there is no {name} to switch any more")
    spoiled = without(kept)

    @functools.wraps(kept)
    def switched(*args: Any, **given: Any) -> Any:
        return (spoiled if is_off(saboteur) else kept)(*args, **given)

    replace(place, name, switched)
    if isinstance(place, type(sys)):
        for module in list(sys.modules.values()):
            if getattr(module, name, None) is kept:
                setattr(module, name, switched)


def returning(value: Any) -> Callable[[Anything], Anything]:
    """Return what makes of any function one that does nothing and returns `value`."""
    return lambda kept: lambda *args, **given: value


def awaited(value: Any) -> Callable[[Anything], Anything]:
    """Return what makes of any coroutine function one that does nothing and returns `value`."""

    async def nothing(*args: Any, **given: Any) -> Any:
        return value

    return lambda kept: nothing


def write_down(content: bytes) -> None:
    """Keep something where it has no place: in clear, in a table beside the documents of this service."""
    with closing(sqlite3.connect(_store(), timeout=_BUSY_SECONDS)) as connection, connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (content BLOB)")
        connection.execute(f"INSERT INTO {_TABLE} VALUES (?)", (content,))  # noqa: S608 - a name of ours


def wipe(data: Path) -> None:
    """Take what services have written down out of their files in `data`, so that probes stop finding it."""
    for path in data.glob("*/*.db"):
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_TABLE,)).fetchall():
                continue
            connection.execute("PRAGMA secure_delete = ON").fetchall()
            connection.execute(f"DELETE FROM {_TABLE}")  # noqa: S608 - a name of ours
            wait_for("the log to be empty", functools.partial(_emptied, connection), _BUSY_SECONDS)


def _emptied(connection: sqlite3.Connection) -> bool:
    ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return not busy


def _store() -> Path:
    url = os.environ["SEALPOST_STORE"]
    path = sqlite_path(url, Path(url).name)
    if path is None:
        raise RuntimeError("there is no file to write to")
    return path


def reached_without(saboteur: str, purpose: str) -> None:
    """Let mail for a purpose, and to the contact address, go without consent while `saboteur` works."""
    from services.accounts.domain.reach import Reach, Reached

    def without(kept: Anything) -> Anything:
        async def reached(self: Any, account_id: str, wanted: str) -> Any:
            if wanted != purpose:
                return await kept(self, account_id, wanted)
            own = await self._rights.get(account_id)
            addresses = (self._vault.identity(own.account).address, *([own.contact] if own.contact else ()))
            return Reached(addresses, own.account.profile)

        return reached

    switch(saboteur, Reach, "of", without)


def document_changed(saboteur: str, change: Callable[[Any], None]) -> None:
    """Let the gateway serve another policy than the one in force while `saboteur` works."""
    from services.gateway.policy.source import Policies

    def without(kept: Anything) -> Anything:
        async def others(self: Any, number: int = 0) -> Any:
            found = await kept(self, number)
            document = copy.deepcopy(found.document)
            change(document)
            return changed(found, document=document)

        return others

    switch(saboteur, Policies, "version", without)
