"""What invoicing wants of the rest of billing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.billing.domain.customers import Details
from services.billing.domain.model import Catalogue, Meter


@dataclass(frozen=True, slots=True)
class BilledSpan:
    """Days, the last included, on which an account had a plan that is billed."""

    plan: str
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class Billable:
    """What an account is billed by for a month. `subjects` are what its use is counted under."""

    account_id: str
    subjects: tuple[str, ...]
    spans: tuple[BilledSpan, ...]


class Accounts(Protocol):
    """All customers, in order of their ids."""

    async def billable(self, first_day: int, last_day: int, after: str, limit: int) -> Sequence[Billable]:
        """Return at most `limit` accounts whose id is above `after`, ascending; those with nothing to bill as well.

        An empty answer ends the list. Raises: UnavailableError.
        """

    async def payer(self, account_id: str) -> Details:
        """Return who pays for an account, as he has told it. Raises: UnavailableError."""


class UsageReader(Protocol):
    """Counters of use."""

    async def of(self, subjects: Sequence[str], first_day: int, last_day: int) -> Mapping[int, Mapping[Meter, int]]:
        """Return units by day and meter, both days included. Raises: UnavailableError."""


class Prices(Protocol):
    """The versions of the catalogue; domain.catalogue.Catalogues is one."""

    def on(self, day: int) -> Catalogue:
        """Return the version that holds on a day."""


class Booking(Protocol):
    """The books of customers. Both are idempotent by the number. Raise: UnavailableError, ConflictError."""

    async def invoiced(self, account_id: str, number: str, net: int, tax: int) -> None:
        """Enter what an invoice claims."""

    async def credited(self, account_id: str, number: str, of: str, net: int, tax: int) -> None:
        """Enter what a credit note takes back of the invoice `of`."""
