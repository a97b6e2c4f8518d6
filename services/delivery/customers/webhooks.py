"""Webhooks of customers: made, listed, deleted, replayed, and fed with what happens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from libs.docstore.fields import text
from libs.docstore.store import Insert
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError, NotFoundError
from libs.runtime.ids import is_id, new_id
from services.delivery.customers.dispatch import Dispatcher
from services.delivery.customers.events import Events
from services.delivery.customers.marks import Marks
from services.delivery.customers.webhook_records import Hook, WebhookRecords
from services.delivery.domain.ports import Happening
from services.delivery.domain.webhooks import (
    MOST_PER_ACCOUNT,
    HookState,
    check_types,
    new_secret,
    shown_secret,
)

# For how long a webhook made by another process goes unnoticed here, and so gets nothing from here.
_KNOWN_SECONDS = 5.0
_MAX_KNOWN = 20_000
_MOST_REPLAYED = 10_000
_PAGE = 500
_DROP_ROUNDS = 50


class _Wish(NamedTuple):
    webhook_id: str
    types: frozenset[str]


class Webhooks:
    """The webhooks of all accounts; implements happenings.Posts."""

    def __init__(
        self, records: WebhookRecords, marks: Marks, events: Events, dispatcher: Dispatcher, clock: Clock
    ) -> None:
        """Keep them in `records`, have `dispatcher` send."""
        self._records = records
        self._dispatcher = dispatcher
        self._marks = marks
        self._events = events
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, tuple[_Wish, ...]]] = OrderedDict()

    async def put(self, account_id: str, webhook_id: str, url: str, types: Sequence[str]) -> tuple[Hook, str]:
        """Make a webhook, and return it and its secret; or change one, and return it without.

        Raises: InvalidError("url_invalid" | "url_refused" | "event_types"), ExhaustedError("too_many_webhooks"),
        NotFoundError("webhook").
        """
        self._dispatcher.poster.check(url)
        wanted, mark = check_types(types), self._marks.account(account_id)
        self._known.pop(mark, None)
        if webhook_id:
            await self._records.change(await self._own(mark, webhook_id), url, wanted)
            await self._wake([webhook_id], force=True)
            return await self._own(mark, webhook_id), ""
        if len(await self._records.of_account(mark)) >= MOST_PER_ACCOUNT:
            raise ExhaustedError("too_many_webhooks")
        secret = new_secret()
        hook = Hook(new_id(), mark, url, secret, wanted, unix_seconds(self._clock))
        await self._records.insert(hook)
        self._known.pop(mark, None)
        return hook, shown_secret(secret)

    async def list(self, account_id: str) -> list[Hook]:
        """Return the webhooks of an account."""
        return await self._records.of_account(self._marks.account(account_id))

    async def delete(self, account_id: str, webhook_id: str) -> None:
        """Delete a webhook and what it was still to be told. Raises: NotFoundError("webhook")."""
        mark = self._marks.account(account_id)
        await self._own(mark, webhook_id)
        await self._records.delete(webhook_id)
        self._known.pop(mark, None)
        for _ in range(_DROP_ROUNDS):
            if not await self._records.drop(webhook_id):
                break

    async def replay(self, account_id: str, webhook_id: str, since: int, terms: int = 0) -> int:
        """Queue the events since then (Unix seconds) once more, the oldest 10,000 at most; return how many.

        A webhook that was switched off is switched on. `terms`: see WebhookRecords.post.

        Raises: NotFoundError("webhook").
        """
        mark = self._marks.account(account_id)
        hook = await self._own(mark, webhook_id)
        wish = _Wish(webhook_id, frozenset(hook.types))
        found = await self._events.since(account_id, max(0, since), _MOST_REPLAYED)
        wanted = [event_id for event_id, kind in found if _wants(wish, kind.value)]
        now = unix_seconds(self._clock)
        for start in range(0, len(wanted), _PAGE):
            page = wanted[start : start + _PAGE]
            posts = [self._records.post(event_id, webhook_id, mark, now, terms) for event_id in page]
            await self._records.queue(posts)
        if hook.state is HookState.OFF:
            await self._records.turn(webhook_id, HookState.OK)
            self._known.pop(mark, None)
        await self._wake([webhook_id], force=True)
        return len(wanted)

    async def inserts(self, happenings: Sequence[Happening]) -> Sequence[Insert]:
        """See happenings.Posts."""
        now = unix_seconds(self._clock)
        posts = []
        for one in happenings:
            wishes = await self._wishes(one.account_id)
            posts += [
                self._records.post(one.event_id, wish.webhook_id, self._marks.account(one.account_id), now, one.terms)
                for wish in wishes
                if _wants(wish, one.kind.value)
            ]
        return posts

    async def wake(self, posts: Sequence[Insert]) -> None:
        """See happenings.Posts."""
        if posts:
            await self._wake(sorted({text(post.body, "webhook") for post in posts}), force=False)

    async def _wake(self, webhook_ids: Sequence[str], *, force: bool) -> None:
        now = unix_seconds(self._clock)
        for webhook_id, (state, wake) in (await self._records.wakes(webhook_ids)).items():
            # One that fails has its pause, whatever is queued meanwhile.
            if force or wake == 0 or (wake > now and state is not HookState.FAILING):
                await self._records.wake(webhook_id, now)
        self._dispatcher.announce()

    async def _own(self, mark: str, webhook_id: str) -> Hook:
        hook = await self._records.get(webhook_id) if is_id(webhook_id) else None
        if hook is None or hook.account != mark:
            raise NotFoundError("webhook")
        return hook

    async def _wishes(self, account_id: str) -> Sequence[_Wish]:
        mark, now = self._marks.account(account_id), self._clock.monotonic()
        known = self._known.get(mark)
        if known is not None and known[0] > now:
            return known[1]
        hooks = await self._records.of_account(mark)
        wishes = tuple(_Wish(one.webhook_id, frozenset(one.types)) for one in hooks if one.state is not HookState.OFF)
        self._known[mark] = (now + _KNOWN_SECONDS, wishes)
        self._known.move_to_end(mark)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return wishes


def _wants(wish: _Wish, kind: str) -> bool:
    return not wish.types or kind in wish.types
