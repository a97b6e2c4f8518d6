"""Random histories: nothing outlives its time by more than one sweep, and nothing goes before its time is over.

Mails come, settings are used, clocks move in both directions, sweeps are asked for by somebody whose clock is another,
the process dies in the middle of one and starts again. After every step what is in the store is compared with what was
promised; and readers never see what is over, swept or not.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.store import Query
from libs.policy import load_policy
from libs.runtime.clock import unix_seconds
from services.storage.domain import Object
from services.storage.objects import object_key
from services.storage.repository import MESSAGES, SETTINGS
from tests.support.clock import ManualClock
from tests.unit.storage.support import Died, Fault, FaultyStore, Storage, make_storage, open_storage

DAY = 86_400
BOXES = ("a", "b", "c")
IDLE = load_policy().rules["preferences_seconds"].value

_steps = st.one_of(
    st.tuples(st.just("public"), st.sampled_from(BOXES), st.integers(1, 5 * DAY)),
    st.tuples(st.just("counted"), st.sampled_from(BOXES), st.integers(1, 5 * DAY)),
    st.tuples(st.just("member"), st.sampled_from(BOXES), st.just(0)),
    st.tuples(st.just("settings"), st.sampled_from(BOXES), st.just(0)),
    st.tuples(st.just("look"), st.sampled_from(BOXES), st.just(0)),
    st.tuples(st.just("forward"), st.just(""), st.one_of(st.integers(1, 3 * DAY), st.integers(DAY, 100 * DAY))),
    st.tuples(st.just("back"), st.just(""), st.integers(1, 3 * DAY)),
    st.tuples(st.just("sweep"), st.just(""), st.integers(-2 * DAY, 400 * DAY)),
    st.tuples(st.just("killed"), st.just(""), st.integers(0, 3)),
    st.tuples(st.just("restart"), st.just(""), st.just(0)),
)


class MovedClock(ManualClock):
    """A clock whose wall time is also set back."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._moved

    def back(self, seconds: int) -> None:
        self._moved -= timedelta(seconds=seconds)


@dataclass
class Promised:
    """What has to be there, and what must not be any more."""

    # Of each mail: its mailbox and its end, 0 for none.
    mails: dict[str, tuple[str, int]] = field(default_factory=dict)
    # The day of the last access of the settings of each mailbox.
    touched: dict[str, int] = field(default_factory=dict)
    # The latest moment of which a sweep could know that it was over.
    swept: int = 0

    def settings_over(self, mailbox_id: str, now: int) -> bool:
        return mailbox_id not in self.touched or now >= (self.touched[mailbox_id] + 1) * DAY + IDLE


async def _step(storage: Storage, promised: Promised, what: str, mailbox_id: str, number: int) -> None:
    now = unix_seconds(storage.clock)
    objects = storage.graph.parts.objects
    if what in {"public", "counted", "member"}:
        ends = 0 if what == "member" else now + 1 + number
        fields = {"keep_newest": 1000} if what == "public" else {}
        delivery = storage.mail(mailbox_id, expires_at=ends, **fields)
        assert await storage.append(delivery) == ["ok"]
        promised.mails[delivery.messages[0].message_id] = (mailbox_id, ends)
    elif what == "settings":
        held = await objects.get(mailbox_id, "settings")
        await objects.put(mailbox_id, "settings", Object(b"sealed", held.version))
        promised.touched[mailbox_id] = now // DAY
    elif what == "look":
        over = promised.settings_over(mailbox_id, now)
        assert (await objects.get(mailbox_id, "settings")).sealed == (b"" if over else b"sealed")
        if not over:
            promised.touched[mailbox_id] = max(promised.touched[mailbox_id], now // DAY)
    elif what == "forward":
        storage.clock.advance(number)
    elif what == "back":
        assert isinstance(storage.clock, MovedClock)
        storage.clock.back(number)
    elif what == "sweep":
        await _sweep(storage, promised, now, now + number)
    elif what == "killed":
        dying = make_storage(FaultyStore(storage.store, Fault(number, "half", dies=True)), storage.clock)
        promised.swept = max(promised.swept, now)
        try:
            await dying.expire()
        except Died:
            return


async def _sweep(storage: Storage, promised: Promised, now: int, until: int) -> None:
    for name in storage.graph.owner.names:
        while (await storage.graph.owner.sweep(name, until, 7)).more:
            pass
    over = min(now, until)
    promised.swept = max(promised.swept, over)
    stored = await _stored(storage)
    assert not {one for one, (_, ends) in promised.mails.items() if 0 < ends <= over} & stored
    for mailbox_id in BOXES:
        if promised.settings_over(mailbox_id, over):
            assert await storage.store.get(SETTINGS, object_key(mailbox_id, "settings")) is None


async def _stored(storage: Storage) -> set[str]:
    found: set[str] = set()
    for mailbox_id in BOXES:
        page = await storage.store.find(Query(MESSAGES, "listed", (mailbox_id,), limit=1000))
        found |= {str(document.body["message"]) for document in page}
    return found


async def _check(storage: Storage, promised: Promised) -> None:
    now = unix_seconds(storage.clock)
    stored = await _stored(storage)
    assert {one for one, (_, ends) in promised.mails.items() if ends == 0 or ends > promised.swept} <= stored
    for mailbox_id in BOXES:
        here = {one: ends for one, (box, ends) in promised.mails.items() if box == mailbox_id}
        seen = set(await storage.ids(mailbox_id))
        assert seen == {one for one, ends in here.items() if (ends == 0 or ends > now) and one in stored}
        assert (await storage.mailbox(mailbox_id)).used_messages <= len(seen)
        if not promised.settings_over(mailbox_id, max(now, promised.swept)):
            assert await storage.store.get(SETTINGS, object_key(mailbox_id, "settings")) is not None


async def _live(directory: Path, steps: list[tuple[str, str, int]]) -> None:
    clock, promised = MovedClock(), Promised()
    waiting = list(steps)
    while waiting:
        async with open_storage(directory, clock) as storage:
            while waiting:
                what, mailbox_id, number = waiting.pop(0)
                if what == "restart":
                    break
                await _step(storage, promised, what, mailbox_id, number)
                await _check(storage, promised)
    async with open_storage(directory, clock) as storage:
        await _sweep(storage, promised, unix_seconds(clock), unix_seconds(clock))
        await _check(storage, promised)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_steps, max_size=25))
def test_nothing_outlives_its_time_and_nothing_dies_early(steps: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_live(Path(directory), steps))
