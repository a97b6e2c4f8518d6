"""The steps of officers: open, approve, refuse, export, close. The gateway has seen to it that an officer is one.

A step is written on condition of what was read, together with what it owes to the ledger and to the report. Those are
settled at once; should that fail, the step stands, and who leads settles it. Only an export waits for the ledger: it
does not begin before its entry is written, and does not end before the hash of what was handed over is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from libs.owner.model import Subject
from libs.runtime.errors import ConflictError, DeniedError, InternalError, NotFoundError, UnavailableError
from libs.runtime.ids import is_id, new_id
from libs.telemetry.logs import get_logger
from services.retention.domain.cases import (
    GRANTED,
    Case,
    CaseState,
    CaseStore,
    Counting,
    Disclosable,
    Order,
    Owed,
    Sealed,
    Subjects,
    check_officer,
    check_order,
    check_reason,
)
from services.retention.domain.cases_seal import CaseKey, CaseKeys
from services.retention.domain.ports import Evidence, Numbers, TrustedTime
from services.retention.domain.transparency import half_year, half_year_begins

MOST_LISTED = 200

_log = get_logger("cases")


@dataclass(frozen=True)
class Tools:
    """What it works with. `allowed` gives what the version in force allows."""

    store: CaseStore
    subjects: Subjects
    allowed: Callable[[], Awaitable[Disclosable]]
    keys: CaseKeys
    evidence: Evidence
    counting: Counting
    numbers: Numbers
    time: TrustedTime


@dataclass(frozen=True)
class Archived:
    """What was handed over: sizes in bytes, SHA-256 of the archive and of its manifest."""

    size: int
    digest: bytes
    manifest: bytes


@dataclass(frozen=True)
class Shown:
    """A case as an officer sees it."""

    case: Case
    order_reference: str
    address: str
    refusal: str
    opened_by_caller: bool


class Cases:
    """All cases."""

    def __init__(self, tools: Tools) -> None:
        """Work with `tools`."""
        self._tools = tools
        self._store = tools.store

    async def open(self, officer: str, order: Order) -> Case:
        """Open a case. Raises: InvalidError naming the field, NotFoundError("account_not_found"), UnavailableError."""
        check_officer(officer)
        now = self._tools.time.now()
        check_order(order, await self._tools.allowed(), now, self._tools.numbers.rule("case_seconds"))
        subject = await self._tools.subjects.find(order.address)
        case_id = new_id()
        key = self._tools.keys.new(case_id)
        case = Case(
            case_id=case_id,
            state=CaseState.OPEN,
            subject=subject,
            legal_basis=order.legal_basis,
            since=order.since,
            until=order.until,
            data_classes=order.data_classes,
            secret_until=order.secret_until,
            opened_at=now,
            last_at=now,
            sealed=Sealed(key.wrapped, key.seal("order", order.reference), key.seal("address", order.address)),
            opened_by=key.officer(officer),
            owed=(_owed(case_id, "case_opened", now, {"asked": 1}, basis=order.legal_basis),),
        )
        return await self._settled(await self._store.add(case))

    async def approve(self, officer: str, case_id: str) -> Case:
        """Approve a case. Raises: DeniedError("same_officer"), ConflictError("case_state"), NotFoundError("case")."""
        check_officer(officer)
        case, now = await self.get(case_id), self._tools.time.now()
        if self._key(case).is_officer(officer, case.opened_by):
            raise DeniedError("same_officer")
        if now >= case.opened_at + self._tools.numbers.rule("case_lapse_seconds"):
            raise ConflictError("case_state")
        counts = {
            "granted": 1,
            "accounts": int(await self._is_first(case, now)),
            "untold": int(case.secret_until > now),
        }
        owed = _owed(case_id, "case_approved", now, counts)
        approved = replace(
            case.step(CaseState.APPROVED, now, owed, CaseState.OPEN),
            decided_by=self._key(case).officer(officer),
            decided_at=now,
            tell_at=max(now, case.secret_until),
        )
        return await self._settled(await self._store.put(approved))

    async def refuse(self, officer: str, case_id: str, reason: str) -> Case:
        """Refuse a case. Raises: InvalidError("reason"), ConflictError("case_state"), NotFoundError("case")."""
        check_officer(officer)
        check_reason(reason)
        case, now = await self.get(case_id), self._tools.time.now()
        key = self._key(case)
        refused = case.step(CaseState.REFUSED, now, _owed(case_id, "case_refused", now, {"refused": 1}), CaseState.OPEN)
        sealed = replace(case.sealed, refusal=key.seal("refusal", reason))
        return await self._settled(
            await self._store.put(replace(refused, sealed=sealed, decided_by=key.officer(officer), decided_at=now))
        )

    async def close(self, officer: str, case_id: str) -> Case:
        """Close a case that was approved. Raises: ConflictError("case_state"), NotFoundError("case")."""
        check_officer(officer)
        case, now = await self.get(case_id), self._tools.time.now()
        return await self._settled(await self._store.put(closed(case, now)))

    async def begin_export(self, officer: str, case_id: str) -> tuple[Case, Order]:
        """Note that an archive is handed over, in the ledger too; return what it is about.

        Raises: ConflictError("case_state"), NotFoundError("case" | "account_not_found"), DeniedError("same_officer").
        """
        check_officer(officer)
        case, now = await self.get(case_id), self._tools.time.now()
        if not case.decided_by or case.decided_by == case.opened_by:
            raise DeniedError("same_officer") if case.state in GRANTED else ConflictError("case_state")
        owed = Owed(f"case_exported:{new_id()}", "case_exported", {"case": case_id, "part": "begun"})
        exported = replace(case.step(CaseState.EXPORTED, now, owed, *GRANTED), exported_at=now)
        if not exported.subject.account_id:
            raise NotFoundError("account_not_found")
        shown = self.shown(case, officer)
        await self.settle(await self._store.put(exported))
        order = Order(
            reference=shown.order_reference,
            legal_basis=case.legal_basis,
            address=shown.address,
            since=case.since,
            # Nothing that came in after the case was opened, whatever the order says.
            until=min(case.until, case.opened_at),
            data_classes=case.data_classes,
            secret_until=case.secret_until,
        )
        return exported, order

    async def end_export(self, case_id: str, archived: Archived) -> None:
        """Note what was handed over, in the ledger too. Raises: UnavailableError, ConflictError: it must not end."""
        case = await self.get(case_id)
        digest, manifest = archived.digest.hex(), archived.manifest.hex()
        data: dict[str, str | int] = {"case": case_id, "part": "done", "manifest": manifest, "archive": digest}
        owed = Owed(f"case_exported:{new_id()}", "case_exported", {**data, "bytes": archived.size})
        await self.settle(
            await self._store.put(
                replace(case, archive_hash=archived.digest, archive_size=archived.size, owed=(*case.owed, owed))
            )
        )

    async def get(self, case_id: str) -> Case:
        """Return a case. Raises: NotFoundError("case"), UnavailableError."""
        found = await self._store.get(case_id) if is_id(case_id) else None
        if found is None:
            raise NotFoundError("case")
        return found

    async def newest(self, limit: int) -> Sequence[Case]:
        """Return at most `limit` cases, newest first; 0 means 50. Raises: UnavailableError."""
        return await self._store.newest(max(1, min(limit or 50, MOST_LISTED)))

    async def told(self, account_id: str) -> Sequence[Case]:
        """Return the cases that an account's owner has been told of, newest first. Raises: UnavailableError."""
        return [case for case in await self._store.of_account(account_id) if case.told_at] if account_id else []

    def shown(self, case: Case, officer: str) -> Shown:
        """Return a case as `officer` sees it. Raises: InternalError, UnavailableError("kek_missing")."""
        key = self._key(case)
        return Shown(
            case=case,
            order_reference=key.open("order", case.sealed.order),
            address=key.open("address", case.sealed.address),
            refusal=key.open("refusal", case.sealed.refusal),
            opened_by_caller=key.is_officer(officer, case.opened_by),
        )

    async def settle(self, case: Case) -> Case:
        """Write what a case owes, once. Raises: UnavailableError, ConflictError; then it is still owed."""
        if not case.owed:
            return case
        for one in case.owed:
            await self._tools.evidence.append(one.kind, one.data, once=one.name)
            if one.counts:
                await self._tools.counting.count(one.half, one.name, one.counts)
        return await self._store.put(replace(case, owed=()))

    async def _settled(self, case: Case) -> Case:
        """Return the case with its debts settled where that can be done now."""
        try:
            return await self.settle(case)
        except (UnavailableError, ConflictError) as error:
            _log.warning("case_owes", error=error)
            return case

    def _key(self, case: Case) -> CaseKey:
        if not case.sealed.key:
            raise InternalError("document_damaged")
        return self._tools.keys.of(case.case_id, case.sealed.key)

    async def _is_first(self, case: Case, now: int) -> bool:
        """Tell whether no other case of the account was granted in this half-year."""
        begins = half_year_begins(half_year(now))
        granted = (*GRANTED, CaseState.CLOSED)
        others = await self._store.of_account(case.subject.account_id) if case.subject.account_id else ()
        return not any(
            other.state in granted and other.decided_at >= begins for other in others if other.case_id != case.case_id
        )


def closed(case: Case, now: int) -> Case:
    """Return an approved case as closed. Raises: ConflictError("case_state")."""
    return case.step(CaseState.CLOSED, now, _owed(case.case_id, "case_closed", now, {}, state="closed"), *GRANTED)


def lapsed(case: Case, now: int) -> Case:
    """Return an open case as lapsed. Raises: ConflictError("case_state")."""
    owed = _owed(case.case_id, "case_closed", now, {"refused": 1}, state="lapsed")
    return case.step(CaseState.LAPSED, now, owed, CaseState.OPEN)


def told(case: Case, now: int) -> Case:
    """Return a case whose subject has been told."""
    counts = {"untold": -1} if case.secret_until > case.decided_at else {}
    owed = replace(_owed(case.case_id, "case_told", now, counts), half=half_year(case.decided_at))
    return replace(case, tell_at=0, told_at=now, owed=(*case.owed, owed))


def forgotten(case: Case, now: int) -> Case:
    """Return a case whose account is erased: what was ordered stays, whom it was about goes, nothing is left to do."""
    if case.state is CaseState.OPEN:
        case = lapsed(case, now)
    elif case.state in GRANTED:
        case = closed(case, now)
    return replace(case, subject=Subject(""), sealed=replace(case.sealed, address=b""), tell_at=0)


def _owed(case_id: str, kind: str, now: int, counts: dict[str, int], **data: str) -> Owed:
    return Owed(f"{kind}:{case_id}", kind, {"case": case_id, **data}, half_year(now), counts)
