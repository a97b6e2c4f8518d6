"""Answers about evidence, receipts, the ledger and the state, in messages of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, NotFoundError, SealpostError
from libs.telemetry.logs import get_logger
from protos.retention.v1 import retention_pb2 as pb
from services.retention.domain.ports import Results
from services.retention.erasing.erasing import Accounts, Due
from services.retention.erasing.replay import Replay
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Lease
from services.retention.ledger.export import LedgerFile
from services.retention.ledger.roots import MOST, Roots
from services.retention.ledger.signing import Root
from services.retention.repository.books import Book, Books
from services.retention.repository.erasures import Erasures, Receipt

_USUAL_ROOTS = 31
# How far ahead an erasure may be due that was asked for, at most; and how many of them are looked through.
_AHEAD_SECONDS = 400 * 86_400
_MOST_WAITING = 1000
_WAITING_SECONDS = 10.0
# Somebody holds a token from the moment on at which it is given; guesses ask accounts no more often than this.
_MISSED_SECONDS = 1.0
_MOST_TOKEN = 100

_log = get_logger("calls")


@dataclass(frozen=True)
class Parts:
    """What is asked."""

    books: Books
    erasures: Erasures
    accounts: Accounts
    lease: Lease
    guard: Guard
    roots: Roots
    file: LedgerFile
    replay: Replay
    results: Results
    in_force: Callable[[], Awaitable[int]]
    services: Sequence[str]
    clock: Clock


class Calls:
    """rpc.CoreCalls."""

    def __init__(self, parts: Parts) -> None:
        """Answer from `parts`."""
        self._parts = parts
        self._waiting: tuple[float, list[Due]] = (float("-inf"), [])

    async def evidence(self) -> pb.Evidence:
        """Return what stands beside the sentences of the public page."""
        parts = self._parts
        books = await parts.books.read(parts.services)
        newest = await parts.roots.newest(1)
        return pb.Evidence(
            clauses=[
                pb.ClauseEvidence(clause=one.clause, result=one.result, at=one.at, detail=one.detail, since=one.since)
                for one in await parts.results.clauses()
            ],
            classes=[line for book in books for line in _classes(book)],
            canaries=[
                pb.Canary(
                    data_class=one.data_class, planted=one.planted, due=one.due, state=one.state, checked=one.checked
                )
                for one in await parts.results.canaries()
            ],
            root=_root(newest[0]) if newest else None,
            version=await parts.in_force(),
            clock_held=(await parts.guard.state()).held,
        )

    async def receipt(self, token: str) -> pb.Receipt:
        """Return how far an erasure is."""
        if not token.isascii() or not 1 <= len(token) <= _MOST_TOKEN:
            raise NotFoundError("receipt")
        digest = sha256(token.encode()).digest()
        found = await self._parts.erasures.receipt(digest.hex())
        if found is not None:
            return _receipt(found)
        for seconds in (_WAITING_SECONDS, _MISSED_SECONDS):
            for due in await self._asked(seconds):
                if due.receipt == digest:
                    return pb.Receipt(state="waiting", asked_at=due.asked_at, due=due.due)
        raise NotFoundError("receipt")

    async def roots(self, limit: int) -> pb.ListRootsResponse:
        """Return signed ends of days."""
        if not 0 <= limit <= MOST:
            raise InvalidError("limit")
        roots = await self._parts.roots.newest(limit or _USUAL_ROOTS)
        return pb.ListRootsResponse(roots=map(_root, roots), public_keys=self._parts.roots.keys(roots))

    async def ledger(self, first: str, last: str) -> AsyncIterator[pb.LedgerPart]:
        """Give the file that the verifier reads."""
        async for block in self._parts.file.blocks(first, last):
            yield pb.LedgerPart(data=block)

    async def state(self) -> pb.State:
        """Return how retention is."""
        parts = self._parts
        books = await parts.books.read(parts.services)
        moved = await parts.guard.state()
        rounds = [book.round for book in books]
        return pb.State(
            leader=await parts.lease.led(),
            clock_held=moved.held,
            clock_moved=moved.seconds,
            sweeps=[sweep for book in books for sweep in _sweeps(book)],
            erasures_waiting=await self._count_waiting(),
            erasures_running=await parts.erasures.running(),
            last_round=max(0, unix_seconds(parts.clock) - min(rounds)) if rounds else 0,
            replaying=await parts.replay.pending(),
        )

    async def confirm_clock(self, officer: str) -> pb.State:
        """Take the clock as right."""
        await self._parts.guard.confirm()
        return await self.state()

    async def run_probes(self, clause: str, officer: str) -> pb.Evidence:
        """Run probes now."""
        await self._parts.results.run(clause)
        return await self.evidence()

    async def _asked(self, seconds: float = _WAITING_SECONDS) -> list[Due]:
        """Return erasures that were asked for and are not due yet, as they were at most so many seconds ago."""
        now = self._parts.clock.monotonic()
        if now - self._waiting[0] >= seconds:
            until = unix_seconds(self._parts.clock) + _AHEAD_SECONDS
            self._waiting = (now, await self._parts.accounts.due(until, _MOST_WAITING))
        return self._waiting[1]

    async def _count_waiting(self) -> int:
        try:
            return len(await self._asked())
        except SealpostError as error:
            _log.info("accounts_away", error=error)
            return 0


def _classes(book: Book) -> list[pb.ClassEvidence]:
    return [
        pb.ClassEvidence(
            data_class=line.name,
            count=line.count,
            at_least=line.at_least,
            first_due=line.first_due,
            at=line.asked,
            last_sweep=line.swept,
            overdue=line.overdue,
        )
        for line in book.lines.values()
    ]


def _sweeps(book: Book) -> list[pb.Sweep]:
    return [
        pb.Sweep(service=book.service, data_class=line.name, at=line.swept, deleted=line.deleted, fault=line.fault)
        for line in book.lines.values()
    ]


def _root(root: Root) -> pb.Root:
    return pb.Root(
        day=root.day,
        entry=root.entry,
        hash=bytes.fromhex(root.hash),
        signature=root.signature,
        key_id=root.key_id,
    )


def _receipt(receipt: Receipt) -> pb.Receipt:
    return pb.Receipt(
        state="done" if receipt.done_at else "running",
        asked_at=receipt.asked_at,
        due=receipt.due,
        keys_gone_at=receipt.keys_gone_at,
        done_at=receipt.done_at,
        lines=[
            pb.ReceiptLine(
                service=line.service,
                data_class=line.data_class,
                count=line.count,
                keys=line.keys,
                kept=line.kept,
                kept_until_day=line.kept_until_day,
            )
            for line in receipt.lines
        ],
        entry=receipt.entry,
    )
