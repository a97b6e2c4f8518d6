"""From the messages of analytics and accounts to the JSON of the operators' API."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from protos.accounts.v1 import accounts_pb2
from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http import operator_models as models
from services.gateway.http.translate import at, at_or_never

_DAY = 86400


def metric(found: pb.Metric) -> models.Metric:
    """Translate a metric and its cuts."""
    return models.Metric(
        name=found.name,
        title=found.title,
        help=found.help,
        unit=found.unit,
        kind=found.kind,
        per_unit=found.per_unit,
        dimensions=[models.Dimension(name=one.name, values=list(one.values)) for one in found.dimensions],
        cuts=[_cut(one) for one in found.cuts],
    )


def statistics(metric: str, cut: pb.Cut, found: pb.ReleasesResponse) -> bytes:
    """Return the releases of a cut as the JSON of models.Statistics.

    Written release by release, and without the models: there can be a million cells, and each is ours already.
    """
    told = {
        "metric": metric,
        "cut": cut.name,
        "dimensions": list(cut.dimensions),
        "window": cut.window,
        "confidence": 0.95,
        "missing": [
            {"start": moment(one.start), "end": moment(one.end), "reason": one.reason} for one in found.missing
        ],
    }
    releases = ",".join([_compact(_release(one)) for one in found.releases])
    return f'{_compact(told)[:-1]},"releases":[{releases}]}}'.encode()


def moment(seconds: int) -> str:
    """Return Unix seconds as RFC 3339 in UTC."""
    return f"{at(seconds):%Y-%m-%dT%H:%M:%SZ}"


def key_of(cell: pb.Cell) -> str | None:
    """Return the key of a cell, None where the metric has none."""
    return f"{cell.key:016x}" if cell.key else None


def budget_day(found: pb.BudgetDay) -> models.BudgetDay:
    """Translate what a day has spent."""
    return models.BudgetDay(
        day=at(found.day_start),
        epsilon_spent=found.epsilon_spent,
        epsilon_limit=found.epsilon_limit,
        delta_spent=found.delta_spent,
        delta_limit=found.delta_limit,
        debits=[
            models.Debit(metric=one.metric, cut=one.cut, epsilon=one.epsilon, delta=one.delta) for one in found.debits
        ],
    )


def audit_entry(found: pb.AuditEntry, addresses: Mapping[str, str]) -> models.AuditEntry:
    """Translate an entry; `addresses` are those of the readers that still have accounts."""
    return models.AuditEntry(
        at=at(found.at),
        account_id=found.reader,
        address=addresses.get(found.reader, ""),
        what=found.what,
        metric=found.metric,
        cut=found.cut,
        since=at_or_never(getattr(found, "from")),
        until=at_or_never(found.until),
    )


def holders(found: accounts_pb2.ListHoldersResponse) -> models.Holders:
    """Translate who holds the role."""
    rows = [
        models.StatisticsHolder(account_id=one.account_id, address=one.address, since=at_or_never(one.since_day * _DAY))
        for one in found.holders
    ]
    return models.Holders(most=found.most, holders=rows)


def health(found: pb.HealthResponse) -> models.PlatformHealth:
    """Translate the health of all services; JSON has no NaN."""
    return models.PlatformHealth(
        times=[at(one) for one in found.times],
        services=[
            models.ServiceHealth(
                service=one.service,
                up=one.up,
                expected=one.expected,
                series=[_series(series) for series in one.series],
            )
            for one in found.services
        ],
    )


def _series(found: pb.Series) -> models.Series:
    values = [value if math.isfinite(value) else None for value in found.values]
    return models.Series(name=found.name, unit=found.unit, values=values)


def _cut(found: pb.Cut) -> models.Cut:
    return models.Cut(
        name=found.name,
        title=found.title,
        dimensions=list(found.dimensions),
        window=_window(found.window),
        epsilon=found.epsilon,
        delta=found.delta,
    )


def _window(name: str) -> models.Window:
    return cast("models.Window", name)


def _compact(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"))


def _release(found: pb.Release) -> dict[str, Any]:
    return {
        "start": moment(found.start),
        "end": moment(found.end),
        "released": moment(found.released_at),
        "epsilon": found.epsilon,
        "delta": found.delta,
        "threshold": found.threshold,
        "scale": found.scale,
        "half_width": found.half_width,
        "cells": [{"values": list(one.values), "key": key_of(one), "value": one.value} for one in found.cells],
    }
