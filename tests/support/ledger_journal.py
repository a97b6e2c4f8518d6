"""The ledger itself: an append-only file of JSON lines, on disk before the client goes on.

An intent is recorded before the first byte of a transaction is sent, its outcome as soon as the reply has been read and
before the client does anything else. So whatever the platform has acknowledged, and nothing more, stands here as
acknowledged, whoever is killed when.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ledger_mail import Transaction


@dataclass(frozen=True)
class Outcome:
    """How a transaction ended.

    `code` is the reply that ended it, 0 if there was none. `stage` is what had been sent last: "connect", "hello",
    "mail", "rcpt", "data", "content" (all of the mail). `text` is the reply, of which only the code of an accepted
    delivery is looked at.
    """

    code: int
    stage: str
    text: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the platform has taken over responsibility."""
        return self.code == 250 and self.stage == "content"

    @property
    def unknown(self) -> bool:
        """Whether all of the mail was sent and no reply seen: it may be stored, or not."""
        return self.code == 0 and self.stage == "content"


class Journal:
    """Writes records; concurrent ones share an fsync."""

    def __init__(self, path: Path) -> None:
        """Append to `path`."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def intend(self, transaction: Transaction) -> None:
        """Record what is about to be sent."""
        await self._note({"intent": transaction.to_json()})

    async def conclude(self, number: int, outcome: Outcome) -> None:
        """Record how it ended."""
        await self._note({"number": number, "code": outcome.code, "stage": outcome.stage, "text": outcome.text})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    async def _note(self, record: dict[str, object]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(record).encode() + b"\n", future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await future

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._append, b"".join(line for line, _ in batch))
            for _, future in batch:
                if not future.done():
                    future.set_result(None)
        self._writing = None

    def _append(self, lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            view = view[os.write(self._file, view) :]
        os.fsync(self._file)


@dataclass
class Ledger:
    """What a journal says. A transaction without an outcome was under way when the client ended."""

    transactions: dict[int, Transaction] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Return what stands in `path`, up to the last whole line."""
        ledger = cls()
        if not path.exists():
            return ledger
        for line in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(line)
            if "intent" in record:
                transaction = Transaction.from_json(record["intent"])
                ledger.transactions[transaction.number] = transaction
            else:
                ledger.outcomes[record["number"]] = Outcome(record["code"], record["stage"], record["text"])
        return ledger

    def outcome(self, number: int) -> Outcome:
        """Return how a transaction ended; one that was cut off may be stored, or not."""
        return self.outcomes.get(number, Outcome(0, "content"))

    def accepted(self) -> list[Transaction]:
        """Return the transactions that were answered 250."""
        return [one for number, one in self.transactions.items() if self.outcome(number).accepted]

    def mails_accepted(self) -> set[int]:
        """Return the mails of which some attempt was answered 250."""
        return {one.mail for one in self.accepted()}

    def counts(self) -> dict[str, int]:
        """Return how many transactions ended how."""
        found = {"accepted": 0, "refused": 0, "unknown": 0, "unsent": 0}
        for number in self.transactions:
            outcome = self.outcome(number)
            kind = (
                "accepted" if outcome.accepted else "unknown" if outcome.unknown else "refused" if outcome.code else ""
            )
            found[kind or "unsent"] += 1
        return found
