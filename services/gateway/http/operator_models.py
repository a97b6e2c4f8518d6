"""The JSON of the operators' API; docs/architecture.md, "HTTP API", in types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.http.models import AddressIn

Window = Literal["hour", "day"]


class Dimension(BaseModel):
    name: str
    values: Annotated[list[str], Field(description="Its whole vocabulary.")]


class Cut(BaseModel):
    name: str
    title: str
    dimensions: list[str]
    window: Window
    epsilon: Annotated[float, Field(description="Debited from the day's budget for each release.")]
    delta: float


class Metric(BaseModel):
    name: str
    title: str
    help: str
    unit: Annotated[str, Field(description="Whose contribution is bounded: ip, account or recipient.")]
    kind: Annotated[str, Field(description="count, or distinct: different units.")]
    per_unit: Annotated[int, Field(description="How many facts of one unit count in a day.")]
    dimensions: list[Dimension]
    cuts: list[Cut]


class Catalogue(BaseModel):
    metrics: list[Metric]


class Cell(BaseModel):
    values: Annotated[list[str], Field(description="In the order of `dimensions`.")]
    key: Annotated[str | None, Field(description="16 hexadecimal digits, where the metric has a key.")]
    value: Annotated[int, Field(description="The count with its noise; it can be negative.")]


class Release(BaseModel):
    start: datetime
    end: datetime
    released: datetime
    epsilon: float
    delta: float
    threshold: Annotated[int, Field(description="Cells below are left out; 0 where every cell is shown.")]
    scale: Annotated[float, Field(description="Of the discrete Laplace distribution.")]
    half_width: Annotated[int, Field(description="The count lies within value ± this in 95 of 100 cases.")]
    cells: list[Cell]


class Missing(BaseModel):
    start: datetime
    end: datetime
    reason: Annotated[str, Field(description="budget: it was spent; open: not released yet; lost.")]


class Statistics(BaseModel):
    metric: str
    cut: str
    dimensions: list[str]
    window: Window
    confidence: Annotated[float, Field(description="Of every interval.")] = 0.95
    releases: Annotated[list[Release], Field(description="Oldest first.")]
    missing: Annotated[list[Missing], Field(description="Windows that were due and not released.")]


class Debit(BaseModel):
    metric: str
    cut: str
    epsilon: float
    delta: float


class BudgetDay(BaseModel):
    day: datetime
    epsilon_spent: float
    epsilon_limit: float
    delta_spent: float
    delta_limit: float
    debits: list[Debit]


class Budget(BaseModel):
    days: Annotated[list[BudgetDay], Field(description="The present day first.")]


class AuditEntry(BaseModel):
    at: datetime
    account_id: str
    address: Annotated[str, Field(description="Empty where the account is closed.")]
    what: str
    metric: str
    cut: str
    since: Annotated[datetime | None, Field(serialization_alias="from")]
    until: datetime | None


class Audit(BaseModel):
    entries: Annotated[list[AuditEntry], Field(description="Newest first.")]
    next_before: Annotated[datetime | None, Field(description="For the next page; null on the last.")]


class StatisticsHolder(BaseModel):
    account_id: str
    address: Annotated[str, Field(description="Empty where the account is closed.")]
    since: Annotated[datetime | None, Field(description="The day; null where it was not written down.")]


class Holders(BaseModel):
    role: Literal["statistics"] = "statistics"
    most: int
    holders: list[StatisticsHolder]


class HolderIn(AddressIn):
    """Who gets the role."""


class Series(BaseModel):
    name: str
    unit: Annotated[str, Field(description="per_second, seconds, bytes, ratio or count.")]
    values: Annotated[list[float | None], Field(description="One for each of `times`; null where unknown.")]


class ServiceHealth(BaseModel):
    service: str
    up: Annotated[int, Field(description="Processes that answer.")]
    expected: Annotated[int, Field(description="Processes that should.")]
    series: list[Series]


class PlatformHealth(BaseModel):
    times: list[datetime]
    services: list[ServiceHealth]
