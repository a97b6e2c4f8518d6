"""Accounts and mailboxes that are erased, for as long as something of them may still be told.

An erasure first notes them here, durably, and deletes then. Who writes something of an account looks here after he has
written, and deletes it if it is noted. So of both, whoever comes last deletes: nothing of an erased account comes back,
though events about it may still be on their way. Only keyed hashes stand here.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence

from libs.docstore.store import Collection, Index, Insert, Store
from libs.envelope import KeyedHash
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError

GONE = Collection("gone", (Index("expires", ("expires",)),), small=True, fields=("expires",))
_READ = 1000


class Gone:
    """Those noted in `store`, opened with GONE. Raises: UnavailableError."""

    def __init__(self, store: Store, hashes: KeyedHash, clock: Clock, seconds: int) -> None:
        """Remember them for `seconds`."""
        self._store = store
        self._hashes = hashes
        self._clock = clock
        self._seconds = seconds

    async def note(self, ids: Sequence[str]) -> None:
        """Have accounts or mailboxes be gone, durably; again changes nothing."""
        expires = unix_seconds(self._clock) + self._seconds
        for result in await self._store.write_many([Insert(GONE, self._key(one), {"expires": expires}) for one in ids]):
            if isinstance(result, Exception) and not isinstance(result, ConflictError):
                raise result

    async def among(self, ids: Some[str]) -> set[str]:
        """Return those of `ids` that are gone."""
        keys = {self._key(one): one for one in ids}
        found: set[str] = set()
        wanted = list(keys)
        for start in range(0, len(wanted), _READ):
            found |= (await self._store.get_many(GONE, wanted[start : start + _READ])).keys()
        return {keys[key] for key in found}

    def _key(self, one: str) -> str:
        return self._hashes.digest("gone", one.encode()).hex()
