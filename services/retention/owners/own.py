"""retention as a data owner, within its own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from libs.docstore.store import Store
from libs.owner.model import Erased, HeldClass, Subject, Wanted
from libs.policy.terms import Version
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from services.retention.domain.ports import EraseAnswer, ExportWanted, Held, Part, SweepAnswer

_BLOCK = 1 << 20


class OwnOwner:
    """domain.ports.DataOwner for what retention itself keeps."""

    service = "retention"

    def __init__(self, store: Store, clock: Clock) -> None:
        """Answer for classes whose documents are in `store`; which they are, `hold` says."""
        self._classes: dict[str, HeldClass] = {}
        self._store = store
        self._clock = clock

    def hold(self, classes: Sequence[HeldClass]) -> None:
        """Answer for `classes`, and no others."""
        self._classes = {one.name: one for one in classes}

    async def inventory(self) -> Sequence[Held]:
        """See DataOwner."""
        held = []
        for name, one in self._classes.items():
            count = await one.count()
            held.append(Held(name, count.count, count.at_least, count.first_due, count.erasing))
        return held

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """See DataOwner."""
        if data_class not in self._classes:
            raise InvalidError("data_class")
        swept = await self._classes[data_class].sweep(min(until, unix_seconds(self._clock)), limit)
        if swept.deleted and not swept.more:
            await self._store.compact()
        return SweepAnswer(swept.deleted, swept.more)

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """See DataOwner."""
        keys = {name: await one.erase_keys(subject) for name, one in self._classes.items()}
        erased, more = {}, False
        for name, one in self._classes.items():
            step = await one.erase(subject, limit)
            more = more or step.more
            total = Erased(step.deleted, step.keys + keys[name], False, step.kept, step.kept_until_day)
            if total != Erased():
                erased[name] = total
        return EraseAnswer(erased, more)

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """See DataOwner."""
        return await asyncio.to_thread(_search, self._store.files(), list(needles))

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """Nothing: retention knows them from itself."""

    async def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """See DataOwner."""
        span = Wanted(wanted.since, wanted.until, wanted.disclosure)
        for name, one in self._classes.items():
            if wanted.data_classes and name not in wanted.data_classes:
                continue
            async for item in one.export(subject, span):
                first = True
                async for block in item.content:
                    yield Part(name, item.name if first else "", item.kind if first else "", block, False)
                    first = False
                yield Part(name, item.name if first else "", item.kind if first else "", b"", True)


def _search(files: Sequence[Path], needles: list[bytes]) -> tuple[list[int], int]:
    found, searched = [0] * len(needles), 0
    longest = max(map(len, needles), default=1)
    for path in files:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            rest = b""
            while block := file.read(_BLOCK):
                searched += len(block)
                window = rest + block
                for position, needle in enumerate(needles):
                    # What stands wholly in the rest was counted with the block before.
                    found[position] += window.count(needle) - rest.count(needle)
                rest = window[-(longest - 1) :] if longest > 1 else b""
    return found, searched
