"""What is known of each owner: what it held when it was last asked, and how the last sweeps went. One document each.

Only the leader writes them (Fenced); who serves calls reads them, in whichever replica.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Store, Value
from libs.runtime.errors import InternalError
from services.retention.domain.ports import Held
from services.retention.leading.lease import Fenced, Lead

BOOKS = Collection("book", fields=("lines", "round", "term"))
_NUMBERS = ("count", "first_due", "erasing", "asked", "swept", "deleted", "hour", "sum")


@dataclass(frozen=True)
class Line:
    """One class. Times in Unix seconds; `hour` in hours since 1970, whose deletions `sum` counts."""

    name: str
    count: int = 0
    at_least: bool = False
    first_due: int = 0
    erasing: int = 0
    asked: int = 0
    swept: int = 0
    deleted: int = 0
    fault: str = ""
    hour: int = 0
    sum: int = 0

    @property
    def overdue(self) -> int:
        """By how many seconds the first item was past its time when the owner was asked."""
        return max(0, self.asked - self.first_due) if self.first_due else 0


@dataclass
class Book:
    """What is known of one owner."""

    service: str
    lines: dict[str, Line] = field(default_factory=dict)
    round: int = 0
    document: Document | None = None

    def hold(self, held: Iterable[Held], at: int) -> None:
        """Note what the owner holds at `at`; classes that it does not name any more are forgotten."""
        known, self.lines = self.lines, {}
        for one in held:
            line = known.get(one.data_class) or Line(one.data_class)
            self.lines[one.data_class] = replace(
                line,
                count=one.count,
                at_least=one.at_least,
                first_due=one.first_due,
                erasing=one.erasing,
                asked=at,
            )

    @property
    def sum(self) -> int:
        """How many deletions are not in the ledger yet."""
        return sum(line.sum for line in self.lines.values())

    def begin(self) -> None:
        """Begin a round."""
        for name, line in self.lines.items():
            self.lines[name] = replace(line, deleted=0)

    def swept(self, name: str, at: int, deleted: int) -> None:
        """Note a batch of this round."""
        line = self.lines[name]
        hour = line.hour if line.sum else at // 3600
        self.lines[name] = replace(
            line, swept=at, deleted=line.deleted + deleted, fault="", hour=hour, sum=line.sum + deleted
        )

    def failed(self, name: str, reason: str) -> None:
        """Note that a class could not be swept."""
        self.lines[name] = replace(self.lines[name], fault=reason)

    def accounted(self, name: str) -> None:
        """Begin the sum of a class anew: it is in the ledger."""
        self.lines[name] = replace(self.lines[name], hour=0, sum=0)


class Books:
    """The books of all owners."""

    def __init__(self, store: Store, fenced: Fenced) -> None:
        """Use `store`, opened with BOOKS."""
        self._store = store
        self._fenced = fenced

    async def read(self, services: Iterable[str]) -> list[Book]:
        """Return the books there are. Raises: UnavailableError."""
        found = await self._store.get_many(BOOKS, list(services))
        return [_book(document) for _, document in sorted(found.items())]

    async def open(self, lead: Lead, service: str) -> Book:
        """Return the book of an owner to write in. Raises: LeaseLostError, UnavailableError."""
        document = await self._fenced.get(lead, BOOKS, service)
        return _book(document) if document else Book(service)

    async def write(self, lead: Lead, book: Book) -> None:
        """Write a book that was opened. Raises: LeaseLostError, UnavailableError."""
        lines: list[Value] = [dict(vars(line)) for line in book.lines.values()]
        body: Body = {"lines": lines, "round": book.round}
        book.document = await self._fenced.put(lead, BOOKS, book.service, body, book.document)


def _book(document: Document) -> Book:
    lines = document.body.get("lines")
    if not isinstance(lines, list):
        raise InternalError("document_damaged")
    return Book(document.key, {line.name: line for line in map(_line, lines)}, number(document.body, "round"), document)


def _line(value: Value) -> Line:
    if not isinstance(value, dict):
        raise InternalError("document_damaged")
    counts = {name: number(value, name) for name in _NUMBERS}
    return Line(text(value, "name"), at_least=bool(value.get("at_least")), fault=text(value, "fault"), **counts)
