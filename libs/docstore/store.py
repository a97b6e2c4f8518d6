"""The persistence contract: documents addressed by key or by a declared index, and nothing else.

Every operation costs O(log n) on every engine, because there is no way to say one that does not: an index query fixes
all fields of a declared index but the last, and may bound the last. One document is one atomic unit. An event that
announces a change rides inside the changed document as pending, so that change and announcement share one commit;
libs.events publishes it afterwards and then clears it.

Engines: libs.docstore.sqlite (embedded) and libs.docstore.mongo. Both pass tests/contract/test_docstore.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

Value: TypeAlias = "str | int | bytes | bool | list[Value] | dict[str, Value] | None"
Body: TypeAlias = Mapping[str, Value]
IndexValue: TypeAlias = str | int | bytes


@dataclass(frozen=True)
class Index:
    """A declared access path.

    `fields` are names of top-level fields holding str, int or bytes. A document that lacks one of them, or holds None
    there, is not in the index. `unique` makes a second document with the same values a ConflictError("duplicate").
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True)
class Collection:
    """A named set of documents; keys are unique in it, 1 to 200 characters of [A-Za-z0-9._:/-].

    `small`: no document is longer than a few hundred bytes, so that an engine within the process need not hand a look
    at some of them to another thread, which costs more than the look.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    small: bool = False
    # The top-level fields of its documents, all of them, with those of the indexes: what the policy's data classes are
    # compared with. Where tests run, a write of any other field fails. A name that ends with an underscore stands for
    # all fields that begin with it.
    fields: tuple[str, ...] = ()
    # The fields of all indexes, each once, in order of declaration.
    index_fields: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Gather the fields: they are asked for at every write."""
        gathered = dict.fromkeys(name for index in self.indexes for name in index.fields)
        object.__setattr__(self, "index_fields", tuple(gathered))


@dataclass(frozen=True)
class Document:
    """A stored document. `version` starts at 1 and grows with every change."""

    key: str
    body: Body
    version: int


@dataclass(frozen=True)
class Event:
    """An announcement: published on `subject` with `event_id` as Nats-Msg-Id, once the document is committed.

    `trace` is the W3C traceparent of what caused it; the engine takes the current one where none is given.
    """

    event_id: str
    subject: str
    payload: bytes
    trace: str = field(default="", compare=False)


@dataclass(frozen=True)
class Insert:
    """Create a document; ConflictError("exists") if the key is taken."""

    collection: Collection
    key: str
    body: Body
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Replace:
    """Put a new body; ConflictError("version") unless the stored version is `version`, NotFoundError if absent."""

    collection: Collection
    key: str
    body: Body
    version: int
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Patch:
    """Set some top-level fields, whatever the version unless one is given; NotFoundError if absent.

    A value of None removes the field from its indexes.
    """

    collection: Collection
    key: str
    fields: Body
    version: int | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Increment:
    """Add to integer fields, creating the document (with `defaults`) where absent.

    ExhaustedError(<field name>) and no change at all if a field named in `ceilings` would exceed its ceiling by a
    positive addition. A field never falls below zero: it stops there. An absent field counts as zero.
    """

    collection: Collection
    key: str
    deltas: Mapping[str, int]
    ceilings: Mapping[str, int] = field(default_factory=dict)
    defaults: Body = field(default_factory=dict)


@dataclass(frozen=True)
class Delete:
    """Remove a document; NotFoundError if absent, ConflictError("version") if a version is given and differs.

    Events that are still pending in it go with it.
    """

    collection: Collection
    key: str
    version: int | None = None


Operation: TypeAlias = Insert | Replace | Patch | Increment | Delete


@dataclass(frozen=True)
class Written:
    """What a successful operation left: the version, and for Increment the document's body after it."""

    version: int
    body: Body | None = None


@dataclass(frozen=True)
class Query:
    """Documents of `index` whose leading fields equal `equal`, in the order of the last field, then of the key.

    `equal` has exactly one value fewer than the index has fields (or as many: then all fields are fixed).
    `lower` and `upper` bound the last field, inclusive. `after` is exclusive: the (last field, key) of the last
    document of the previous page, in the direction of travel.
    """

    collection: Collection
    index: str
    equal: tuple[IndexValue, ...] = ()
    lower: IndexValue | None = None
    upper: IndexValue | None = None
    after: tuple[IndexValue, str] | None = None
    descending: bool = False
    limit: int = 100


@dataclass(frozen=True)
class PendingEvent:
    """An event that is committed but not known to be published."""

    collection: Collection
    key: str
    event: Event


class Store(Protocol):
    """A set of collections. All methods raise UnavailableError where the engine cannot answer now."""

    async def write(self, operation: Operation) -> Written:
        """Apply one operation, durably (fsync, or majority and journal) before it returns.

        Concurrent calls share one commit (group commit). A failed commit raises UnavailableError for every operation
        in it and changes nothing.
        """

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """Apply several, each atomic by itself, in order where they touch the same key; results in order.

        An operation that fails by its own condition returns its SealpostError in its place and leaves the others
        alone.
        """

    async def get(self, collection: Collection, key: str) -> Document | None:
        """Return one document, or None."""

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        """Return those of at most 1,000 documents that exist, by key."""

    async def find(self, query: Query) -> list[Document]:
        """Return at most `query.limit` (1 to 1,000) documents in index order."""

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        """Return how many documents there are, or how many of them are in `index`; counting stops at `at_most`.

        It takes time as they are many.
        """

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        """Delete at most `limit` documents whose last index field is <= `upper`, lowest first; return how many."""

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        """Return at most `limit` events that are committed and not cleared, oldest documents first."""

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        """Forget events that the broker has acknowledged. Clearing an absent event does nothing."""

    async def compact(self) -> None:
        """Leave nothing of deleted documents behind in the engine's own files, where the engine allows it."""

    def files(self) -> tuple[Path, ...]:
        """Return the engine's own files as far as this process can read them; some of them may not exist just now."""

    async def close(self) -> None:
        """Finish what is under way and release everything. Idempotent."""
