"""Compaction owed and paid: removed keys leave the engine's files within one look of the sweeper.

A compaction costs a few commits. Removing a key that many requests a second remove cannot pay for one each, so they
only owe it, and the sweeper pays once for all. Where a key is removed rarely and somebody waits for the word that it
is gone, it is paid at once. What an earlier process could not pay is paid at the first look.
"""

from __future__ import annotations

from typing import Protocol


class Compactable(Protocol):
    """An engine whose files may hold what was removed."""

    async def compact(self) -> None:
        """Leave nothing of removed keys behind in the engine's files. Raises UnavailableError."""


class Compaction:
    """Whether something was removed since the files were last compacted."""

    def __init__(self, files: Compactable) -> None:
        """Owe one for what may have been left behind by an earlier process."""
        self._files = files
        self._owed = True

    def owe(self) -> None:
        """Note that something is about to be removed, or was."""
        self._owed = True

    async def pay(self) -> None:
        """Compact if it is owed. Raises UnavailableError; it is owed on then."""
        if not self._owed:
            return
        # What is removed while this one is under way owes the next.
        self._owed = False
        try:
            await self._files.compact()
        except BaseException:
            self._owed = True
            raise
