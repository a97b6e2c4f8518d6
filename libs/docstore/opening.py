"""Opening a store is awaited, or entered with `async with`, which also closes it."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from libs.docstore.store import Store

S = TypeVar("S", bound=Store)


class Opening(Generic[S]):
    """A store about to be opened: `store = await opening`, or `async with opening as store`."""

    def __init__(self, opened: Coroutine[Any, Any, S]) -> None:
        """Hold the coroutine that opens the store."""
        self._opened = opened
        self._store: S | None = None

    def __await__(self) -> Generator[Any, Any, S]:
        """Open the store; the caller closes it."""
        return self._opened.__await__()

    async def __aenter__(self) -> S:
        """Open the store."""
        self._store = await self._opened
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._store is not None:
            await self._store.close()
