"""A store that dies at a chosen write: before it, so that nothing is kept, or after it, so that nobody is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.docstore.store import Operation, Store, Written
from libs.runtime.errors import UnavailableError


class BreakingStore:
    """A Store over another. `after` writes it breaks once; `kept` says whether that write is kept."""

    def __init__(self, store: Store) -> None:
        """Pass everything on until told to break."""
        self._store = store
        self.after: int | None = None
        self.kept = False

    def break_at(self, writes: int, *, kept: bool) -> None:
        """Let the write after `writes` more fail."""
        self.after, self.kept = writes, kept

    async def write(self, operation: Operation) -> Written:
        """See Store."""
        (result,) = await self.write_many([operation])
        if isinstance(result, Exception):
            raise result
        return result

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """See Store."""
        breaks = self._breaks()
        results: list[Written | Exception] = []
        if not breaks or self.kept:
            results = await self._store.write_many(operations)
        if breaks:
            raise UnavailableError("broken")
        return results

    def _breaks(self) -> bool:
        if self.after is None:
            return False
        self.after -= 1
        if self.after >= 0:
            return False
        self.after = None
        return True

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._store, name)
