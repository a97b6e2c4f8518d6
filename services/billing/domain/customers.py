"""A customer: an account as billing knows it, which plan it has and how it stands.

Nothing here says who the account is. A plan changes on a day; a state ends at a moment, or does not. What comes next is
written down with its time, so that whoever looks after customers finds those whose time has come. Which plans there
were is remembered for as long as a month can still be billed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from services.billing.domain.model import DAY, Profile, State

# Longer than any day of the month before last is ago.
_REMEMBERED_DAYS = 93


@dataclass(frozen=True, slots=True)
class Span:
    """Which plan an account had from a day on, until the next span; a trial is not `billed`."""

    plan: str
    first_day: int
    billed: bool = True


@dataclass(frozen=True, slots=True)
class Customer:
    """One account. Days are counted since 1970-01-01, UTC; `state_until` is Unix seconds, 0: the state has no end."""

    account_id: str
    mailbox_id: str
    profile: Profile
    plan: str
    # The first day of the plan.
    plan_day: int
    # The plan that follows, and from when on; "" and 0: none.
    next_plan: str = ""
    next_plan_day: int = 0
    state: State = State.FREE
    state_until: int = 0
    # What the payment provider calls this customer; "": it does not know him.
    provider_ref: str = ""
    created_day: int = 0
    # The plans of the last months, the present one last.
    spans: tuple[Span, ...] = ()
    # When a trial began; there is one for an account. 0: not yet.
    trial_day: int = 0
    # Of the stored document; 0: not stored yet.
    version: int = 0

    @property
    def due(self) -> int:
        """Return the Unix second at which something has to be done with the customer; 0: never."""
        ends = [at for at in (self.state_until, self.next_plan_day * DAY) if at]
        return min(ends, default=0)

    @property
    def owing(self) -> bool:
        """Tell whether a bill is overdue."""
        return self.state in (State.GRACE, State.READ_ONLY)

    def with_plan(self, plan: str, day: int, *, billed: bool = True) -> Customer:
        """Return the customer with another plan as from `day`; nothing follows it any more."""
        earlier = [span for span in self.spans if span.first_day < day]
        recent = [one for one, after in pairwise(earlier) if after.first_day > day - _REMEMBERED_DAYS]
        spans = (*recent, *earlier[-1:], Span(plan, day, billed))
        return replace(self, plan=plan, plan_day=day, next_plan="", next_plan_day=0, spans=spans)

    def spans_in(self, first_day: int, last_day: int) -> Iterator[tuple[str, int, int]]:
        """Give the plans of some days that are billed, each with its first and last day among them."""
        ends = [*(span.first_day - 1 for span in self.spans), last_day][1:]
        for span, end in zip(self.spans, ends, strict=True):
            first, last = max(span.first_day, first_day), min(end, last_day)
            if span.billed and first <= last:
                yield span.plan, first, last

    def moved(self, mailbox_id: str, profile: Profile, default_plan: str, day: int) -> Customer:
        """Return the customer with another mailbox or profile, as from `day`.

        Plans are offered to one profile: with another one he has its default plan. What he owes he still owes.
        """
        if profile is self.profile:
            return replace(self, mailbox_id=mailbox_id)
        return replace(
            self.with_plan(default_plan, day),
            mailbox_id=mailbox_id,
            profile=profile,
            state=self.state if self.owing else State.FREE,
            state_until=self.state_until if self.owing else 0,
        )


@dataclass(frozen=True, slots=True)
class Details:
    """What an invoice must say of who pays; `country` as ISO 3166-1 alpha-2, "" where nothing was told."""

    name: str = ""
    address_lines: tuple[str, ...] = ()
    country: str = ""
    vat_id: str = ""
