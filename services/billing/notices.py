"""Announces price changes: everybody whose plan costs more or has less by a coming version gets a letter about it.

All customers are looked at once in the order of their ids, a page at a time, and the place is written down after each
page: whoever dies goes on there, and a letter that was sent already is not sent again, since delivery knows it by what
it is about. Until the version begins, a look a day finds those who chose their plan since the look before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Protocol

from libs.runtime.clock import Clock, unix_seconds
from services.billing.customers import Customers
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY
from services.billing.domain.versions import Change
from services.billing.offers import Coming, Offers

_PAGE = 200
_LETTER = "price_change"
# What the letter has room for; the page says the rest.
_MOST = 900
_MORE = "and more, which the page of your plan shows"
_WORDS = {
    "price": "the price of a month",
    "payment_days": "the days to pay an invoice",
    "grace_days": "the days of grace after that",
    "notice_days": "the days of notice before a change like this",
    "mails_stored": "mails received",
    "mails_delivered": "mails delivered",
    "api_operations": "operations of programs",
    "sends": "mails sent",
    "pieces": "printed pieces",
    "storage_bytes": "storage in bytes",
    "addresses": "addresses",
    "included": "included",
    "more": "what more of it costs",
    "credits": "its price in credits",
}


class Teller(Protocol):
    """Writes to the owners of accounts."""

    async def tell(self, account_id: str, letter: str, about: str, fields: Mapping[str, str]) -> None:
        """Send a letter about something, once. Raises: UnavailableError."""


class PriceNotices:
    """Tells customers what becomes worse for them."""

    def __init__(self, offers: Offers, customers: Customers, teller: Teller, clock: Clock) -> None:
        """Take what is offered, to whom, and who tells them."""
        self._offers = offers
        self._customers = customers
        self._teller = teller
        self._clock = clock

    async def step(self) -> int:
        """Tell a page of customers; return with how many it dealt, 0: nothing is left today.

        Raises: UnavailableError.
        """
        await self._offers.refresh()
        today = unix_seconds(self._clock) // DAY
        for coming in self._offers.coming():
            notice = coming.notice
            if notice.told_day and notice.swept_day >= today and not notice.cursor:
                continue
            return await self._page(coming, today)
        return 0

    async def _page(self, coming: Coming, today: int) -> int:
        notice, number = coming.notice, coming.catalogue.version
        begun = notice.began_day if notice.cursor else today
        now = replace(notice, since=self._offers.since(coming), began_day=begun)
        if now != notice:
            # Written before the first letter says it.
            notice = await self._offers.note(number, now)
            coming = replace(coming, notice=notice)
        page = await self._customers.in_order(notice.cursor, _PAGE)
        for customer in page:
            if not notice.told_day or customer.plan_day >= notice.swept_day:
                await self._tell(coming, customer)
        if page:
            notice = replace(notice, cursor=page[-1].account_id)
        else:
            notice = replace(notice, cursor="", told_day=notice.told_day or today, swept_day=notice.began_day)
        await self._offers.note(number, notice)
        # Even a page without anybody is one: the end of a look.
        return len(page) or 1

    async def _tell(self, coming: Coming, customer: Customer) -> None:
        for plan, worse in worse_for(coming, customer):
            fields = {
                "plan": coming.before.plans[plan].title,
                "since": (date(1970, 1, 1) + timedelta(days=coming.notice.since)).isoformat(),
                "changes": said_of(worse),
            }
            about = f"{coming.catalogue.version}/{coming.notice.hash}/{plan}"
            await self._teller.tell(customer.account_id, _LETTER, about, fields)


def worse_for(coming: Coming, customer: Customer) -> Iterator[tuple[str, Sequence[Change]]]:
    """Give what becomes worse of the plan of a customer, and of the one that follows it, by their names."""
    for plan in dict.fromkeys(filter(None, (customer.plan, customer.next_plan))):
        if worse := [change for change in coming.changes if change.plan == plan]:
            yield plan, worse


def said_of(worse: Sequence[Change]) -> str:
    """Return what becomes worse, in words, no longer than a letter has room for."""
    texts: list[str] = []
    for text in each_said(worse):
        if sum(map(len, texts)) + len(text) > _MOST - len(_MORE):
            texts.append(_MORE)
            break
        texts.append(text)
    return "; ".join(texts) + "."


def each_said(worse: Sequence[Change]) -> Iterator[str]:
    """Give what becomes worse, each in words."""
    for change in worse:
        kind, _, meter = change.what.partition(".")
        what = f"{_WORDS[meter]}, {_WORDS[kind]}" if meter else _WORDS[kind]
        yield f"{what}: {change.new} instead of {change.old}"
