"""The JSON of rights: consents, notices, erasures, concerns, disclosures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.http.models import Address, In, Key

About = Literal["correction", "deletion", "processing", "security", "other"]
Text = Annotated[str, Field(min_length=1, max_length=5000)]


class ConsentsIn(In):
    """A purpose that is left out stays as it is."""

    newsletter: bool | None = None
    contact: bool | None = None


class ContactIn(In):
    contact: Annotated[str, Field(max_length=320, description="Empty: none is kept any more.")]


class NoticeIn(In):
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    accept: bool


class ErasureIn(In):
    current_authentication_key: Key


class ConcernIn(In):
    about: About
    text: Text


class EntryIn(In):
    text: Text


class Consent(BaseModel):
    given: bool
    changed: datetime | None


class Consents(BaseModel):
    newsletter: Consent
    contact: Consent


class Erasure(BaseModel):
    """`receipt_token` is shown once, when it is asked for."""

    asked: datetime
    due: datetime
    receipt_token: str | None = None


class Notice(BaseModel):
    """A version of the policy that waits to take effect, or the last one that was refused."""

    version: int
    noticed: datetime
    answer: Literal["", "accepted", "refused"]
    effective: datetime | None
    old_terms_until: datetime | None


class Rights(BaseModel):
    consents: Consents
    contact: str
    erasure: Erasure | None
    notice: Notice | None
    terms: int


class ReceiptLine(BaseModel):
    """`kept` are items that law keeps, until that day."""

    service: str
    data_class: str
    count: int
    keys: int
    kept: int
    kept_until: datetime | None


class Receipt(BaseModel):
    state: Literal["waiting", "running", "done"]
    asked: datetime
    due: datetime
    keys_gone: datetime | None
    done: datetime | None
    lines: list[ReceiptLine]
    ledger_entry: int | None


class Entry(BaseModel):
    by_staff: bool
    at: datetime
    text: str


class Concern(BaseModel):
    id: str
    state: Literal["open", "answered", "closed"]
    about: About
    opened: datetime
    changed: datetime
    entries: list[Entry]
    address: str | None = None


class ConcernsOut(BaseModel):
    concerns: list[Concern]


class Told(BaseModel):
    """A disclosure of the account's data that its owner has been told of."""

    id: str
    decided: datetime
    told: datetime
    legal_basis: str
    since: datetime
    until: datetime
    data_classes: list[str]


class ToldOut(BaseModel):
    disclosures: list[Told]


class CaseIn(In):
    order_reference: Annotated[str, Field(min_length=1, max_length=200)]
    legal_basis: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    address: Address
    since: AwareDatetime
    until: AwareDatetime
    data_classes: Annotated[list[Annotated[str, Field(max_length=41)]], Field(min_length=1, max_length=50)]
    secret_until: AwareDatetime | None = None


class RefusalIn(In):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Case(BaseModel):
    id: str
    state: Literal["open", "approved", "exported", "refused", "closed", "lapsed"]
    order_reference: str
    legal_basis: str
    address: str
    since: datetime
    until: datetime
    data_classes: list[str]
    secret_until: datetime | None
    opened: datetime
    decided: datetime | None
    exported: datetime | None
    told: datetime | None
    opened_by_me: bool
    archive_sha256: str | None
    archive_size: int | None
    refusal: str | None


class CasesOut(BaseModel):
    cases: list[Case]


class Change(BaseModel):
    kind: str
    subject: str
    material: bool
    before: str
    after: str
    profiles: list[str]


class Version(BaseModel):
    version: int
    state: Literal["proposed", "announced", "active", "replaced", "withdrawn"]
    replaces: int | None
    material: bool
    changes: list[Change]
    proposed: datetime | None
    announced: datetime | None
    earliest: datetime | None
    activated: datetime | None
    noticed: int
    refused: int


class VersionsOut(BaseModel):
    versions: list[Version]


class Sweep(BaseModel):
    service: str
    data_class: str
    at: datetime | None
    deleted: int
    fault: str | None


class ClassState(BaseModel):
    """`at_least`: counting stopped at `count`. `overdue`: seconds by which the oldest item is past its time."""

    data_class: str
    count: int
    at_least: bool
    first_due: datetime | None
    last_sweep: datetime | None
    overdue: int


class Probe(BaseModel):
    clause: str
    result: Literal["pass", "fail", "unknown", "pending"]
    at: datetime | None
    since: datetime | None
    detail: str


class Canary(BaseModel):
    data_class: str
    planted: datetime | None
    due: datetime | None
    state: Literal["waiting", "gone", "missed", "failed"]
    checked: datetime | None


class RetentionState(BaseModel):
    clock_held: bool
    clock_moved: int
    erasures_waiting: int
    erasures_running: int
    replaying: bool
    last_round: int
    version: int
    sweeps: list[Sweep]
    classes: list[ClassState]
    probes: list[Probe]
    canaries: list[Canary]
