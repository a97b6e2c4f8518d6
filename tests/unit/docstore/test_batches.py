"""Batches against a model: whatever is grouped into one transaction ends as if done one after the other."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.docstore.changes import State, advance, prepare
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import (
    Collection,
    Delete,
    Event,
    Increment,
    Index,
    Insert,
    Operation,
    Patch,
    Query,
    Replace,
    Value,
    Written,
)
from libs.docstore.values import decode_body
from libs.runtime.errors import ConflictError, SealpostError

PLAIN = Collection("plain", (Index("by_n", ("n",)),))
UNIQUE = Collection("unique", (Index("by_n", ("n",), unique=True),))

keys = st.sampled_from(["a", "b", "c", "d"])
bodies = st.fixed_dictionaries({}, optional={"n": st.one_of(st.none(), st.integers(0, 3)), "m": st.integers(0, 9)})
versions = st.integers(1, 4)
event_ids = st.lists(st.sampled_from(["e1", "e2", "e3"]), max_size=2, unique=True)


def events(names: list[str]) -> tuple[Event, ...]:
    return tuple(Event(name, "mail.stored.v1", name.encode()) for name in names)


def operations(collection: Collection) -> st.SearchStrategy[Operation]:
    here = st.just(collection)
    deltas = st.dictionaries(st.sampled_from(["n", "m"]), st.integers(-3, 3), min_size=1)
    return st.one_of(
        st.builds(Insert, here, keys, bodies, event_ids.map(events)),
        st.builds(Replace, here, keys, bodies, versions, event_ids.map(events)),
        st.builds(Patch, here, keys, bodies, st.none() | versions, event_ids.map(events)),
        st.builds(Increment, here, keys, deltas, st.just({"m": 5}), bodies.map(without_none)),
        st.builds(Delete, here, keys, st.none() | versions),
    )


def without_none(body: Mapping[str, int | None]) -> dict[str, Value]:
    return {name: value for name, value in body.items() if value is not None}


batches = st.lists(st.lists(operations(PLAIN), min_size=1, max_size=12), max_size=4)
unique_batches = st.lists(st.lists(operations(UNIQUE), min_size=1, max_size=12), max_size=4)


class Model:
    """One operation after the other, in memory."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.pending: set[tuple[str, str]] = set()

    def apply(self, operation: Operation) -> int | str:
        prepared = prepare(operation)
        key = operation.key
        before = self.states.get(key)
        try:
            after = advance(prepared, before)
        except SealpostError as error:
            return error.reason
        if after is None:
            del self.states[key]
            self.pending = {item for item in self.pending if item[0] != key}
            return before.version if before else 0
        self.states[key] = after
        self.pending |= {(key, event.event_id) for event in prepared.events}
        return after.version


def outcome(result: Written | Exception) -> int | str:
    if isinstance(result, Written):
        return result.version
    assert isinstance(result, SealpostError)
    return result.reason


@settings(max_examples=50, deadline=None)
@given(batches)
def test_a_batch_equals_its_operations_in_order(groups: list[list[Operation]]) -> None:
    model = Model()

    async def run(path: Path) -> None:
        async with SqliteStore.open(path, (PLAIN,)) as store:
            for group in groups:
                results = await store.write_many(group)
                assert [outcome(result) for result in results] == [model.apply(operation) for operation in group]
            found = await store.get_many(PLAIN, ["a", "b", "c", "d"])
            expected = {key: (state.version, decode_body(state.raw)) for key, state in model.states.items()}
            assert {key: (item.version, item.body) for key, item in found.items()} == expected
            listed = [document.key for document in await store.find(Query(PLAIN, "by_n"))]
            numbers = {key: body.get("n") for key, (_, body) in expected.items()}
            present = sorted((n, key) for key, n in numbers.items() if isinstance(n, int))
            assert listed == [key for _, key in present]
            pending = await store.pending_events(100)
            assert {(item.key, item.event.event_id) for item in pending} == model.pending

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "store.db"))


@settings(max_examples=50, deadline=None)
@given(unique_batches)
def test_a_unique_index_holds_in_every_order(groups: list[list[Operation]]) -> None:
    async def run(path: Path) -> None:
        async with SqliteStore.open(path, (UNIQUE,)) as store:
            for group in groups:
                before = await store.get_many(UNIQUE, ["a", "b", "c", "d"])
                results = await store.write_many(group)
                after = await store.get_many(UNIQUE, ["a", "b", "c", "d"])
                values = [item.body["n"] for item in after.values() if item.body.get("n") is not None]
                assert len(values) == len(set(map(str, values)))
                if all(isinstance(result, SealpostError) for result in results):
                    assert after == before
                for operation, result in zip(group, results, strict=True):
                    if isinstance(result, ConflictError) and result.reason == "duplicate":
                        assert not isinstance(operation, Delete)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "store.db"))
