"""What opens and clicks are, from the mail that goes out to the fact that is recorded.

    out     a campaign that counts, a recipient who may be counted, a mail with HTML: its links are replaced by ours
    in      a link is followed: one fact, with the pseudonym of the day of sending as its unit, and nothing else

Between the two nothing is kept. The fact is known to statistics under another pseudonym, that of the day on which the
link was followed, and only its campaign's total leaves them, with noise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar
from urllib.parse import unquote

from services.delivery.domain.model import Profile, QueuedMail
from services.delivery.measuring.campaigns import MeasuredCampaigns, Measuring
from services.delivery.measuring.links import Link, MeasuringLinks
from services.delivery.measuring.pages import Measurable, Writing, find

T = TypeVar("T")

_INLINE_BYTES = 64 * 1024
_END = (
    '<p style="margin:24px 0 0;font:12px/1.4 sans-serif;color:#595959">This mail counts {what}, without saying whose. '
    '<a href="{out}" style="color:#595959">Do not count mine</a></p>'
)
_PIXEL = '<img src="{url}" alt="" width="1" height="1" style="display:block;border:0">'
_WHAT = {(True, False): "opens", (False, True): "clicks", (True, True): "opens and clicks"}


class Recorder(Protocol):
    """libs.telemetry.facts, as far as it is needed here."""

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Record a fact."""

    def pseudonym(self, kind: str, unit: bytes) -> int | None:
        """Return the pseudonym of a unit under today's salt, None without one."""


class Measured:
    """A mail of which each recipient gets links of his own."""

    def __init__(self, measure: Measure, mail: QueuedMail, measuring: Measuring, page: Measurable) -> None:
        """Made by Measure.prepare."""
        self._measure = measure
        self._mail = mail
        self._measuring = measuring
        self._page = page

    async def content(self, index: int) -> bytes:
        """Return the mail for one recipient: as it came where he is not to be counted."""
        return await self._measure.write(self._mail.recipients[index].address, self._measuring, self._page)


class Measure:
    """Counts opens and clicks for this process."""

    def __init__(self, campaigns: MeasuredCampaigns, links: MeasuringLinks, facts: Recorder) -> None:
        """Take the settings, what makes links, and who counts."""
        self.campaigns = campaigns
        self._links = links
        self._facts = facts

    async def prepare(self, mail: QueuedMail, content: bytes) -> Measured | None:
        """Return what makes a mail measured, None where nothing of it is. Raises: UnavailableError."""
        order = mail.order
        if order.profile is not Profile.RELAY or not order.campaign or order.forwarded is not None:
            return None
        measuring = await self.campaigns.get(order.account_id, order.campaign)
        if not measuring.is_on:
            return None
        addresses = [recipient.address.lower() for recipient in mail.recipients]

        def spare(target: str) -> bool:
            # A link that names its recipient, or takes him off a list, is his own affair.
            lower = unquote(target).lower()
            return "unsubscribe" in lower or any(address in lower for address in addresses)

        page = await _aside(len(content), partial(find, content, measuring.clicks, spare))
        return None if page is None else Measured(self, mail, measuring, page)

    async def write(self, address: str, measuring: Measuring, page: Measurable) -> bytes:
        """Return a mail with the links of one recipient. Raises: UnavailableError."""
        pseudonym = self._facts.pseudonym("recipient", address.lower().encode())
        if pseudonym is None or not await self.campaigns.counts(address):
            return page.content
        end = _END.format(what=_WHAT[measuring.opens, measuring.clicks], out=self._links.out_url(address))
        if measuring.opens:
            end += "\r\n" + _PIXEL.format(url=self._links.url(Link("open", measuring.number, pseudonym)))

        def link(target: str) -> str:
            return self._links.url(Link("click", measuring.number, pseudonym, target))

        return await _aside(len(page.content), partial(page.render, Writing(link, f"\r\n{end}\r\n")))

    def follow(self, token: str, *, count: bool) -> Link:
        """Return what a link stands for, and record the fact if it is to `count`.

        Raises: NotFoundError("token_unknown"); UnavailableError("kek_missing").
        """
        link = self._links.read(token)
        if count:
            unit = link.pseudonym.to_bytes(8, "little")
            self._facts.record("campaign_responses", unit, key=link.campaign, response=link.kind)
        return link

    async def count_no_more(self, token: str) -> None:
        """Count the recipient whom `token` names no more, for whichever sender.

        Raises: NotFoundError("token_unknown"), UnavailableError.
        """
        await self.campaigns.count_no_more(self._links.read_out(token))


async def _aside(size: int, work: Callable[[], T]) -> T:
    """Return what `work` does, in a thread where it would keep others waiting."""
    return work() if size <= _INLINE_BYTES else await asyncio.to_thread(work)
