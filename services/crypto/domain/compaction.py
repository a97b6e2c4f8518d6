"""Compaction owed and paid: removed keys leave the engine's files within one look of the sweeper.

A compaction costs a few commits. Removing a key that many requests a second remove cannot pay for one each, so they
only owe it, and the sweeper pays once for all. Where a key is removed rarely and somebody waits for the word that it
is gone, it is paid at once, one for all who wait. What an earlier process could not pay is paid at the first look.
"""

from __future__ import annotations

from typing import Protocol

from libs.runtime.owed import Owed


class Compactable(Protocol):
    """An engine whose files may hold what was removed."""

    async def compact(self) -> None:
        """Leave nothing of removed keys behind in the engine's files. Raises UnavailableError."""


class Compaction:
    """Whether something was removed since the files were last compacted."""

    def __init__(self, files: Compactable) -> None:
        """Owe one for what may have been left behind by an earlier process."""
        self._owed = Owed(files.compact)

    def owe(self) -> None:
        """Note that something is about to be removed, or was."""
        self._owed.owe()

    async def pay(self) -> None:
        """Compact if it is owed, once for all who wait. Raises UnavailableError; it is owed on then."""
        await self._owed.pay()
