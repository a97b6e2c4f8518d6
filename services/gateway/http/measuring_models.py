"""The JSON of the API for opens and clicks of campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from services.gateway.http import models

State = Literal["released", "open", "budget", "lost"]
NOISE = (
    "Every number has random noise added once, so that it tells of no one recipient; the true number is within "
    "half_width of it with a probability of 95 %."
)


class Measuring(BaseModel):
    """What a campaign counts."""

    opens: bool
    clicks: bool


class MeasuringIn(models.In):
    """What a campaign is to count from now on."""

    opens: bool = False
    clicks: bool = False


class Count(BaseModel):
    """A released number of recipients; the true one is within `half_width` of it with a probability of 95 %."""

    value: int
    half_width: int


class Total(Count):
    """The sum of the released numbers of so many `days`; days with too few to say are not in it."""

    days: int


class ResponseDay(BaseModel):
    """One day (UTC) from its begin. `released` without a number: too few to say. `open`: the day, or its reckoning, is
    not over; `budget`, `lost`: no number will come."""

    day: datetime
    state: State
    opens: Count | None = None
    clicks: Count | None = None


class Responses(BaseModel):
    """What the recipients of a campaign did, the oldest day first; totals are null where no day has a number."""

    measuring: Measuring
    days: list[ResponseDay]
    opens: Total | None
    clicks: Total | None
    noise: str = NOISE
