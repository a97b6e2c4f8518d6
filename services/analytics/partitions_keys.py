"""Keys of windows: the counts of each window are sealed under a data key that dies when they are released.

The key lies in a document of its own, wrapped by the key-encryption key. Whoever deletes that document has made every
copy of the window's counts unreadable at once, wherever they lie: in a replica's memory they go with its next commit.
A window has its key before anything is counted in it, and every window of the clock gets one, empty or not: that a
window is released must not depend on whether somebody was there.
"""

from __future__ import annotations

from collections.abc import Collection as Items
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import cast

from libs.docstore.store import Body, Collection, Delete, Index, Insert, Query, Store
from libs.envelope import KeyEncryptionKeys, new_data_key, place_of
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from libs.runtime.secret import Secret
from services.analytics.domain.ports import Window
from services.analytics.partitions import PARTITIONS, end_of, window_of

KEYS = Collection("window_key", (Index("ends", ("ends",)),), fields=("key", "ends"))
_PAGE = 1000


class WindowKeys:
    """Makes, finds and destroys keys of windows; remembers those that it has unwrapped."""

    def __init__(self, store: Store, keks: KeyEncryptionKeys, hour_seconds: int) -> None:
        """Use `store`, opened with KEYS among its collections. `hour_seconds`: length of the short window."""
        self._store = store
        self._keks = keks
        self._hour_seconds = hour_seconds
        self._known: dict[Window, Secret[bytes]] = {}

    async def ensure(self, windows: Iterable[Window]) -> None:
        """Make the keys that are absent. Only for windows that nobody has closed. Raises: UnavailableError."""
        absent = [window for window in windows if window not in self._known]
        found = await self.find(absent)
        for window in absent:
            if window in found:
                continue
            key = new_data_key()
            wrapped = self._keks.wrap(key, _place(window))
            body: Body = {"key": wrapped, "ends": end_of(window, self._hour_seconds)}
            try:
                await self._store.write(Insert(KEYS, window.name, body))
                self._known[window] = key
            except ConflictError:
                if window not in await self.find([window]):
                    raise

    async def find(self, windows: Items[Window]) -> dict[Window, Secret[bytes]]:
        """Return the keys that exist, asking the store for those that are not known here.

        Raises: UnavailableError, also where the key-encryption key is not held; InvalidError for a changed key.
        """
        asked = [window.name for window in windows if window not in self._known]
        for start in range(0, len(asked), _PAGE):
            for name, document in (await self._store.get_many(KEYS, asked[start : start + _PAGE])).items():
                window = window_of(name)
                self._known[window] = self._keks.unwrap(cast(bytes, document.body["key"]), _place(window))
        return {window: self._known[window] for window in windows if window in self._known}

    def key(self, window: Window) -> Secret[bytes]:
        """Return a key that `ensure` or `find` has returned. Raises: InternalError("window_key")."""
        try:
            return self._known[window]
        except KeyError as error:
            raise InternalError("window_key") from error

    async def gone(self, windows: Items[Window]) -> set[Window]:
        """Return those of `windows` whose keys are destroyed, and forget them."""
        there: set[str] = set()
        names = [window.name for window in windows]
        for start in range(0, len(names), _PAGE):
            there |= set(await self._store.get_many(KEYS, names[start : start + _PAGE]))
        gone = {window for window in windows if window.name not in there}
        for window in gone:
            self._known.pop(window, None)
        return gone

    async def over(self, until: int) -> Sequence[Window]:
        """Return windows with a key that ended at or before `until`, those that ended first first."""
        found = await self._store.find(Query(KEYS, "ends", upper=until, limit=_PAGE))
        return [window_of(document.key) for document in found]

    async def newest_end(self) -> int:
        """Return the latest end of any window with a key, 0 where there is none."""
        found = await self._store.find(Query(KEYS, "ends", descending=True, limit=1))
        return cast(int, found[0].body["ends"]) if found else 0

    async def destroy(self, window: Window) -> None:
        """Delete the key of `window`, also from the engine's own files as far as it allows. Idempotent."""
        self._known.pop(window, None)
        with suppress(NotFoundError):  # destroyed before; its remains in the engine's files may still be there
            await self._store.write(Delete(KEYS, window.name))
        await self._store.compact()


def counts_place(partition: int, window: Window) -> str:
    """Return the place that binds the counts of `window` in a partition's document."""
    return place_of(PARTITIONS.name, str(partition), f"counts.{window.name}")


def _place(window: Window) -> str:
    return place_of(KEYS.name, window.name, "key")
