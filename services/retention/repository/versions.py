"""Keeps versions of the policy, one document each. They are never deleted: what was published stays published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.docstore.fields import blob, choice, nested, number, text, texts
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store, Value
from libs.policy.changes import Change
from libs.runtime.errors import InternalError
from services.retention.domain.versions import PolicyVersion, State, Step

_NUMBERS = ("replaces", "proposed_at", "announced_at", "noticed_at", "activated_at", "noticed", "refused")
VERSIONS = Collection(
    "policy_version",
    (Index("number", ("number",)), Index("state", ("state", "number")), Index("owing", ("owing", "number"))),
    fields=("number", "state", "document", "rules", "changes", "owed", "owing", *_NUMBERS),
)
_OWING = 1


class VersionRepository:
    """domain.versions.VersionStore on a store that was opened with VERSIONS."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    async def get(self, number: int) -> PolicyVersion | None:
        """See VersionStore."""
        found = await self._store.get(VERSIONS, _key(number))
        return None if found is None else _version(found)

    async def newest(self, limit: int) -> Sequence[PolicyVersion]:
        """See VersionStore."""
        return await self._find(Query(VERSIONS, "number", descending=True, limit=limit))

    async def in_state(self, state: State, limit: int) -> Sequence[PolicyVersion]:
        """See VersionStore."""
        return await self._find(Query(VERSIONS, "state", (state.value,), descending=True, limit=limit))

    async def owing(self, limit: int) -> Sequence[PolicyVersion]:
        """See VersionStore."""
        return await self._find(Query(VERSIONS, "owing", (_OWING,), limit=limit))

    async def add(self, version: PolicyVersion) -> None:
        """See VersionStore."""
        await self._store.write(Insert(VERSIONS, _key(version.number), _body(version)))

    async def put(self, version: PolicyVersion) -> PolicyVersion:
        """See VersionStore."""
        operation = Replace(VERSIONS, _key(version.number), _body(version), version.revision)
        return replace(version, revision=(await self._store.write(operation)).version)

    async def _find(self, query: Query) -> Sequence[PolicyVersion]:
        return [_version(document) for document in await self._store.find(query)]


def _key(number: int) -> str:
    return f"{number:08d}"


def _body(version: PolicyVersion) -> Body:
    changes: list[Value] = [_of(change) for change in version.changes]
    rules: dict[str, Value] = dict(version.rules)
    owed: list[Value] = [step.value for step in version.owed]
    return {
        **{name: getattr(version, name) for name in _NUMBERS},
        "number": version.number,
        "state": version.state.value,
        "document": version.document,
        "rules": rules,
        "changes": changes,
        "owed": owed,
        "owing": _OWING if owed else None,
    }


def _of(change: Change) -> dict[str, Value]:
    return {**vars(change), "profiles": list(change.profiles)}


def _version(document: Document) -> PolicyVersion:
    body = document.body
    changes, rules = body.get("changes"), nested(body, "rules")
    if not isinstance(changes, list):
        raise InternalError("document_damaged")
    return PolicyVersion(
        number=number(body, "number"),
        state=choice(State, text(body, "state")),
        document=blob(body, "document"),
        rules={name: number(rules, name) for name in rules},
        changes=tuple(map(_change, changes)),
        owed=tuple(choice(Step, step) for step in texts(body, "owed")),
        revision=document.version,
        **{name: number(body, name) for name in _NUMBERS},
    )


def _change(value: Value) -> Change:
    if not isinstance(value, dict):
        raise InternalError("document_damaged")
    words = {name: text(value, name) for name in ("kind", "subject", "before", "after")}
    return Change(material=bool(value.get("material")), profiles=texts(value, "profiles"), **words)
