"""retention as a data owner, within its own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from libs.owner.model import Subject, Wanted
from libs.owner.owner import Owner
from libs.policy.terms import Version
from libs.runtime.errors import UnavailableError
from services.retention.domain.ports import EraseAnswer, ExportWanted, Held, Part, SweepAnswer


class OwnOwner:
    """domain.ports.DataOwner for what retention itself keeps."""

    service = "retention"

    def __init__(self) -> None:
        """Answer once `owner` is put: the classes are made of parts that know the owners."""
        self.owner: Owner | None = None

    @property
    def _owner(self) -> Owner:
        if self.owner is None:
            raise UnavailableError("owner")
        return self.owner

    async def inventory(self) -> Sequence[Held]:
        """See DataOwner."""
        return [
            Held(name, one.count, one.at_least, one.first_due, one.erasing)
            for name, one in (await self._owner.inventory()).items()
        ]

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """See DataOwner."""
        swept = await self._owner.sweep(data_class, until, limit)
        return SweepAnswer(swept.deleted, swept.more)

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """See DataOwner."""
        done = await self._owner.erase(subject, limit)
        return EraseAnswer(done.classes, done.more)

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """See DataOwner."""
        traces = await self._owner.traces(needles)
        return traces.found, traces.searched_bytes

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """Nothing: retention knows them from itself."""

    async def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """See DataOwner; the last part of each item is empty."""
        span = Wanted(wanted.since, wanted.until, wanted.disclosure)
        async for name, item in self._owner.export(subject, wanted.data_classes, span):
            first = True
            async for block in item.content:
                yield Part(name, item.name if first else "", item.kind if first else "", block, False)
                first = False
            yield Part(name, item.name if first else "", item.kind if first else "", b"", True)
