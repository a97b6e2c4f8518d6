"""The persistence contract, once for every engine: documents, batches, events, conflicts, crashes.

Its other half, queries by index and what is refused, is test_docstore_queries.py.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from libs.docstore.store import (
    Collection,
    Delete,
    Event,
    Increment,
    Index,
    Insert,
    Patch,
    PendingEvent,
    Query,
    Replace,
    Store,
    Value,
    Written,
)
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
)
from libs.telemetry import traces
from tests.support.docstore import Engine

NOTES = Collection(
    "notes", (Index("by_box", ("box", "at")), Index("by_name", ("name",), unique=True), Index("by_hash", ("hash",)))
)
COUNTS = Collection("counts")
ALL = (NOTES, COUNTS)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    opened = await engine.open(ALL)
    yield opened
    await opened.close()


async def fails(operation: object, store: Store) -> tuple[type[SealpostError], str]:
    with pytest.raises(SealpostError) as caught:
        await store.write(operation)  # type: ignore[arg-type]
    return type(caught.value), caught.value.reason


async def test_what_is_inserted_comes_back(store: Store) -> None:
    body: dict[str, Value] = {
        "text": "naïve \U0001f480 \x00 text",
        "number": -(2**63),
        "large": 2**63 - 1,
        "raw": bytes(range(256)),
        "yes": True,
        "nothing": None,
        "list": [1, "two", b"three", None, [False]],
        "map": {"a.b": {"c": 1}, "empty": {}},
    }
    assert await store.write(Insert(NOTES, "a:b/c.d_e-F", body)) == Written(1)
    found = await store.get(NOTES, "a:b/c.d_e-F")
    assert found is not None
    assert (found.key, found.version, dict(found.body)) == ("a:b/c.d_e-F", 1, body)
    assert await store.get(COUNTS, "a:b/c.d_e-F") is None


async def test_a_megabyte_comes_back(store: Store) -> None:
    body = {"raw": bytes(1024) * 1024}
    await store.write(Insert(NOTES, "large", body))
    found = await store.get(NOTES, "large")
    assert found is not None
    assert found.body == body


async def test_a_key_is_taken_once(store: Store) -> None:
    await store.write(Insert(NOTES, "k", {"n": 1}))
    assert await fails(Insert(NOTES, "k", {"n": 2}), store) == (ConflictError, "exists")
    results = await store.write_many([Insert(NOTES, "new", {"n": number}) for number in range(5)])
    assert [isinstance(result, Written) for result in results].count(True) == 1
    await store.write(Delete(NOTES, "k"))
    assert await store.write(Insert(NOTES, "k", {"n": 3})) == Written(1)


async def test_replace_wants_the_version_it_has_seen(store: Store) -> None:
    await store.write(Insert(NOTES, "k", {"n": 1, "old": True}))
    assert await store.write(Replace(NOTES, "k", {"n": 2}, version=1)) == Written(2)
    assert await fails(Replace(NOTES, "k", {"n": 3}, version=1), store) == (ConflictError, "version")
    assert await fails(Replace(NOTES, "absent", {}, version=1), store) == (NotFoundError, "document_not_found")
    found = await store.get(NOTES, "k")
    assert found is not None
    assert (found.version, found.body) == (2, {"n": 2})


async def test_patch_sets_some_fields(store: Store) -> None:
    await store.write(Insert(NOTES, "k", {"n": 1, "box": "b", "at": 5, "keep": b"x"}))
    assert await store.write(Patch(NOTES, "k", {"n": 2, "more": ["y"]})) == Written(2)
    assert await store.write(Patch(NOTES, "k", {"box": None}, version=2)) == Written(3)
    assert await fails(Patch(NOTES, "k", {"n": 9}, version=2), store) == (ConflictError, "version")
    assert await fails(Patch(NOTES, "absent", {"n": 9}), store) == (NotFoundError, "document_not_found")
    found = await store.get(NOTES, "k")
    assert found is not None
    assert found.body == {"n": 2, "box": None, "at": 5, "keep": b"x", "more": ["y"]}
    assert await store.find(Query(NOTES, "by_box", ("b",))) == []
    await store.write(Patch(NOTES, "k", {"box": "c"}))
    assert [document.key for document in await store.find(Query(NOTES, "by_box", ("c",)))] == ["k"]


async def test_increment_counts_between_zero_and_ceiling(store: Store) -> None:
    made = await store.write(Increment(COUNTS, "k", {"used": 5, "mails": 1}, {"used": 10}, {"owner": "o", "used": 1}))
    assert made == Written(1, {"owner": "o", "used": 6, "mails": 1})
    assert await fails(Increment(COUNTS, "k", {"mails": 1, "used": 5}, {"used": 10}), store) == (ExhaustedError, "used")
    assert await store.write(Increment(COUNTS, "k", {"used": 4, "mails": 1}, {"used": 10})) == Written(
        2, {"owner": "o", "used": 10, "mails": 2}
    )
    # A lowered ceiling stops additions only; a field stops at zero; an absent one counts as zero.
    after = await store.write(Increment(COUNTS, "k", {"used": -1, "mails": -7, "other": -1}, {"used": 3, "mails": 9}))
    assert after == Written(3, {"owner": "o", "used": 9, "mails": 0, "other": 0})
    assert await fails(Increment(COUNTS, "new", {"used": 11}, {"used": 10}), store) == (ExhaustedError, "used")
    assert await store.get(COUNTS, "new") is None
    assert await fails(Increment(COUNTS, "k", {"owner": 1}), store) == (InvalidError, "not_an_integer")


async def test_concurrent_increments_all_count(engine: Engine) -> None:
    first, second = await engine.open(ALL), await engine.open(ALL)
    try:
        results = await asyncio.gather(
            *(store.write(Increment(COUNTS, "k", {"n": 1}, {"n": 30})) for store in (first, second) * 20),
            return_exceptions=True,
        )
        assert [type(result) for result in results].count(Written) == 30
        counted = {result.body["n"] for result in results if isinstance(result, Written) and result.body}
        assert counted == set(range(1, 31))
        found = await second.get(COUNTS, "k")
        assert found is not None
        assert (found.body, found.version) == ({"n": 30}, 30)
    finally:
        await first.close()
        await second.close()


async def test_delete_takes_any_version_or_the_given_one(store: Store) -> None:
    await store.write(Insert(NOTES, "k", {"n": 1}))
    assert await fails(Delete(NOTES, "k", version=2), store) == (ConflictError, "version")
    await store.write(Delete(NOTES, "k", version=1))
    assert await store.get(NOTES, "k") is None
    assert await fails(Delete(NOTES, "k"), store) == (NotFoundError, "document_not_found")


async def test_operations_of_a_batch_fail_alone_and_keep_their_order(store: Store) -> None:
    results = await store.write_many(
        [
            Insert(NOTES, "a", {"n": 1}),
            Insert(NOTES, "bad key!", {}),
            Replace(NOTES, "a", {"n": 2}, version=1),
            Insert(NOTES, "a", {"n": 9}),
            Patch(NOTES, "a", {"m": 1}),
            Increment(NOTES, "a", {"n": 40}),
            Delete(NOTES, "absent"),
            Insert(NOTES, "b", {"n": 5}),
            Delete(NOTES, "b"),
            Insert(NOTES, "b", {"n": 6}),
        ]
    )
    kinds = [type(result).__name__ for result in results]
    assert (
        kinds
        == ["Written", "InvalidError", "Written", "ConflictError"]
        + ["Written"] * 2
        + ["NotFoundError"]
        + ["Written"] * 3
    )
    both = await store.get_many(NOTES, ["a", "b", "c"])
    assert {key: dict(document.body) for key, document in both.items()} == {"a": {"n": 42, "m": 1}, "b": {"n": 6}}
    assert await store.write_many([]) == []


async def test_unique_indexes_refuse_the_second(store: Store) -> None:
    await store.write(Insert(NOTES, "a", {"name": "ada"}))
    await store.write(Insert(NOTES, "none1", {"name": None}))
    await store.write(Insert(NOTES, "none2", {}))
    await store.write(Insert(NOTES, "b", {"name": "bob"}))
    for operation in (
        Insert(NOTES, "c", {"name": "ada"}),
        Replace(NOTES, "b", {"name": "ada"}, version=1),
        Patch(NOTES, "none1", {"name": "ada"}, version=1),
    ):
        assert await fails(operation, store) == (ConflictError, "duplicate")
    results = await store.write_many([Insert(NOTES, f"n{number}", {"name": "new"}) for number in range(3)])
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "ConflictError", "Written"]
    mixed = await store.write_many(
        [Insert(NOTES, "x", {"name": "ada"}), Insert(NOTES, "y", {"name": "yes"}), Insert(NOTES, "b", {"name": "z"})]
    )
    assert [getattr(result, "reason", "written") for result in mixed] == ["duplicate", "written", "exists"]
    await store.write(Delete(NOTES, "a"))
    await store.write(Patch(NOTES, "none1", {"name": "ada"}))
    assert [document.key for document in await store.find(Query(NOTES, "by_name", ("ada",)))] == ["none1"]


async def test_a_patch_of_any_version_meets_a_unique_index(engine: Engine, store: Store) -> None:
    engine.lacks("the duplicate key error of findAndModify")
    await store.write_many([Insert(NOTES, "a", {"name": "ada"}), Insert(NOTES, "b", {"name": "bob"})])
    assert await fails(Patch(NOTES, "b", {"name": "ada"}), store) == (ConflictError, "duplicate")


async def test_an_event_is_pending_from_commit_to_clearing(store: Store) -> None:
    first, second, third = (Event(f"id.{number}/$x", "mail.stored.v1", bytes([number])) for number in (1, 2, 3))
    await store.write(Insert(NOTES, "a", {"n": 1}, (first,)))
    await store.write(Insert(COUNTS, "b", {"n": 1}, (second,)))
    assert (await fails(Insert(NOTES, "a", {}, (Event("never", "x", b""),)), store))[1] == "exists"
    await store.write(Patch(NOTES, "a", {"n": 2}, events=(third,)))
    pending = await store.pending_events(10)
    expected = [PendingEvent(NOTES, "a", first), PendingEvent(NOTES, "a", third), PendingEvent(COUNTS, "b", second)]
    assert sorted(pending, key=lambda item: (item.key, item.event.event_id)) == expected
    assert pending[0] == expected[0]
    assert len(await store.pending_events(2)) == 2

    await store.clear_events([expected[0], expected[0], PendingEvent(NOTES, "absent", first)])
    assert {item.event.event_id for item in await store.pending_events(10)} == {"id.2/$x", "id.3/$x"}
    await store.write(Replace(NOTES, "a", {"n": 3}, version=2, events=(first,)))
    await store.write(Increment(NOTES, "a", {"n": 1}))
    assert len(await store.pending_events(10)) == 3
    found = await store.get(NOTES, "a")
    assert found is not None
    assert (found.body, found.version) == ({"n": 4}, 4)
    await store.write(Delete(COUNTS, "b"))
    await store.clear_events(await store.pending_events(10))
    assert await store.pending_events(10) == []
    await store.clear_events([])


async def test_an_event_keeps_the_trace_of_its_cause(store: Store) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with traces.within(traces.extract({"traceparent": trace})):
        await store.write(Insert(NOTES, "a", {}, (Event("e1", "mail.stored.v1", b""),)))
    await store.write(Insert(COUNTS, "b", {}, (Event("e2", "mail.stored.v1", b"", "given"),)))
    assert [item.event.trace for item in await store.pending_events(10)] == [trace, "given"]


async def test_an_event_given_twice_can_be_cleared(store: Store) -> None:
    event = Event("same", "mail.stored.v1", b"")
    await store.write(Insert(NOTES, "a", {}, (event,)))
    await store.write(Patch(NOTES, "a", {"n": 1}, events=(event,)))
    while pending := await store.pending_events(10):
        await store.clear_events(pending)
    await store.write(Patch(NOTES, "a", {"n": 2}, events=(event,)))
    assert [item.event for item in await store.pending_events(10)] == [event]


async def test_of_two_writers_with_one_version_one_wins(engine: Engine) -> None:
    first, second = await engine.open(ALL), await engine.open(ALL)
    try:
        await first.write(Insert(NOTES, "k", {"winner": ""}))
        for version in range(1, 11):
            results = await asyncio.gather(
                first.write(Replace(NOTES, "k", {"winner": "first"}, version)),
                second.write(Replace(NOTES, "k", {"winner": "second"}, version)),
                return_exceptions=True,
            )
            assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Written"]
            found = await second.get(NOTES, "k")
            assert found is not None
            assert found.body["winner"] == ("first" if isinstance(results[0], Written) else "second")
    finally:
        await first.close()
        await second.close()


async def test_what_was_acknowledged_outlives_a_killed_process(engine: Engine) -> None:
    command = [sys.executable, "-m", "tests.support.docstore_writer", engine.name, engine.url, engine.database]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    store = await engine.open(ALL)
    try:
        pending = {item.key for item in await store.pending_events(10_000)}
        for number in acknowledged:
            found = await store.get(NOTES, f"k{number}")
            assert found is not None
            assert found.body["raw"] == number.to_bytes(4, "big") * 500
            assert found.key in pending
    finally:
        await store.close()
