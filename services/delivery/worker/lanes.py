"""Who may go next: mails in memory, in a lane for each destination.

A destination that is slow or dead must cost the others nothing. So each has a lane with a number of slots, a short line
of mails that wait in memory, and for all the rest the store, from where they are fetched when the line gets short. A
lane whose destination does not answer takes no mails at all; they are put off, for the longer the more they are.

Lanes that can start a mail stand in a round, so that each gets its turn, and none that is blocked is looked at.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.delivery.domain.model import Transport
from services.delivery.queue.entry import Entry

_LEAST_PUT_OFF = 5
_LONGEST_PUT_OFF = 900
# How many put-off mails may come back per second for each destination.
_RETURNS_PER_SECOND = 20
_MAX_LANES = 20_000


@dataclass(slots=True)
class Lane:
    """One destination. `put_off` is about how many of its mails wait in the store only."""

    domain: str
    limit: int
    active: int = 0
    # Admitted, but not here yet.
    expected: int = 0
    waiting: deque[Entry] = field(default_factory=deque)
    put_off: int = 0
    fetching: bool = False
    in_round: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it."""
        return not (self.active or self.expected or self.waiting or self.put_off or self.fetching)


@dataclass(frozen=True, slots=True)
class LaneRules:
    """Bounds of each lane: mails at once with one destination, with one of our own, and in line."""

    per_destination: int
    per_own: int
    in_line: int


class Lanes:
    """All destinations that there is something to do for."""

    def __init__(
        self, transport: Transport, rules: LaneRules, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        """Take who knows which destinations are busy."""
        self._transport = transport
        self._rules = rules
        self._uniform = uniform
        self._lanes: OrderedDict[str, Lane] = OrderedDict()
        self._round: deque[Lane] = deque()
        self._own: set[str] = set()

    def lane(self, domain: str) -> Lane:
        """Return the lane of a destination, made where there is none."""
        lane = self._lanes.get(domain)
        if lane is None:
            lane = self._lanes[domain] = Lane(domain, self._rules.per_destination)
            if domain in self._own:
                lane.limit = self._rules.per_own
            if len(self._lanes) > _MAX_LANES:
                self._forget_some()
        return lane

    def note_own(self, domain: str) -> None:
        """Learn that mail for a domain stays here: there is no server to be spared."""
        if domain not in self._own and len(self._own) < _MAX_LANES:
            self._own.add(domain)
            self.lane(domain).limit = self._rules.per_own

    def accepts(self, domain: str) -> bool:
        """Tell whether one more mail may wait in memory for a destination."""
        lane = self.lane(domain)
        if len(lane.waiting) + lane.expected >= self._rules.in_line:
            return False
        return bool(lane.active) or not self._busy(domain)

    def can_start(self, lane: Lane) -> bool:
        """Tell whether one more mail may be sent to a destination."""
        return lane.active < lane.limit and not self._busy(lane.domain)

    def enter(self, lane: Lane, entry: Entry) -> None:
        """Have a mail wait in line."""
        lane.waiting.append(entry)
        self.consider(lane)

    def consider(self, lane: Lane) -> None:
        """Put a lane into the round if it can start something."""
        if not lane.in_round and lane.waiting and self.can_start(lane):
            lane.in_round = True
            self._round.append(lane)

    def next(self) -> tuple[Lane, Entry] | None:
        """Return a mail that can start now, and take a slot for it; None if there is none."""
        while self._round:
            lane = self._round.popleft()
            lane.in_round = False
            if lane.waiting and self.can_start(lane):
                entry = lane.waiting.popleft()
                lane.active += 1
                self.consider(lane)
                return lane, entry
        return None

    def more_slots(self, lane: Lane, wanted: int) -> int:
        """Take up to `wanted` further slots for a mail with several transactions; return how many there were."""
        taken = 0
        while taken < wanted and self.can_start(lane):
            lane.active += 1
            taken += 1
        return taken

    def leave(self, lane: Lane, slots: int = 1) -> None:
        """Give slots back."""
        lane.active -= slots
        self.consider(lane)
        if lane.idle:
            self._lanes.pop(lane.domain, None)

    def tick(self) -> tuple[list[Lane], list[Lane]]:
        """Look at all lanes again, for destinations come and go.

        Return those that do not answer though mails wait in line, and those that mails may be fetched for.
        """
        dead, open_ = [], []
        for lane in list(self._lanes.values()):
            if lane.idle:
                del self._lanes[lane.domain]
            elif self._busy(lane.domain) and not lane.active:
                if lane.waiting:
                    dead.append(lane)
            else:
                self.consider(lane)
                if self.wants_more(lane):
                    open_.append(lane)
        return dead, open_

    def wants_more(self, lane: Lane) -> bool:
        """Tell whether mails should be fetched from the store for a lane."""
        short = len(lane.waiting) + lane.expected <= max(1, self._rules.in_line // 4)
        return bool(lane.put_off) and short and not lane.fetching and not self._busy(lane.domain)

    def put_off_for(self, lane: Lane) -> int:
        """Return for how many seconds one more mail is put off."""
        lane.put_off += 1
        least = min(max(lane.put_off / _RETURNS_PER_SECOND, _LEAST_PUT_OFF), _LONGEST_PUT_OFF)
        return round(self._uniform(least, 2 * least))

    def waiting(self) -> list[Entry]:
        """Return all mails in line."""
        return [entry for lane in self._lanes.values() for entry in lane.waiting]

    def _busy(self, domain: str) -> bool:
        return domain not in self._own and self._transport.busy(domain)

    def _forget_some(self) -> None:
        for domain in [
            name for name, lane in self._lanes.items() if not (lane.active or lane.waiting or lane.expected)
        ]:
            if len(self._lanes) <= _MAX_LANES // 2:
                return
            del self._lanes[domain]
