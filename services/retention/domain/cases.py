"""A disclosure case: what it holds, and which step may follow which (policy E11).

    open ──▶ approved ──▶ exported ──▶ closed
      ├────▶ refused          (approved or exported, and left alone: closed by itself)
      └────▶ lapsed           (nobody approved it in time)

Whoever opens a case cannot approve it. Officers are kept as keyed hashes under the case's own data key: enough to see
that two are different, and nothing to look anybody up by. What names the order or the account is sealed under the same
key, which goes with the document.

Each step leaves in the document itself what it owes: an entry of the ledger and a count of the transparency report.
Both are written afterwards, as often as needed, and count once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from libs.owner.model import Subject
from libs.runtime.errors import ConflictError, InvalidError
from libs.runtime.ids import is_id

MAX_REFERENCE = 200
MAX_REASON = 500
MAX_ADDRESS = 320
DAY_SECONDS = 86_400


class CaseState(StrEnum):
    """How far a case is."""

    OPEN = "open"
    APPROVED = "approved"
    EXPORTED = "exported"
    REFUSED = "refused"
    CLOSED = "closed"
    LAPSED = "lapsed"


GRANTED = (CaseState.APPROVED, CaseState.EXPORTED)


@dataclass(frozen=True)
class Owed:
    """What a step still owes: an entry of the ledger, once by `name`, and counts of half-year `half`."""

    name: str
    kind: str
    data: Mapping[str, str | int]
    half: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sealed:
    """What is readable only with the service's key; `key` is the wrapped data key."""

    key: bytes
    order: bytes
    address: bytes
    refusal: bytes = b""


@dataclass(frozen=True)
class Case:
    """One case. Times in Unix seconds, 0 where it has not come to that. `subject` is empty when the account is gone."""

    case_id: str
    state: CaseState
    subject: Subject
    legal_basis: str
    since: int
    until: int
    data_classes: tuple[str, ...]
    secret_until: int
    opened_at: int
    last_at: int
    sealed: Sealed
    opened_by: bytes
    decided_by: bytes = b""
    decided_at: int = 0
    exported_at: int = 0
    ended_at: int = 0
    # When the account's owner is to be told; 0 = he is not, or has been.
    tell_at: int = 0
    told_at: int = 0
    archive_hash: bytes = b""
    archive_size: int = 0
    owed: tuple[Owed, ...] = ()
    revision: int = field(default=0, compare=False)

    def step(self, state: CaseState, now: int, owed: Owed, *among: CaseState) -> Case:
        """Return it in `state`, if it is in one of `among`. Raises: ConflictError("case_state")."""
        if self.state not in among:
            raise ConflictError("case_state")
        ended = now if state in (CaseState.REFUSED, CaseState.CLOSED, CaseState.LAPSED) else 0
        return replace(self, state=state, last_at=now, ended_at=ended, owed=(*self.owed, owed))


@dataclass(frozen=True)
class Order:
    """What an officer says of an order; times in Unix seconds."""

    reference: str
    legal_basis: str
    address: str
    since: int
    until: int
    data_classes: tuple[str, ...]
    secret_until: int = 0


@dataclass(frozen=True)
class Disclosable:
    """What the version in force allows: legal bases; and of each data class that may be disclosed its service, and the
    names of facts, or None where whole sealed items are handed over."""

    legal_bases: frozenset[str]
    services: Mapping[str, str]
    facts: Mapping[str, frozenset[str] | None]


class Subjects(Protocol):
    """Whose an address is: the service accounts."""

    async def find(self, address: str) -> Subject:
        """Return the account. Raises: NotFoundError("account_not_found"), UnavailableError."""


class CaseStore(Protocol):
    """What is kept: repository.cases. All methods raise UnavailableError."""

    async def get(self, case_id: str) -> Case | None:
        """Return a case."""

    async def newest(self, limit: int) -> Sequence[Case]:
        """Return cases, newest first."""

    async def idle(self, state: CaseState, before: int, limit: int) -> Sequence[Case]:
        """Return cases of a state whose last step was at `before` or earlier."""

    async def of_account(self, account_id: str) -> Sequence[Case]:
        """Return the cases of an account, newest first."""

    async def to_tell(self, until: int, limit: int) -> Sequence[Case]:
        """Return cases whose subject is to be told by `until`."""

    async def owing(self, limit: int) -> Sequence[Case]:
        """Return cases that owe something."""

    async def add(self, case: Case) -> Case:
        """Keep a new one."""

    async def put(self, case: Case) -> Case:
        """Keep a changed one. Raises: ConflictError("version") if somebody else has changed it since it was read."""


class Counting(Protocol):
    """The transparency report: domain.transparency."""

    async def count(self, half: str, name: str, counts: Mapping[str, int]) -> None:
        """Add `counts` to a half-year, once for each `name`."""


def check_order(order: Order, allowed: Disclosable, now: int, longest_secret: int) -> None:
    """See that an order can be what it says. Raises: InvalidError naming the field."""
    if not _line(order.reference, MAX_REFERENCE):
        raise InvalidError("order_reference")
    if order.legal_basis not in allowed.legal_bases:
        raise InvalidError("legal_basis")
    if not _line(order.address, MAX_ADDRESS):
        raise InvalidError("address")
    # What is stored is handed over; what is still to come is not.
    if not 0 <= order.since < order.until <= now + DAY_SECONDS:
        raise InvalidError("period")
    classes = order.data_classes
    if not classes or len(set(classes)) != len(classes) or not set(classes) <= set(allowed.facts):
        raise InvalidError("data_classes")
    # The case must not be gone before its subject is told.
    if order.secret_until and not now < order.secret_until <= now + longest_secret:
        raise InvalidError("secret_until")


def check_officer(officer: str) -> None:
    """See that somebody stands behind a call. Raises: InvalidError("officer")."""
    if not is_id(officer):
        raise InvalidError("officer")


def check_reason(reason: str) -> None:
    """See that a refusal has a reason. Raises: InvalidError("reason")."""
    if not reason.strip() or len(reason) > MAX_REASON or any(ord(one) < 32 and one not in "\n\t" for one in reason):
        raise InvalidError("reason")


def _line(text: str, most: int) -> bool:
    return bool(text.strip()) and len(text) <= most and text.isprintable()
