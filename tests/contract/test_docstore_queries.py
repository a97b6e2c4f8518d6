"""The persistence contract, once for every engine: queries by index, pages, refusals, indexes that come later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from libs.docstore.store import (
    Body,
    Collection,
    Delete,
    Index,
    IndexValue,
    Insert,
    Operation,
    Patch,
    Query,
    Replace,
    Store,
    Value,
)
from libs.runtime.errors import ConflictError, InvalidError, UnavailableError
from tests.support.docstore import Engine

MAILS = Collection(
    "mails",
    (
        Index("by_time", ("box", "at")),
        Index("by_folder", ("box", "folder", "at")),
        Index("by_expiry", ("expires",)),
        Index("by_hash", ("hash",), unique=True),
        Index("by_mixed", ("mixed",)),
    ),
)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    opened = await engine.open((MAILS,))
    yield opened
    await opened.close()


def _nested(depth: int) -> Value:
    value: Value = 1
    for _ in range(depth):
        value = [value]
    return value


NESTED = _nested(200)


def mail(key: str, **fields: Value) -> tuple[str, Body]:
    return key, fields


async def fill(store: Store, *documents: tuple[str, Body]) -> None:
    results = await store.write_many([Insert(MAILS, key, body) for key, body in documents])
    assert not [result for result in results if isinstance(result, Exception)]


async def keys(store: Store, query: Query) -> list[str]:
    return [document.key for document in await store.find(query)]


async def test_order_is_last_field_then_key(store: Store) -> None:
    documents: list[tuple[str, Body]] = [
        mail(f"m{number:02}", box="b", at=number // 3, n=number) for number in range(12)
    ]
    random.Random(1).shuffle(documents)
    await fill(store, *documents, ("other", {"box": "c", "at": 1}), ("none", {"box": "b", "at": None}), ("no", {}))
    ascending = [f"m{number:02}" for number in range(12)]
    assert await keys(store, Query(MAILS, "by_time", ("b",))) == ascending
    assert await keys(store, Query(MAILS, "by_time", ("b",), descending=True)) == ascending[::-1]
    assert await keys(store, Query(MAILS, "by_time", ("b",), limit=4)) == ascending[:4]
    assert await keys(store, Query(MAILS, "by_time", ("b", 1))) == ascending[3:6]
    assert await keys(store, Query(MAILS, "by_time", ("b", 1), descending=True, limit=2)) == ["m05", "m04"]
    assert await keys(store, Query(MAILS, "by_time", ("nobody",))) == []
    (found,) = await store.find(Query(MAILS, "by_time", ("c",)))
    assert (found.body, found.version) == ({"box": "c", "at": 1}, 1)


async def test_bounds_are_inclusive(store: Store) -> None:
    await fill(store, *(mail(f"m{number}", box="b", at=number) for number in range(9)))
    assert await keys(store, Query(MAILS, "by_time", ("b",), lower=6)) == ["m6", "m7", "m8"]
    assert await keys(store, Query(MAILS, "by_time", ("b",), upper=2)) == ["m0", "m1", "m2"]
    assert await keys(store, Query(MAILS, "by_time", ("b",), lower=3, upper=4, descending=True)) == ["m4", "m3"]
    assert await keys(store, Query(MAILS, "by_time", ("b",), lower=4, upper=3)) == []


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_each_other_without_gap_or_overlap(store: Store, descending: bool) -> None:
    await fill(store, *(mail(f"m{number:02}", box="b", folder="in", at=number // 5) for number in range(23)))
    for index, equal in (("by_time", ("b",)), ("by_folder", ("b", "in")), ("by_time", ("b", 2))):
        everything = await keys(store, Query(MAILS, index, equal, descending=descending))
        pages: list[str] = []
        after: tuple[IndexValue, str] | None = None
        while page := await store.find(Query(MAILS, index, equal, after=after, descending=descending, limit=4)):
            pages += [document.key for document in page]
            last = page[-1]
            at = last.body["at"]
            assert isinstance(at, int)
            after = (at, last.key)
        assert pages == everything
    bounded = Query(MAILS, "by_time", ("b",), lower=1, upper=2, after=(1, "m07"), descending=descending)
    expected = ["m06", "m05"] if descending else [f"m{number:02}" for number in range(8, 15)]
    assert await keys(store, bounded) == expected


async def test_values_order_integers_then_strings_then_bytes(store: Store) -> None:
    values: list[IndexValue] = [
        -(2**63), -1, 0, 7, 2**63 - 1, "", "A", "B", "a", "aa", "é", "\U0001f480", b"", b"z", b"aa", b"ab", b"aaa",
    ]  # fmt: skip
    shuffled = random.Random(2).sample(range(len(values)), len(values))
    await fill(store, *((f"m{number:02}", {"mixed": values[number]}) for number in shuffled))

    async def found(lower: IndexValue | None = None, upper: IndexValue | None = None) -> list[Value]:
        documents = await store.find(Query(MAILS, "by_mixed", lower=lower, upper=upper))
        return [document.body["mixed"] for document in documents]

    assert await found() == values
    assert await found(lower=0) == values[2:5]
    assert await found(upper=0) == values[:3]
    assert await found(lower="B") == values[7:12]
    assert await found(upper="B") == values[5:8]
    assert await found(lower=b"aa") == values[14:]
    assert await found(upper=b"aa") == values[12:15]
    for value in values:
        assert await found(value, value) == [value]
        assert [document.body["mixed"] for document in await store.find(Query(MAILS, "by_mixed", (value,)))] == [value]


async def test_text_in_an_index_may_hold_nul(engine: Engine, store: Store) -> None:
    engine.lacks("strings with NUL in an index")
    await fill(store, ("m1", {"mixed": "a"}), ("m2", {"mixed": "a\x00"}), ("m3", {"mixed": "a\x00b"}))
    assert await keys(store, Query(MAILS, "by_mixed")) == ["m1", "m2", "m3"]
    assert await keys(store, Query(MAILS, "by_mixed", ("a",))) == ["m1"]
    assert await keys(store, Query(MAILS, "by_mixed", ("a\x00",))) == ["m2"]


async def test_indexes_follow_every_change(store: Store) -> None:
    await fill(store, ("a", {"box": "b", "at": 1, "hash": b"\x00\xff"}))
    await store.write(Replace(MAILS, "a", {"box": "b", "at": 2, "hash": b"\x01"}, version=1))
    assert await keys(store, Query(MAILS, "by_time", ("b",), upper=1)) == []
    assert await keys(store, Query(MAILS, "by_hash", (b"\x01",))) == ["a"]
    assert await keys(store, Query(MAILS, "by_hash", (b"\x00\xff",))) == []
    await store.write(Patch(MAILS, "a", {"folder": "in"}))
    assert await keys(store, Query(MAILS, "by_folder", ("b", "in"))) == ["a"]
    await store.write(Patch(MAILS, "a", {"at": None}))
    assert await keys(store, Query(MAILS, "by_folder", ("b", "in"))) == []
    await store.write(Patch(MAILS, "a", {"at": 0}))
    assert await keys(store, Query(MAILS, "by_folder", ("b", "in"))) == ["a"]
    await store.write(Delete(MAILS, "a"))
    assert await keys(store, Query(MAILS, "by_folder", ("b", "in"))) == []


async def test_delete_range_takes_the_lowest_first(store: Store) -> None:
    await fill(store, *(mail(f"m{number:03}", expires=1000 - number, box="b", at=number) for number in range(700)))
    await fill(store, ("kept", {"expires": None}), ("text", {"expires": "never"}))
    assert await store.delete_range(MAILS, "by_expiry", (), 400, 60) == 60
    assert await keys(store, Query(MAILS, "by_expiry", limit=2)) == ["m639", "m638"]
    assert await store.delete_range(MAILS, "by_expiry", (), 400, 1000) == 40
    assert await store.delete_range(MAILS, "by_expiry", (), 400, 1000) == 0
    assert await store.delete_range(MAILS, "by_time", ("b",), 598, 1000) == 599
    assert await keys(store, Query(MAILS, "by_expiry")) == ["m599", "text"]
    assert await store.get(MAILS, "kept") is not None
    await store.compact()


async def test_ingest_goes_on_beside_a_long_deletion(store: Store) -> None:
    await fill(store, *((f"m{number:04}", {"expires": number}) for number in range(1000)))
    deletion = asyncio.create_task(store.delete_range(MAILS, "by_expiry", (), 2000, 2000))
    await store.write(Insert(MAILS, "new", {"expires": 5000}))
    assert await deletion == 1000
    assert await keys(store, Query(MAILS, "by_expiry")) == ["new"]


async def test_get_many_returns_those_that_exist(store: Store) -> None:
    await fill(store, *((f"m{number}", {"n": number}) for number in range(5)))
    found = await store.get_many(MAILS, ["m1", "m3", "m1", "absent"])
    assert {key: document.body for key, document in found.items()} == {"m1": {"n": 1}, "m3": {"n": 3}}
    assert await store.get_many(MAILS, []) == {}


async def test_a_unique_index_has_pages_too(store: Store) -> None:
    await fill(store, *(mail(f"m{number % 5}{number}", hash=f"{number:02}") for number in range(10)))
    first = await store.find(Query(MAILS, "by_hash", limit=4, descending=True))
    assert [document.body["hash"] for document in first] == ["09", "08", "07", "06"]
    rest = await store.find(Query(MAILS, "by_hash", after=("06", first[-1].key), lower="02", descending=True))
    assert [document.body["hash"] for document in rest] == ["05", "04", "03", "02"]


async def test_a_query_that_no_index_serves_cannot_be_said(store: Store) -> None:
    for query in (
        Query(MAILS, "by_nothing", ("b",)),
        Query(MAILS, "by_folder", ("b",)),
        Query(MAILS, "by_time", ("b", 1, 2)),
        Query(MAILS, "by_time", ("b", 1), lower=1),
        Query(MAILS, "by_time", ("b",), limit=0),
        Query(MAILS, "by_time", ("b",), limit=1001),
    ):
        with pytest.raises(ValueError, match=r"index|limit|fixed"):
            await store.find(query)
    with pytest.raises(ValueError, match="keys"):
        await store.get_many(MAILS, ["k"] * 1001)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Insert(MAILS, "", {}), "key_invalid"),
        (Insert(MAILS, "k" * 201, {}), "key_invalid"),
        (Insert(MAILS, "k\n", {}), "key_invalid"),
        (Insert(MAILS, "k", {"a.b": 1}), "field_name_invalid"),
        (Insert(MAILS, "k", {"$set": 1}), "field_name_invalid"),
        (Patch(MAILS, "k", {"$x": 1}), "field_name_invalid"),
        (Insert(MAILS, "k", {"n": 2**63}), "value_invalid"),
        (Insert(MAILS, "k", {"n": "\ud800"}), "value_invalid"),
        (Insert(MAILS, "k", {"n": NESTED}), "value_invalid"),
        (Insert(MAILS, "k", {"n": [{"a": 1.5}]}), "value_invalid"),  # type: ignore[dict-item]
        (Insert(MAILS, "k", {"box": ["list"]}), "index_value_invalid"),
        (Insert(MAILS, "k", {"box": True}), "index_value_invalid"),
        (Insert(MAILS, "k", {"box": "\U0010ffff"}), "index_value_invalid"),
        (Insert(MAILS, "k", {"raw": bytes(16 * 1024 * 1024)}), "document_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_stored_is_refused(store: Store, operation: Operation, reason: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await store.write(operation)
    assert caught.value.reason == reason
    assert await store.get(MAILS, "k") is None


async def test_an_index_added_later_finds_earlier_documents(engine: Engine) -> None:
    before = Collection("mails", (Index("by_time", ("box", "at")),))
    after = Collection("mails", (Index("by_hash", ("hash",), unique=True), Index("by_folder", ("folder", "at"))))
    body: dict[str, Value] = {"box": "b", "at": 1, "hash": b"\x00h", "folder": "in", "none": None}
    store = await engine.open((before,))
    await store.write_many([Insert(before, "a", body), Insert(before, "b", {"at": 2, "hash": None})])
    await store.close()
    store = await engine.open((after,))
    try:
        (found,) = await store.find(Query(after, "by_hash", (b"\x00h",)))
        assert (found.key, found.body) == ("a", body)
        assert await keys(store, Query(after, "by_folder", ("in",))) == ["a"]
        with pytest.raises(ConflictError):
            await store.write(Insert(after, "c", {"hash": b"\x00h"}))
        await store.write(Patch(after, "a", {"box": "other"}))
    finally:
        await store.close()
    store = await engine.open((before,))
    try:
        assert await keys(store, Query(before, "by_time", ("b",))) == []
        assert await keys(store, Query(before, "by_time", ("other",))) == ["a"]
        await store.write(Insert(before, "c", {"hash": b"\x00h"}))
    finally:
        await store.close()


async def test_collections_with_impossible_names_are_refused(engine: Engine) -> None:
    for collection in (
        Collection("Bad"),
        Collection("x" * 51),
        Collection("good", (Index("drop table", ("a",)),)),
        Collection("good", (Index("ok", ("a.b",)),)),
        Collection("good", (Index("ok", ()),)),
        Collection("good", (Index("twice", ("a",)), Index("twice", ("b",)))),
    ):
        with pytest.raises(ValueError, match="collection"):
            await engine.open((collection,))


async def test_a_closed_store_says_so(engine: Engine) -> None:
    store = await engine.open((MAILS,))
    await store.close()
    await store.close()
    with pytest.raises(UnavailableError, match="storage_closed"):
        await store.write(Insert(MAILS, "k", {}))
    with pytest.raises(UnavailableError, match="storage_closed"):
        await store.get(MAILS, "k")
