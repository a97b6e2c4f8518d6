"""Keeps disclosure cases, one document each, found by account, state, when somebody is to be told, and when they end.

The index of what is to be told holds only who is: `tell_at` is absent otherwise, as is `ended_at` before the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from libs.docstore.fields import blob, choice, nested, number, text, texts
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store, Value
from libs.owner.model import Subject
from libs.runtime.errors import InternalError
from services.retention.domain.cases import Case, CaseState, Owed, Sealed

_NUMBERS = (
    "since",
    "until",
    "secret_until",
    "opened_at",
    "last_at",
    "decided_at",
    "exported_at",
    "told_at",
    "archive_size",
)
_SEALED = ("key", "order", "address", "refusal")
_BLOBS = ("opened_by", "decided_by", "archive_hash")
CASES = Collection(
    "disclosure_case",
    (
        Index("opened", ("opened_at",)),
        Index("state", ("state", "last_at")),
        Index("account", ("account", "opened_at")),
        Index("tell", ("tell_at",)),
        Index("ended", ("ended_at",)),
        Index("owing", ("owing", "opened_at")),
    ),
    fields=(
        *_NUMBERS,
        *_SEALED,
        *_BLOBS,
        "state",
        "account",
        "mailbox",
        "legal_basis",
        "data_classes",
        "ended_at",
        "tell_at",
        "owed",
        "owing",
    ),
)
_OWING = 1
# Of one account.
_MOST = 1000


class CaseRepository:
    """domain.cases.CaseStore on a store that was opened with CASES."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    async def get(self, case_id: str) -> Case | None:
        """See CaseStore."""
        found = await self._store.get(CASES, case_id)
        return None if found is None else case_of(found)

    async def newest(self, limit: int) -> Sequence[Case]:
        """See CaseStore."""
        return await self._find(Query(CASES, "opened", descending=True, limit=limit))

    async def idle(self, state: CaseState, before: int, limit: int) -> Sequence[Case]:
        """See CaseStore."""
        return await self._find(Query(CASES, "state", (state.value,), upper=before, limit=limit))

    async def of_account(self, account_id: str) -> Sequence[Case]:
        """See CaseStore."""
        return await self._find(Query(CASES, "account", (account_id,), descending=True, limit=_MOST))

    async def to_tell(self, until: int, limit: int) -> Sequence[Case]:
        """See CaseStore."""
        return await self._find(Query(CASES, "tell", upper=until, limit=limit))

    async def owing(self, limit: int) -> Sequence[Case]:
        """See CaseStore."""
        return await self._find(Query(CASES, "owing", (_OWING,), limit=limit))

    async def add(self, case: Case) -> Case:
        """See CaseStore."""
        written = await self._store.write(Insert(CASES, case.case_id, _body(case)))
        return replace(case, revision=written.version)

    async def put(self, case: Case) -> Case:
        """See CaseStore."""
        written = await self._store.write(Replace(CASES, case.case_id, _body(case), case.revision))
        return replace(case, revision=written.version)

    async def _find(self, query: Query) -> Sequence[Case]:
        return [case_of(document) for document in await self._store.find(query)]


def _body(case: Case) -> Body:
    classes: list[Value] = list(case.data_classes)
    owed: list[Value] = [_owed(one) for one in case.owed]
    return {
        **{name: getattr(case, name) for name in (*_NUMBERS, *_BLOBS)},
        **{name: getattr(case.sealed, name) for name in _SEALED},
        "state": case.state.value,
        "account": case.subject.account_id or None,
        "mailbox": case.subject.mailbox_id,
        "legal_basis": case.legal_basis,
        "data_classes": classes,
        "ended_at": case.ended_at or None,
        "tell_at": case.tell_at or None,
        "owed": owed,
        "owing": _OWING if owed else None,
    }


def _owed(one: Owed) -> dict[str, Value]:
    return {"name": one.name, "kind": one.kind, "data": dict(one.data), "half": one.half, "counts": dict(one.counts)}


def case_of(document: Document) -> Case:
    """Return the case of a document. Raises: InternalError("document_damaged")."""
    body = document.body
    owed = body.get("owed")
    if not isinstance(owed, list):
        raise InternalError("document_damaged")
    account = text(body, "account") if body.get("account") is not None else ""
    plain: dict[str, Any] = {name: blob(body, name) for name in _BLOBS}
    plain |= {name: number(body, name) for name in _NUMBERS}
    return Case(
        case_id=document.key,
        state=choice(CaseState, text(body, "state")),
        subject=Subject(account, text(body, "mailbox")),
        legal_basis=text(body, "legal_basis"),
        data_classes=texts(body, "data_classes"),
        sealed=Sealed(**{name: blob(body, name) for name in _SEALED}),
        ended_at=number(body, "ended_at", absent=0),
        tell_at=number(body, "tell_at", absent=0),
        owed=tuple(map(_owed_of, owed)),
        revision=document.version,
        **plain,
    )


def _owed_of(value: Value) -> Owed:
    if not isinstance(value, dict):
        raise InternalError("document_damaged")
    data, counts = nested(value, "data"), nested(value, "counts")
    words = {name: one for name, one in data.items() if isinstance(one, str | int)}
    return Owed(
        text(value, "name"),
        text(value, "kind"),
        words,
        text(value, "half"),
        {name: number(counts, name) for name in counts},
    )
