"""What only the MongoDB engine has: the layout of its documents, and a server that goes away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.docstore.mongo import MongoStore
from libs.docstore.mongo_codec import (
    event_fields,
    event_name,
    filters_of,
    index_keys,
    new_document,
    patch_update,
    sort_of,
    stored_index_value,
    to_document,
    to_pending,
)
from libs.docstore.store import Body, Collection, Document, Event, Increment, Index, Insert, PendingEvent, Query
from libs.docstore.values import column
from libs.runtime.errors import ExhaustedError, UnavailableError
from tests.support.docstore import mongodb_server

MAILS = Collection("mails", (Index("by_time", ("box", "at")), Index("by_hash", ("hash",), unique=True)))
EVENT = Event("id.$/1", "mail.stored.v1", b"payload", "trace")


def test_indexed_fields_lie_apart_and_come_back() -> None:
    body: Body = {"box": "b", "at": None, "hash": b"\x00\xff", "list": [1]}
    stored = new_document(MAILS, "k", body, event_fields([EVENT], 7))
    assert stored == {
        "_id": "k",
        "k": "k",
        "v": 1,
        "x": {"box": "b", "hash": "\U0010ffff0000000200ff"},
        "b": {"at": None, "list": [1]},
        "ev": {event_name(EVENT): {"s": "mail.stored.v1", "p": b"payload", "n": 7, "t": "trace"}},
        "en": 1,
        "q": 7,
    }
    assert to_document(stored) == Document("k", body, 1)
    assert to_pending(MAILS, stored) == [PendingEvent(MAILS, "k", EVENT)]
    assert not set(event_name(EVENT)) & set(".$")


def test_a_patch_moves_fields_between_the_two() -> None:
    assert patch_update(MAILS, {"box": None, "hash": b"", "n": 1}) == {
        "$set": {"b.box": None, "b.n": 1, "x.hash": "\U0010ffff00000000"},
        "$inc": {"v": 1},
        "$unset": {"x.box": "", "x.n": "", "b.hash": ""},
    }


def test_both_engines_order_index_values_alike() -> None:
    values: list[str | int | bytes] = [
        -(2**63),
        0,
        2**63 - 1,
        "",
        "a",
        "a\x00",
        "b",
        "\U0010fffe",
        b"",
        b"\xff",
        b"\x00\x00",
        b"\x00\x01",
    ]
    kinds = {int: 0, str: 1, bytes: 2}

    def mongodb(value: str | int | bytes) -> tuple[int, Any]:
        stored = stored_index_value(value)
        return (0, stored) if isinstance(stored, int) else (1, str(stored).encode())

    def sqlite(value: str | int | bytes) -> tuple[int, Any]:
        stored = column(value)
        return kinds[type(stored)], stored.encode() if isinstance(stored, str) else stored

    assert sorted(reversed(values), key=mongodb) == values
    assert sorted(reversed(values), key=sqlite) == values


def test_a_page_among_equal_values_takes_two_ranges() -> None:
    query = Query(MAILS, "by_time", ("b",), lower=1, after=(5, "k"))
    bounds = {"$exists": True, "$gte": 1, "$lte": 2**63 - 1}
    assert filters_of(query) == [
        {"x.box": "b", "$and": [{"x.at": 5}, {"x.at": bounds}], "k": {"$gt": "k"}},
        {"x.box": "b", "$and": [{"x.at": {"$gt": 5}}, {"x.at": bounds}]},
    ]
    assert sort_of(query) == [("x.at", 1), ("k", 1)]
    assert index_keys(MAILS.indexes[0]) == [("x.box", 1), ("x.at", 1), ("k", 1)]
    assert index_keys(MAILS.indexes[1]) == [("x.hash", 1)]
    assert filters_of(Query(MAILS, "by_time", ("b", 5), after=(5, "k"), descending=True)) == [
        {"x.box": "b", "x.at": 5, "k": {"$lt": "k"}}
    ]


async def test_a_server_that_goes_away_is_unavailable(tmp_path: Path) -> None:
    with mongodb_server(tmp_path / "server") as (uri, is_nx):
        if not is_nx:
            pytest.skip("the given server is not ours to stop")
        quick = f"{uri}&serverSelectionTimeoutMS=300"
        store = await MongoStore.open(quick, "sealpost_test", (MAILS,))
        await store.write(Insert(MAILS, "k", {"n": 1}))
    try:
        for attempt in (
            store.write(Insert(MAILS, "l", {})),
            store.write(Increment(MAILS, "k", {"n": 1})),
            store.get(MAILS, "k"),
            store.find(Query(MAILS, "by_time", ("b",))),
            store.delete_range(MAILS, "by_time", ("b",), 5, 5),
            store.pending_events(5),
            store.clear_events([PendingEvent(MAILS, "k", EVENT)]),
        ):
            with pytest.raises(UnavailableError, match="storage_unavailable"):
                await attempt
        with pytest.raises(UnavailableError, match="storage_unavailable"):
            await MongoStore.open(quick, "sealpost_test", (MAILS,))
    finally:
        await store.close()


async def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with mongodb_server(tmp_path / "server") as (uri, _):
        async with MongoStore.open(uri, "sealpost_test_full", (MAILS,)) as store:
            store._writes._under_way = 20_000
            with pytest.raises(ExhaustedError, match="queue_full"):
                await store.write(Insert(MAILS, "k", {}))
