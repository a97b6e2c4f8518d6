"""The register of erasures: who must stay erased, whatever is restored.

A backup brings erased accounts back, so whom to erase again must be known from elsewhere: from a file in a directory
that no backup is restored over. A line is on the disk (fsync) before the first key of its account is destroyed. Lines
are chained by hashes, so that a lost or changed one shows; a last line that was cut short belongs to an erasure that
had destroyed nothing yet, and is put right when the next is written. The store holds a copy of each line, from which a
lost file is made again. A line names account and mailbox by their opaque ids, and a day; nothing leads from them to
anybody.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Index, Insert, Query, Store
from libs.owner.model import Subject
from libs.runtime.errors import ConflictError, UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

REGISTER = Collection("register", (Index("day", ("day",)),), fields=("mailbox", "day"))
FILE = "register.jsonl"
_PAGE = 1000

_log = get_logger("register")
_DAMAGED = metrics.gauge("sealpost_retention_register_damaged", "Lines of the register that are not what was written.")


@dataclass
class _Content:
    """What the file holds. `tip`: hash of the last line; `whole`: bytes up to the end of the last whole line."""

    lines: dict[str, tuple[str, int]] = field(default_factory=dict)
    tip: str = ""
    whole: int = 0
    damaged: int = 0


class Register:
    """The register of one installation."""

    def __init__(self, directory: Path, store: Store) -> None:
        """Keep the file in `directory`, and the copy in `store`, opened with REGISTER."""
        self._path = directory / FILE
        self._store = store
        self._adding = asyncio.Lock()
        self._known: tuple[int, _Content] = (-1, _Content())

    async def add(self, subject: Subject, day: int) -> None:
        """Write an account down, durably, unless it is there; `day` since 1970. Raises: UnavailableError."""
        await self._copy(subject, day)
        await self._append([(subject, day)])

    async def all(self) -> list[Subject]:
        """Return everybody who is in the file or in the copy, each once, after making each complete from the other.

        Raises: UnavailableError.
        """
        content = await asyncio.to_thread(self._read)
        copied = await self._copies()
        for account, (mailbox, day) in content.lines.items():
            if account not in copied:
                await self._copy(Subject(account, mailbox), day)
        missing = [(Subject(account, mailbox), day) for account, (mailbox, day) in copied.items()]
        await self._append([one for one in missing if one[0].account_id not in content.lines])
        return [Subject(account, mailbox) for account, (mailbox, _) in (copied | content.lines).items()]

    async def count(self) -> tuple[int, int]:
        """Return how many lines there are (in the copy), and the day of the first. Raises: UnavailableError."""
        first = await self._store.find(Query(REGISTER, "day", limit=1))
        return (await self._store.count(REGISTER), number(first[0].body, "day")) if first else (0, 0)

    async def forget(self, until: int, limit: int) -> int:
        """Leave out at most `limit` lines of day `until` or before, in the file and the copy; return how many.

        Raises: UnavailableError.
        """
        old = await self._store.find(Query(REGISTER, "day", upper=until, limit=min(limit, _PAGE)))
        if not old:
            return 0
        async with self._adding:
            try:
                await asyncio.to_thread(self._rewrite, {one.key for one in old})
            except OSError as error:
                raise UnavailableError("register") from error
        return await self._store.delete_range(REGISTER, "day", (), until, len(old))

    async def _copy(self, subject: Subject, day: int) -> None:
        body: Body = {"mailbox": subject.mailbox_id, "day": day}
        try:
            await self._store.write(Insert(REGISTER, subject.account_id, body))
        except ConflictError:
            return

    async def _copies(self) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        after: tuple[int, str] | None = None
        while page := await self._store.find(Query(REGISTER, "day", after=after, limit=_PAGE)):
            for one in page:
                found[one.key] = (text(one.body, "mailbox"), number(one.body, "day"))
            after = (number(page[-1].body, "day"), page[-1].key)
        return found

    async def _append(self, lines: list[tuple[Subject, int]]) -> None:
        async with self._adding:
            try:
                await asyncio.to_thread(self._write, lines)
            except OSError as error:
                raise UnavailableError("register") from error

    def _read(self) -> _Content:
        """Return what the file holds; read again only when it has changed."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return _Content()
        if size != self._known[0]:
            content = _parse(self._path.read_bytes())
            _DAMAGED.set(content.damaged)
            if content.damaged:
                _log.error("register_damaged", count=content.damaged)
            self._known = (size, content)
        return self._known[1]

    def _write(self, lines: list[tuple[Subject, int]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = self._read()
            block, tip, added = bytearray(), content.tip, dict(content.lines)
            for subject, day in lines:
                if subject.account_id not in added:
                    line, tip = _line(tip, subject.account_id, subject.mailbox_id, day)
                    block += line
                    added[subject.account_id] = (subject.mailbox_id, day)
            if not block:
                return
            _put(descriptor, bytes(block), content.whole)
        finally:
            os.close(descriptor)
        if fresh:
            _sync(self._path.parent)
        whole = content.whole + len(block)
        self._known = (whole, _Content(added, tip, whole, content.damaged))

    def _rewrite(self, without: set[str]) -> None:
        kept = {account: line for account, line in self._read().lines.items() if account not in without}
        block, tip = bytearray(), ""
        for account, (mailbox, day) in kept.items():
            line, tip = _line(tip, account, mailbox, day)
            block += line
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        _sync(self._path.parent)
        self._known = (-1, _Content())


def _put(descriptor: int, block: bytes, at: int) -> None:
    """Write `block` where the whole lines end, durably, or leave nothing of it: what is there counts as durable."""
    try:
        os.ftruncate(descriptor, at)
        os.pwrite(descriptor, block, at)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, at)
        raise


def _parse(raw: bytes) -> _Content:
    content = _Content()
    for line in raw.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        content.whole += len(line)
        try:
            fields = json.loads(line)
            account, mailbox, day = str(fields["account"]), str(fields["mailbox"]), int(fields["day"])
            written, _ = _line(content.tip, account, mailbox, day)
            content.damaged += written != line
            content.tip = str(fields["hash"])
        except (ValueError, KeyError, TypeError):
            content.damaged += 1
        else:
            content.lines.setdefault(account, (mailbox, day))
    return content


def _line(tip: str, account: str, mailbox: str, day: int) -> tuple[bytes, str]:
    """Return a line after the one with hash `tip`, and its own hash."""
    own = sha256(f"{tip}\n{account}\n{mailbox}\n{day}".encode()).hexdigest()
    fields = {"account": account, "mailbox": mailbox, "day": day, "hash": own}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n", own


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
