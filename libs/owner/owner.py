"""All that a service keeps, class by class: the rules that hold for each class, whoever asks.

Nothing is deleted whose time is not over by the service's own clock, whatever the caller's says. An erasure begins with
the keys of all classes, each time it is called, since a call may be a repetition after a crash; then documents go, in
bounded numbers, class by class in the order in which the classes were given. What has been deleted leaves the engine's
files once a sweep or an erasure is through, and whoever asks is answered only after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.docstore.store import Store
from libs.owner.model import Count, Erased, HeldClass, Item, Subject, Swept, Wanted
from libs.owner.traces import Traces, search
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from libs.runtime.owed import Owed

MOST = 10_000


@dataclass(frozen=True)
class Erasing:
    """What one call of an erasure did, by class, and whether another call is needed."""

    classes: Mapping[str, Erased]
    more: bool


class Owner:
    """Answers for the data classes of one service."""

    def __init__(self, classes: Sequence[HeldClass], store: Store, clock: Clock) -> None:
        """Answer for `classes`, whose documents are in `store`; an erasure goes through them in this order."""
        self._classes = {one.name: one for one in classes}
        if len(self._classes) != len(classes):
            raise ValueError("a data class stands twice")
        self._store = store
        self._clock = clock
        # Where many are erased at once, one compaction does for all that wait for it.
        self._compaction = Owed(lambda: store.compact())

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return tuple(self._classes)

    async def inventory(self) -> dict[str, Count]:
        """Return what is held of each class."""
        return {name: await one.count() for name, one in self._classes.items()}

    async def sweep(self, name: str, until: int, limit: int) -> Swept:
        """Delete at most `limit` items of a class whose time was over at `until`, Unix seconds.

        Raises: InvalidError("data_class" | "limit"), UnavailableError.
        """
        one = self._class(name)
        _check_limit(limit)
        swept = await one.sweep(min(until, unix_seconds(self._clock)), limit)
        if swept.deleted:
            self._compaction.owe()
        if not swept.more:
            await self._compaction.pay()
        return swept

    async def export(self, subject: Subject, names: Collection[str], wanted: Wanted) -> AsyncIterator[tuple[str, Item]]:
        """Give what is held about `subject`, with the class of each item; all classes where `names` is empty.

        Raises: InvalidError("data_class"), UnavailableError.
        """
        for name in names:
            self._class(name)
        for name, one in self._classes.items():
            if not names or name in names:
                async for item in one.export(subject, wanted):
                    yield name, item

    async def erase(self, subject: Subject, limit: int) -> Erasing:
        """Destroy keys, then delete at most `limit` documents. Raises: InvalidError("limit"), UnavailableError."""
        _check_limit(limit)
        try:
            done, more = await self._erase(subject, limit)
        except BaseException:
            # What went before it failed is in the files still.
            self._compaction.owe()
            raise
        # Also after keys alone: what they opened must not lie in the log any longer than it takes to answer.
        if any(one.keys or one.deleted for one in done.values()):
            self._compaction.owe()
        if not more or any(one.keys for one in done.values()):
            await self._compaction.pay()
        return Erasing({name: one for name, one in done.items() if one != Erased()}, more)

    async def _erase(self, subject: Subject, limit: int) -> tuple[dict[str, Erased], bool]:
        done = {name: Erased(keys=await one.erase_keys(subject)) for name, one in self._classes.items()}
        left, more = limit, False
        for name, one in self._classes.items():
            if left == 0:
                more = True
                break
            step = await one.erase(subject, left)
            done[name] = replace(step, keys=step.keys + done[name].keys, more=False)
            left = max(0, left - step.deleted)
            if step.more:
                more = True
                break
        return done, more

    async def traces(self, needles: Sequence[bytes]) -> Traces:
        """Return how often `needles` occur in the files of the engine. Raises: InvalidError("needles")."""
        if not 1 <= len(needles) <= 64 or any(not 8 <= len(needle) <= 64 for needle in needles):
            raise InvalidError("needles")
        return await asyncio.to_thread(search, self._store.files(), tuple(needles))

    def _class(self, name: str) -> HeldClass:
        if name not in self._classes:
            raise InvalidError("data_class")
        return self._classes[name]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise InvalidError("limit")
