"""Plans of customers: what they include, and how they change.

What an account may use is asked for often and changes seldom, so it is remembered for half a minute: a change that
another process makes is known here by then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, UnavailableError
from services.billing.allowance.model import PlanLimits
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Catalogue, Profile, State
from services.billing.domain.terms import advanced, changed

_REMEMBERED = 20_000
_SECONDS = 30.0


class Offers(Protocol):
    """The versions of the catalogue."""

    def on(self, day: int) -> Catalogue:
        """Return the version that holds on a day."""


class Plans:
    """The plans of the customers of one store. All methods raise UnavailableError."""

    def __init__(self, customers: Customers, offers: Offers, clock: Clock) -> None:
        """Take who the customers are and what there is for them."""
        self._customers = customers
        self._offers = offers
        self._clock = clock
        self._backoff = Backoff(first=0.002, ceiling=0.1, attempts=10)
        # By account: until when it is remembered, of whom, and what holds.
        self._known: OrderedDict[str, tuple[float, tuple[str, Profile], PlanLimits]] = OrderedDict()

    async def limits_of(self, account_id: str, mailbox_id: str, profile: Profile) -> PlanLimits:
        """See allowance.model.Plans."""
        known = self._known.get(account_id)
        now = self._clock.monotonic()
        if known is not None and known[0] > now and known[1] == (mailbox_id, profile):
            self._known.move_to_end(account_id)
            return known[2]
        customer = await self._customers.known(account_id, mailbox_id, profile)
        grace = customer.state_until if customer.state is State.GRACE else 0
        limits = PlanLimits(self._catalogue().plans[customer.plan].allowances, customer.state, grace)
        self._known[account_id] = (now + _SECONDS, (mailbox_id, profile), limits)
        self._known.move_to_end(account_id)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return limits

    async def change(self, account_id: str, mailbox_id: str, profile: Profile, plan: str) -> Customer:
        """Change the plan, now or from the next month on: see terms.changed, which also says what it raises."""
        await self._customers.known(account_id, mailbox_id, profile)
        return await self._alter(account_id, lambda one: changed(one, plan, self._catalogue(), self._today()))

    async def cancel(self, account_id: str, mailbox_id: str, profile: Profile) -> Customer:
        """Go back to what costs nothing, when what is paid for is over."""
        return await self.change(account_id, mailbox_id, profile, self._catalogue().defaults[profile])

    async def advance(self) -> int:
        """Do what is due with some customers: trials that end, plans that follow; return with how many.

        Whoever is in grace or read-only is left to dunning.
        """
        moved = 0
        now = unix_seconds(self._clock)
        for customer in await self._customers.due():
            if advanced(customer, self._catalogue(), now) == customer:
                continue
            try:
                await self._alter(customer.account_id, lambda one: advanced(one, self._catalogue(), now))
            except NotFoundError:
                continue  # erased meanwhile
            moved += 1
        return moved

    async def _alter(self, account_id: str, how: Callable[[Customer], Customer]) -> Customer:
        async for _ in self._backoff:
            customer = await self._customers.get(account_id)
            if customer is None:
                raise NotFoundError("account")
            altered = how(customer)
            if altered == customer:
                return customer
            try:
                written = await self._customers.put(altered)
            except ConflictError:
                continue  # somebody else changed him at this moment
            self._known.pop(account_id, None)
            return written
        raise UnavailableError("customer_contended")

    def _today(self) -> int:
        return unix_seconds(self._clock) // DAY

    def _catalogue(self) -> Catalogue:
        return self._offers.on(self._today())
