"""What a store says of what it holds: how many, in which files, and that no document has a field nobody declared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.docstore.store import Collection, Increment, Index, Insert, Operation, Patch, Query, Replace, Store
from libs.telemetry import mode
from tests.support.docstore import Engine

NOTES = Collection("notes", (Index("by_box", ("box", "at")),), fields=("box", "at", "text", "n_"))
FREE = Collection("free")


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    opened = await engine.open([NOTES, FREE])
    yield opened
    await opened.close()


@pytest.fixture
def lenient() -> Iterator[None]:
    """As in a service."""
    mode.set_strict(False)
    yield
    mode.set_strict(True)


async def test_documents_are_counted_as_far_as_asked(store: Store) -> None:
    assert await store.count(FREE) == 0
    for number in range(7):
        await store.write(Insert(FREE, f"counted-{number}", {}))
    assert await store.count(FREE) == 7
    assert await store.count(FREE, at_most=5) == 5
    assert await store.count(NOTES) == 0


async def test_documents_of_an_index_are_counted(store: Store) -> None:
    for number in range(4):
        await store.write(Insert(NOTES, f"in-{number}", {"box": "b", "at": number}))
    await store.write(Insert(NOTES, "out", {"box": "b", "at": None}))
    assert await store.count(NOTES) == 5
    assert await store.count(NOTES, index="by_box") == 4
    assert await store.count(NOTES, at_most=3, index="by_box") == 3
    await store.write(Patch(NOTES, "in-0", {"at": None}))
    assert await store.count(NOTES, index="by_box") == 3
    with pytest.raises(ValueError, match="declares no index"):
        await store.count(NOTES, index="by_nothing")


async def test_files_are_those_in_which_bytes_lie(engine: Engine, store: Store) -> None:
    await store.write(Insert(FREE, "filed", {"text": "a-mark-to-be-found"}))
    files = [path for path in store.files() if path.exists()]
    if engine.name == "sqlite":
        assert any(b"a-mark-to-be-found" in path.read_bytes() for path in files)
    else:
        assert files == []


async def test_what_is_declared_is_written(store: Store) -> None:
    await store.write(Insert(NOTES, "a", {"box": "b", "at": 1, "text": "t", "n_one": 1}))
    await store.write(Replace(NOTES, "a", {"box": "b", "at": 2}, 1))
    await store.write(Patch(NOTES, "a", {"text": None}))
    await store.write(Increment(NOTES, "a", {"n_two": 2}))
    assert len(await store.find(Query(NOTES, "by_box", ("b",)))) == 1
    await store.write(Insert(FREE, "a", {"whatever": 1}))


_UNDECLARED: tuple[Operation, ...] = (
    Insert(NOTES, "new", {"box": "b", "secret": 1}),
    Replace(NOTES, "a", {"box": "b", "secret": 1}, 1),
    Patch(NOTES, "a", {"secret": None}),
    Increment(NOTES, "new", {"secret": 1}),
    Increment(NOTES, "new", {"n_one": 1}, defaults={"secret": 1}),
    Insert(NOTES, "new", {"n": 1}),
)


@pytest.mark.parametrize("operation", _UNDECLARED, ids=lambda one: type(one).__name__)
async def test_a_field_that_nobody_declared_fails_a_test(store: Store, operation: Operation) -> None:
    await store.write(Insert(NOTES, "a", {"box": "b"}))
    with pytest.raises(ValueError, match="declares no field"):
        await store.write(operation)
    assert await store.count(NOTES) == 1


@pytest.mark.usefixtures("lenient")
async def test_a_field_that_nobody_declared_fails_no_mail(store: Store) -> None:
    await store.write(Insert(NOTES, "a", {"box": "b", "secret": 1}))
    found = await store.get(NOTES, "a")
    assert found is not None and found.body["secret"] == 1


async def test_an_index_over_a_field_that_is_not_declared_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="not declared"):
        await engine.open([Collection("notes", (Index("by_box", ("box",)),), fields=("text",))])
