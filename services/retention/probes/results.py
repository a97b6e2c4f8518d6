"""What is known of clauses where no probe has ever run: nothing."""

from __future__ import annotations

from collections.abc import Sequence

from libs.runtime.errors import NotFoundError
from services.retention.domain.ports import CanaryState, ClauseResult


class NoResults:
    """See domain.ports.Results."""

    async def clauses(self) -> Sequence[ClauseResult]:
        """Return none."""
        return ()

    async def canaries(self) -> Sequence[CanaryState]:
        """Return none."""
        return ()

    async def run(self, clause: str) -> None:
        """Run nothing. Raises: NotFoundError for a clause by name."""
        if clause:
            raise NotFoundError("clause")
