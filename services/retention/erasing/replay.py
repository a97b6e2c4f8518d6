"""After a restore everybody in the register is erased again, before anything else is served.

Whoever restores a backup puts an empty file beside the register. As long as it is there the process is not ready, and
what lets people in (gateway, ingest) is kept down by the procedure of the restore; delivery is not, for it has to
erase too. Replaying knows no clock: a restored store cannot hold it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from libs.owner.model import Subject
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import DataOwner, EraseAnswer, Evidence
from services.retention.domain.together import together
from services.retention.erasing.register import Register
from services.retention.leading.lease import Lead

MARKER = "replay.pending"
# Owners compact their files once for all who wait for it, so many small accounts go at once; of the large ones a few,
# since an owner lets only so much deleting wait.
_SIDE_BY_SIDE, _FEW = 64, 50
_LARGE, _MANY = 4, 1000
_ROUNDS = 1_000_000

_log = get_logger("replay")


class Replay:
    """The replay of one installation."""

    def __init__(
        self, directory: Path, register: Register, owners: Mapping[str, DataOwner], evidence: Evidence
    ) -> None:
        """Look for the marker in `directory`."""
        self._marker = directory / MARKER
        self._register = register
        self._owners = owners
        self._evidence = evidence
        # Who has been erased at which owner by this process: a step that failed is not begun from the start.
        self._done: set[tuple[str, str]] = set()
        self._complete = False

    async def pending(self) -> bool:
        """Tell whether there is something to replay."""
        return await asyncio.to_thread(self._marker.exists)

    async def run(self, lead: Lead) -> None:
        """Replay if it is asked for. Raises: UnavailableError and what else owners say; it goes on at the next run."""
        if not await self.pending():
            if not self._complete:
                # A register whose file was lost is written anew from its copy, before it is needed.
                await self._register.all()
                self._complete = True
            return
        subjects = await self._register.all()
        _log.info("replaying", count=len(subjects))
        deleted = sum(await together(self._erase_all_at(owner, subjects) for owner in self._owners.values()))
        await self._evidence.append("restored", {"erasures": len(subjects), "documents": deleted})
        await asyncio.to_thread(self._end)
        self._done.clear()
        _log.info("replayed", count=len(subjects), deleted=deleted)

    async def _erase_all_at(self, owner: DataOwner, subjects: Sequence[Subject]) -> int:
        """Erase everybody at one owner, which waits for no other."""
        gates = asyncio.Semaphore(_SIDE_BY_SIDE), asyncio.Semaphore(_LARGE)
        return sum(await together(self._erase_at(one, owner, gates) for one in subjects))

    async def _erase_at(self, subject: Subject, owner: DataOwner, gates: tuple[asyncio.Semaphore, ...]) -> int:
        if (subject.account_id, owner.service) in self._done:
            return 0
        small, large = gates
        async with small:
            answer = await owner.erase(subject, _FEW)
        deleted = _deleted(answer)
        if answer.more:
            async with large:
                deleted += await self._go_on(subject, owner)
        self._done.add((subject.account_id, owner.service))
        return deleted

    async def _go_on(self, subject: Subject, owner: DataOwner) -> int:
        deleted = 0
        for _ in range(_ROUNDS):
            answer = await owner.erase(subject, _MANY)
            deleted += _deleted(answer)
            if not answer.more:
                return deleted
        raise UnavailableError("replay_endless")

    def _end(self) -> None:
        self._marker.unlink(missing_ok=True)


def _deleted(answer: EraseAnswer) -> int:
    return sum(erased.deleted for erased in answer.erased.values())
