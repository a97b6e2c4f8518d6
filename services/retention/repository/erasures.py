"""Erasures under way, and the receipts of those that are done. Nothing leads from a receipt to who was erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from libs.docstore.fields import number, text, texts
from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Query, Store, Value
from libs.owner.model import Erased, Subject
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from services.retention.leading.lease import Fenced, Lead, LeaseLostError

ERASURES = Collection(
    "erasure",
    (Index("due", ("due",)), Index("receipt", ("receipt",))),
    fields=(
        "mailbox",
        "receipt",
        "asked_at",
        "due",
        "reference",
        "begun",
        "keys_gone_at",
        "answered",
        "done",
        "lines",
        "term",
    ),
)
RECEIPTS = Collection(
    "receipt",
    (Index("done_at", ("done_at",)),),
    fields=("asked_at", "due", "keys_gone_at", "done_at", "entry", "lines"),
)
_PAGE = 500


@dataclass(frozen=True)
class Line:
    """What became of one class of one service; see sealpost.owner.v1.Erased."""

    service: str
    data_class: str
    count: int = 0
    keys: int = 0
    kept: int = 0
    kept_until_day: int = 0


@dataclass(frozen=True)
class Receipt:
    """What the account's owner is shown. Times in Unix seconds, 0 where it has not happened."""

    asked_at: int
    due: int
    keys_gone_at: int = 0
    done_at: int = 0
    lines: Sequence[Line] = ()
    entry: int = 0


@dataclass
class Erasure:
    """One erasure under way. `receipt`: SHA-256 of its token in hexadecimal digits, or empty.

    `reference`: what the ledger calls it, a random id. `begun`: accounts allows no undo any more, and it is in the
    register. `answered`: the owners that have destroyed the keys; `done`: those that have nothing left.
    """

    subject: Subject
    receipt: str
    asked_at: int
    due: int
    reference: str
    begun: bool = False
    keys_gone_at: int = 0
    answered: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    document: Document | None = None
    # Whether nothing is to be done any more; not kept, for then there is nothing to keep.
    ended: bool = False

    def add(self, service: str, data_class: str, erased: Erased) -> None:
        """Count what one step has done."""
        line = self.lines.get((service, data_class)) or Line(service, data_class)
        self.lines[service, data_class] = replace(
            line,
            count=line.count + erased.deleted,
            keys=line.keys + erased.keys,
            kept=max(line.kept, erased.kept),
            kept_until_day=max(line.kept_until_day, erased.kept_until_day),
        )

    def told(self) -> Receipt:
        """Return what its owner is shown."""
        lines = [line for _, line in sorted(self.lines.items())]
        return Receipt(self.asked_at, self.due, self.keys_gone_at, 0, lines)


class Erasures:
    """The repository of both."""

    def __init__(self, store: Store, fenced: Fenced) -> None:
        """Use `store`, opened with ERASURES and RECEIPTS."""
        self._store = store
        self._fenced = fenced

    async def known(self, accounts: Sequence[str]) -> set[str]:
        """Return those of at most 1,000 accounts whose erasure is under way. Raises: UnavailableError."""
        return set(await self._store.get_many(ERASURES, list(accounts)))

    async def page(self, lead: Lead, after: Erasure | None) -> list[Erasure]:
        """Return erasures under way, those due first, after `after`. Raises: LeaseLostError, UnavailableError."""
        last = (after.due, after.subject.account_id) if after else None
        found = await self._store.find(Query(ERASURES, "due", after=last, limit=_PAGE))
        if any(number(one.body, "term") > lead.term for one in found):
            raise LeaseLostError
        return [_erasure(one) for one in found]

    async def running(self) -> int:
        """Return how many are under way, at most 500. Raises: UnavailableError."""
        return len(await self._store.find(Query(ERASURES, "due", limit=_PAGE)))

    async def put(self, lead: Lead, erasure: Erasure) -> None:
        """Write an erasure. Raises: LeaseLostError, UnavailableError."""
        account = erasure.subject.account_id
        erasure.document = await self._fenced.put(lead, ERASURES, account, _body(erasure), erasure.document)

    async def drop(self, erasure: Erasure) -> None:
        """Forget an erasure: it is done, or was taken back. Raises: LeaseLostError, UnavailableError."""
        version = erasure.document.version if erasure.document else None
        try:
            await self._store.write(Delete(ERASURES, erasure.subject.account_id, version))
        except ConflictError as error:
            raise LeaseLostError from error
        except NotFoundError:
            return

    async def keep(self, key: str, receipt: Receipt) -> None:
        """Keep a receipt; one that is there already stays. Raises: UnavailableError."""
        body: Body = {**_counts(receipt), "lines": [dict(vars(line)) for line in receipt.lines]}
        try:
            await self._store.write(Insert(RECEIPTS, key, body))
        except ConflictError:
            return

    async def receipt(self, key: str) -> Receipt | None:
        """Return the receipt, or how far its erasure is; None where neither is known. Raises: UnavailableError."""
        found = await self._store.get(RECEIPTS, key)
        if found is not None:
            return _receipt(found.body)
        running = await self._store.find(Query(ERASURES, "receipt", (), key, key, limit=1))
        return _erasure(running[0]).told() if running else None


def _counts(receipt: Receipt) -> dict[str, Value]:
    return {name: getattr(receipt, name) for name in ("asked_at", "due", "keys_gone_at", "done_at", "entry")}


def _receipt(body: Body) -> Receipt:
    asked_at, due, gone, done, entry = (
        number(body, name) for name in ("asked_at", "due", "keys_gone_at", "done_at", "entry")
    )
    return Receipt(asked_at, due, gone, done, [line for _, line in sorted(_lines(body).items())], entry)


def _body(one: Erasure) -> Body:
    return {
        "mailbox": one.subject.mailbox_id,
        # No two of an empty receipt: an absent field is in no index.
        "receipt": one.receipt or None,
        "asked_at": one.asked_at,
        "due": one.due,
        "reference": one.reference,
        "begun": one.begun,
        "keys_gone_at": one.keys_gone_at,
        "answered": list(sorted(one.answered)),
        "done": list(sorted(one.done)),
        "lines": [dict(vars(line)) for line in one.lines.values()],
    }


def _erasure(document: Document) -> Erasure:
    body = document.body
    return Erasure(
        subject=Subject(document.key, text(body, "mailbox")),
        receipt=text({"receipt": body.get("receipt") or ""}, "receipt"),
        asked_at=number(body, "asked_at"),
        due=number(body, "due"),
        reference=text(body, "reference"),
        begun=bool(body.get("begun")),
        keys_gone_at=number(body, "keys_gone_at"),
        answered=set(texts(body, "answered")),
        done=set(texts(body, "done")),
        lines=_lines(body),
        document=document,
    )


def _lines(body: Body) -> dict[tuple[str, str], Line]:
    lines = body.get("lines")
    if not isinstance(lines, list):
        raise InternalError("document_damaged")
    return {(line.service, line.data_class): line for line in map(_line, lines)}


def _line(value: Value) -> Line:
    if not isinstance(value, dict):
        raise InternalError("document_damaged")
    counts = {name: number(value, name) for name in ("count", "keys", "kept", "kept_until_day")}
    return Line(text(value, "service"), text(value, "data_class"), **counts)
