"""Plans, standings, usage, entries, and who pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingServicer
from services.billing.allowance.grants import Grants
from services.billing.allowance.rpc import grant
from services.billing.customers import Customers
from services.billing.domain.cards import has_card_number
from services.billing.domain.customers import Customer, Details
from services.billing.domain.model import DAY, Catalogue, Profile
from services.billing.ledger.books import Books
from services.billing.notices import each_said, worse_for
from services.billing.offers import Coming
from services.billing.payments.ports import Provider
from services.billing.rpc.convert import (
    Who,
    catalogue_message,
    entry_message,
    profile_of,
    standing_message,
    who_of,
)
from services.billing.standing import Counters, Reading

Context = grpc.aio.ServicerContext[Any, Any]

_MOST_DAYS = 400
_PAGE = 50
_MOST_LINES = 6
_LONGEST_LINE = 120


class PlanChanges(Protocol):
    """plans.Plans."""

    async def change(self, account_id: str, mailbox_id: str, profile: Profile, plan: str) -> Customer:
        """Change the plan."""

    async def cancel(self, account_id: str, mailbox_id: str, profile: Profile) -> Customer:
        """Go back to the default plan."""


class Offers(Protocol):
    """The versions of the catalogue."""

    def on(self, day: int) -> Catalogue:
        """Return the version that holds on a day."""

    def coming(self) -> Iterator[Coming]:
        """Give the versions that are announced and do not hold yet."""

    def since(self, coming: Coming) -> int:
        """Return the day from which on one holds, at the earliest."""


@dataclass(frozen=True)
class PlanParts:
    """What this part of the servicer works with. `provider`: who takes payments."""

    customers: Customers
    changes: PlanChanges
    offers: Offers
    reading: Reading
    counters: Counters
    books: Books
    grants: Grants
    clock: Clock
    provider: Provider


class PlansRpc(BillingServicer):
    """Grant, GetCatalogue, GetStanding, ChangePlan, CancelPlan, GetUsage, GetDetails, PutDetails, ListEntries."""

    _plans: PlanParts

    async def Grant(self, request: pb.GrantRequest, context: Context) -> pb.GrantResponse:
        """See billing.proto."""
        return await grant(self._plans.grants, request)

    async def GetCatalogue(self, request: pb.GetCatalogueRequest, context: Context) -> pb.Catalogue:
        """See billing.proto."""
        return catalogue_message(self._offers(), profile_of(request.profile), self._plans.provider.name)

    async def GetStanding(self, request: pb.AccountRequest, context: Context) -> pb.Standing:
        """See billing.proto."""
        return await self._standing(await self._customer(who_of(request)))

    async def ChangePlan(self, request: pb.ChangePlanRequest, context: Context) -> pb.Standing:
        """See billing.proto."""
        who = who_of(request.account)
        changed = await self._plans.changes.change(who.account_id, who.mailbox_id, who.profile, request.plan)
        return await self._standing(await self._told(changed))

    async def CancelPlan(self, request: pb.AccountRequest, context: Context) -> pb.Standing:
        """See billing.proto."""
        who = who_of(request)
        cancelled = await self._plans.changes.cancel(who.account_id, who.mailbox_id, who.profile)
        return await self._standing(await self._told(cancelled))

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.Usage:
        """See billing.proto."""
        who = who_of(request.account)
        first, last = request.first_day, request.last_day
        if not 0 < first <= last or last - first >= _MOST_DAYS:
            raise InvalidError("days")
        found = await self._plans.counters.of_account(who.account_id, who.mailbox_id, first, last)
        days = [
            pb.DayUsage(day=day, units={meter.value: units for meter, units in of.items()})
            for day, of in sorted(found.items())
        ]
        return pb.Usage(days=days)

    async def GetDetails(self, request: pb.AccountRequest, context: Context) -> pb.Details:
        """See billing.proto."""
        return _details(await self._plans.customers.details(who_of(request).account_id))

    async def PutDetails(self, request: pb.PutDetailsRequest, context: Context) -> pb.Details:
        """See billing.proto."""
        who = who_of(request.account)
        details = _checked(request.details)
        await self._customer(who)
        await self._plans.customers.put_details(who.account_id, details)
        return _details(details)

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> pb.ListEntriesResponse:
        """See billing.proto."""
        if request.cursor and not (request.cursor.isascii() and request.cursor.isdigit() and len(request.cursor) < 11):
            raise InvalidError("cursor")
        account_id = who_of(request.account).account_id
        page = await self._plans.books.statement(account_id, request.limit or _PAGE, int(request.cursor or 0))
        return pb.ListEntriesResponse(
            entries=[entry_message(entry) for entry in page.entries],
            next_cursor=str(page.cursor) if page.cursor else "",
        )

    async def _customer(self, who: Who) -> Customer:
        return await self._plans.customers.known(who.account_id, who.mailbox_id, who.profile)

    async def _told(self, customer: Customer) -> Customer:
        """Have who takes payments know what becomes of the plan: nobody pays on for what he has left."""
        free = not self._offers().plans[customer.plan].price
        if customer.next_plan or free:
            await self._plans.provider.end_plans(customer)
        else:
            await self._plans.provider.go_on(customer)
        return customer

    async def _standing(self, customer: Customer) -> pb.Standing:
        message = standing_message(await self._plans.reading.standing(customer, self._offers()))
        for coming in self._plans.offers.coming():
            since = self._plans.offers.since(coming) * DAY
            for plan, worse in worse_for(coming, customer):
                message.coming.add(plan=plan, since=since, changes=each_said(worse))
        return message

    def _offers(self) -> Catalogue:
        return self._plans.offers.on(unix_seconds(self._plans.clock) // DAY)


def _details(details: Details) -> pb.Details:
    return pb.Details(
        name=details.name,
        address_lines=details.address_lines,
        country=details.country,
        vat_id=details.vat_id,
    )


def _checked(told: pb.Details) -> Details:
    """Return what was told about who pays. Raises: InvalidError with the name of the field that is at fault."""
    if not _is_line(told.name):
        raise InvalidError("name")
    if len(told.address_lines) > _MOST_LINES or not all(map(_is_line, told.address_lines)):
        raise InvalidError("address_lines")
    if told.country and not (len(told.country) == 2 and told.country.isascii() and told.country.isupper()):
        raise InvalidError("country")
    vat_id = told.vat_id.replace(" ", "").upper()
    if vat_id and not (4 <= len(vat_id) <= 16 and vat_id.isascii() and vat_id.isalnum()):
        raise InvalidError("vat_id")
    if any(map(has_card_number, (told.name, *told.address_lines, vat_id, " ".join(told.address_lines)))):
        raise InvalidError("card_number")
    return Details(told.name.strip(), tuple(line.strip() for line in told.address_lines), told.country, vat_id)


def _is_line(line: str) -> bool:
    return len(line) <= _LONGEST_LINE and line.isprintable()
