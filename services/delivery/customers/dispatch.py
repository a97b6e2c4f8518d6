"""Posts what is queued to webhooks, each in a lane of its own, so that a slow customer slows nobody else.

A lane has one webhook for a while: it claims a few posts that are due (with a version, so that several processes may
have lanes for one webhook), sends four at a time, and ends when nothing is due, when its turn of half a minute is over,
or when the webhook does not work. The webhook then stands behind all others that wait. There are 25 lanes. One that
fails is asked with a single post, at growing intervals, and gets the rest when that has been taken.

A post is deleted when it is taken (2xx) or when its attempts are used up; until then it is in the store, and a process
that dies leaves it to the next one once its claim is over. So a webhook may be told twice, and is never not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from libs.runtime import cancelling
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.delivery.customers.events import Event, Events
from services.delivery.customers.posting import Poster
from services.delivery.customers.webhook_records import Hook, Waiting, WebhookRecords
from services.delivery.domain.webhooks import PATIENCE_SECONDS, Answer, HookState, pause_of, retry_after

_LANES = 25
_PER_LANE = 4
_BATCH = 20
_CLAIM_SECONDS = 90
_TURN_SECONDS = 30.0
_FAILURES_TO_STOP = 5
_MOST_AWAKE = 1000
# An event is written before its posts; one that is missing for that long was deleted.
_EVENT_SECONDS = 3600

_log = get_logger("webhooks")


class Dispatcher:
    """The lanes of one process."""

    def __init__(
        self, records: WebhookRecords, events: Events, poster: Poster, clock: Clock, poll: float = 1.0
    ) -> None:
        """Look for work every `poll` seconds, and when it is announced."""
        self._records = records
        self._events = events
        self.poster = poster
        self._clock = clock
        self._poll = poll
        self._news = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}

    @property
    def lanes(self) -> int:
        """How many lanes are open."""
        return len(self._lanes)

    def announce(self) -> None:
        """Say that something was queued."""
        self._news.set()

    async def run(self) -> None:
        """Post until cancelled."""
        try:
            while True:
                self._news.clear()
                try:
                    await self._open_lanes()
                except SealpostError as error:
                    _log.warning("webhooks_not_read", error=error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._news.wait()
        finally:
            await cancelling.end(list(self._lanes.values()))

    async def _open_lanes(self) -> None:
        if len(self._lanes) >= _LANES:
            return
        for webhook_id in await self._records.awake(unix_seconds(self._clock), _MOST_AWAKE):
            if len(self._lanes) >= _LANES:
                return
            if webhook_id not in self._lanes:
                lane = asyncio.get_running_loop().create_task(self._lane(webhook_id))
                self._lanes[webhook_id] = lane
                lane.add_done_callback(lambda _, key=webhook_id: self._ended(key))  # type: ignore[misc]

    def _ended(self, webhook_id: str) -> None:
        del self._lanes[webhook_id]
        # Somebody may wait for the lane.
        self._news.set()

    async def _lane(self, webhook_id: str) -> None:
        try:
            await self._serve(webhook_id)
        except SealpostError as error:
            _log.warning("webhook_lane_failed", error=error)
            # What was claimed comes back by itself; the lane must not be opened again at once.
            await asyncio.sleep(self._poll)

    async def _serve(self, webhook_id: str) -> None:
        end = self._clock.monotonic() + _TURN_SECONDS
        while True:
            hook = await self._records.get(webhook_id)
            if hook is None or hook.state is HookState.OFF:
                await self._close(webhook_id)
                return
            probing = hook.state is HookState.FAILING
            posts = await self._records.due(webhook_id, unix_seconds(self._clock), 1 if probing else _BATCH)
            if not posts:
                if await self._rest(webhook_id):
                    return
                continue
            if not await self._send_all(hook, posts):
                since = hook.failing_since or unix_seconds(self._clock)
                await self._records.wake(webhook_id, unix_seconds(self._clock) + pause_of(self._age(since)))
                return
            if self._clock.monotonic() > end:
                await self._records.wake(webhook_id, unix_seconds(self._clock))
                return

    async def _close(self, webhook_id: str) -> None:
        while await self._records.drop(webhook_id):
            pass
        await self._records.wake(webhook_id, 0)

    async def _rest(self, webhook_id: str) -> bool:
        """Let the webhook sleep until its next post is due; return False if one came meanwhile."""
        await self._records.wake(webhook_id, await self._records.next_due(webhook_id))
        return not await self._records.due(webhook_id, unix_seconds(self._clock), 1)

    async def _send_all(self, hook: Hook, posts: Sequence[Waiting]) -> bool:
        """Send posts; return whether the webhook may get more now."""
        claimed = await self._records.claim(posts, unix_seconds(self._clock) + _CLAIM_SECONDS)
        events = await self._events.get_many([post.event_id for post in claimed])
        waiting, failures, answers = list(reversed(claimed)), 0, set[Answer]()

        async def sender() -> None:
            nonlocal failures
            while waiting and failures < _FAILURES_TO_STOP and Answer.GONE not in answers:
                answer = await self._send(hook, waiting.pop(), events)
                if answer is not None:
                    failures = failures + 1 if answer is Answer.FAILED else 0
                    answers.add(answer)

        await asyncio.gather(*(sender() for _ in range(min(_PER_LANE, len(claimed)))))
        now = unix_seconds(self._clock)
        for post in waiting:
            # Not tried: it keeps its attempts.
            await self._records.settle(post, now, post.attempts)
        await self._turn(hook, answers)
        if hook.state is HookState.FAILING:
            return Answer.FAILED not in answers
        return failures < _FAILURES_TO_STOP

    async def _turn(self, hook: Hook, answers: set[Answer]) -> None:
        """Note what the answers say about the webhook."""
        now = unix_seconds(self._clock)
        if Answer.GONE in answers:
            await self._records.turn(hook.webhook_id, HookState.OFF)
        elif Answer.TAKEN in answers:
            if hook.state is HookState.FAILING:
                await self._records.turn(hook.webhook_id, HookState.OK)
        elif Answer.FAILED in answers:
            since = hook.failing_since or now
            off = now - since >= PATIENCE_SECONDS
            await self._records.turn(hook.webhook_id, HookState.OFF if off else HookState.FAILING, since)

    async def _send(self, hook: Hook, waiting: Waiting, events: dict[str, Event]) -> Answer | None:
        """Send one post; None where there is nothing to send."""
        event, now = events.get(waiting.event_id), unix_seconds(self._clock)
        if event is None:
            gone = now - waiting.queued > _EVENT_SECONDS
            await self._records.settle(waiting, None if gone else now + _CLAIM_SECONDS, waiting.attempts)
            return None
        answer = await self.poster.post(hook, event)
        if answer is not Answer.FAILED:
            await self._records.settle(waiting, None, waiting.attempts)
            return answer
        attempts = waiting.attempts + 1
        wait = retry_after(attempts)
        due = None if wait is None else unix_seconds(self._clock) + wait
        await self._records.settle(waiting, due, attempts)
        return answer

    def _age(self, since: int) -> int:
        return max(0, unix_seconds(self._clock) - since)
