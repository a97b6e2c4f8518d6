"""How much an account may send, and when it has to stop: the rules, without where anything is kept.

A new account starts small and grows over ten days: whoever signs up to send a flood has little of it, and who means to
stay loses nothing. What an account sends is judged by what became of it. The last thousand recipients whose fate is
known stand in a ring of ten buckets of a hundred each; the oldest bucket falls out when a new one begins. So the judged
number is 900 to 1,000, and a small document holds all of it however much is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from libs.runtime.errors import DeniedError
from services.delivery.domain.model import Profile

DAY = 86400
_RAMP_DAYS = 10
_LEAST_PER_DAY = 20
_BUCKET = 100
_BUCKETS = 10
_LEAST_JUDGED = 100
_MOST_BOUNCED_PER_MILLE = 100
_LEAST_COMPLAINTS = 3
# Three of a thousand; compared as whole numbers.
_MOST_COMPLAINED_PER_MILLE = 3


@dataclass(frozen=True, slots=True)
class Allowance:
    """What accounts of one profile may send, in recipients; `per_day` holds from the tenth day on."""

    per_message: int
    per_day: int
    per_minute: int

    def on_day(self, created_day: int, today: int) -> int:
        """Return the recipients of one day. Both are days since 1970-01-01, UTC."""
        age = max(1, today - created_day + 1)
        if age >= _RAMP_DAYS:
            return self.per_day
        return min(self.per_day, max(_LEAST_PER_DAY, self.per_day * age // _RAMP_DAYS))


@dataclass(frozen=True, slots=True)
class LimitRules:
    """The allowances of those who may send at all."""

    member: Allowance = Allowance(100, 500, 60)
    relay: Allowance = Allowance(1000, 50_000, 3000)

    def of(self, profile: Profile) -> Allowance:
        """Return the allowance of a profile. Raises: DeniedError("sender_not_allowed")."""
        if profile is Profile.SEALED:
            return self.member
        if profile is Profile.RELAY:
            return self.relay
        raise DeniedError("sender_not_allowed")


class Tally(NamedTuple):
    """Recipients whose fate is known: how many in all, and of them refused for good, and complained."""

    settled: int = 0
    bounced: int = 0
    complained: int = 0

    def plus(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(self.settled + other.settled, self.bounced + other.bounced, self.complained + other.complained)


def add_to_ring(ring: Sequence[Tally], new: Tally) -> tuple[Tally, ...]:
    """Return the ring with `new` in it, newest bucket last, and without what has fallen out."""
    buckets = list(ring) or [Tally()]
    if buckets[-1].settled >= _BUCKET and new.settled:
        buckets.append(Tally())
    buckets[-1] = buckets[-1].plus(new)
    return tuple(buckets[-_BUCKETS:])


def total(ring: Sequence[Tally]) -> Tally:
    """Return the sum of a ring."""
    result = Tally()
    for bucket in ring:
        result = result.plus(bucket)
    return result


def reason_to_pause(ring: Sequence[Tally]) -> str:
    """Return why an account with this ring must stop, "bounces" or "complaints", or "" if it need not."""
    settled, bounced, complained = total(ring)
    if settled < _LEAST_JUDGED:
        return ""
    if complained >= _LEAST_COMPLAINTS and complained * 1000 > settled * _MOST_COMPLAINED_PER_MILLE:
        return "complaints"
    return "bounces" if bounced * 1000 > settled * _MOST_BOUNCED_PER_MILLE else ""


def per_mille(part: int, whole: int) -> int:
    """Return thousandths, rounded down; 0 of nothing."""
    return part * 1000 // whole if whole else 0
