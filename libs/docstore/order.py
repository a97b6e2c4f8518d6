"""Writes of which some must stand before others.

`write_many` promises nothing about the order of different documents, and an engine may do a part of it. Where an engine
commits all that one call brings or nothing of it (`one_commit`), one call does; else the first writes are waited for.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.store import Operation, Store, Written
from libs.runtime.errors import UnavailableError


async def write_in_turn(
    store: Store, first: Sequence[Operation], then: Sequence[Operation]
) -> tuple[list[Written | Exception], list[Written | Exception]]:
    """Apply `first` and `then`; return the results of both. Nothing of `then` is ever found without `first`.

    An operation of `first` that fails by its own condition keeps nobody back. Raises: UnavailableError where one could
    not be applied now; then nothing of `then` has been applied.
    """
    if getattr(store, "one_commit", False):
        results = await store.write_many([*first, *then])
        return results[: len(first)], results[len(first) :]
    before = await store.write_many(first) if first else []
    for result in before:
        if isinstance(result, UnavailableError):
            raise result
    return before, await store.write_many(then)
