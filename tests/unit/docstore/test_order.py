"""What must stand first is never missing where what comes after it is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from libs.docstore.order import write_in_turn
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Insert, Operation, Store, Written
from libs.runtime.errors import ConflictError, UnavailableError

NOTES = Collection("note")


class Calls:
    """A store that notes each call of write_many; operations on keys in `away` cannot be applied now."""

    def __init__(self, away: str = "") -> None:
        self.calls: list[list[str]] = []
        self.away = away

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        self.calls.append([one.key for one in operations])
        return [UnavailableError("storage_unavailable") if one.key in self.away else Written(1) for one in operations]


class OneCommit(Calls):
    one_commit = True


def notes(keys: str) -> list[Insert]:
    return [Insert(NOTES, key, {}) for key in keys]


def as_store(calls: Calls) -> Store:
    return cast(Store, calls)


async def test_one_call_does_where_it_is_one_commit() -> None:
    store = OneCommit()
    assert await write_in_turn(as_store(store), notes("ab"), notes("c")) == ([Written(1)] * 2, [Written(1)])
    assert store.calls == [["a", "b", "c"]]


async def test_elsewhere_the_second_part_waits_for_the_first() -> None:
    store = Calls()
    assert await write_in_turn(as_store(store), notes("ab"), notes("c")) == ([Written(1)] * 2, [Written(1)])
    assert store.calls == [["a", "b"], ["c"]]
    assert await write_in_turn(as_store(store), [], notes("d")) == ([], [Written(1)])


async def test_nothing_comes_after_what_could_not_be_written() -> None:
    store = Calls(away="b")
    with pytest.raises(UnavailableError):
        await write_in_turn(as_store(store), notes("ab"), notes("c"))
    assert store.calls == [["a", "b"]]


async def test_what_fails_by_its_own_condition_keeps_nobody_back(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path, (NOTES,)) as store:
        await write_in_turn(store, notes("a"), [])
        (first, second), (third,) = await write_in_turn(store, notes("ab"), notes("c"))
        assert isinstance(first, ConflictError)
        assert [second, third] == [Written(1), Written(1)]
