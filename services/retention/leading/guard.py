"""Trusted time: a clock that jumps must not delete anything early.

Two clocks watch each other. Within a process, wall time must go on as the monotonic clock does from where both were
first looked at (the anchor); from one process to the next, it must go on from the time that was last seen, which is
stored. Where wall time is off by more than clock_jump_seconds, forwards or back, time is not known any more: sweeps and
erasures rest, in every replica and over restarts, until somebody says that the clock is right. A machine that was off
for longer looks just like a clock that was set forward, so it waits for that word too: too late is mended, too early
is not.

A smaller step is no reason to rest, yet the lowest that wall time has been, against the monotonic clock, counts: what
came in before a step forward, or while the clock was set back for a while, does not die early. Once wall time has stood
by its step for as long as clock_jump_seconds, it is believed, and both are anchored anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.docstore.fields import number
from libs.docstore.store import Body, Collection, Document, Insert, Replace, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import Evidence

CLOCKS = Collection("clock", fields=("held", "moved", "seen", "confirmed"))
_KEY = "trusted"
_SEEN_EVERY = 20
# Steps within which wall time stands still: rounding to whole seconds, and what the clock discipline slews.
_STEADY = 2

_log = get_logger("guard")
_HELD = metrics.gauge("sealpost_retention_clock_held", "1 while the clock has moved and nobody has confirmed it.")


@dataclass(frozen=True)
class _Anchor:
    wall: int
    monotonic: float


@dataclass(frozen=True)
class _Seen:
    """What is stored. `seen`: wall time, 0 before the first look; `confirmed`: how often it was said to be right."""

    held: bool = False
    moved: int = 0
    seen: int = 0
    confirmed: int = 0

    @classmethod
    def of(cls, document: Document | None) -> _Seen:
        if document is None:
            return cls()
        body = document.body
        return cls(bool(body.get("held")), number(body, "moved"), number(body, "seen"), number(body, "confirmed"))


@dataclass(frozen=True)
class Moved:
    """How wall time stands: `held`, and by how many seconds it is off, forwards positive."""

    held: bool
    seconds: int


class Guard:
    """Trusted time of one replica. `observe` often; then `now` holds."""

    def __init__(self, store: Store, clock: Clock, evidence: Evidence, jump: Callable[[], int]) -> None:
        """Use `store`, opened with CLOCKS; `jump` gives clock_jump_seconds."""
        self._store = store
        self._clock = clock
        self._evidence = evidence
        self._jump = jump
        self._anchor: _Anchor | None = None
        self._at_start = 0
        self._lowest = 0
        self._confirmed = 0
        self._held = True
        self._stood: tuple[int, float] = (0, 0.0)

    @property
    def held(self) -> bool:
        """Whether time is not known."""
        return self._held or self._off() is None

    def now(self) -> int:
        """Return Unix seconds, never later than it is by either clock. Raises: UnavailableError("clock_held")."""
        off = self._off()
        if self._held or off is None:
            raise UnavailableError("clock_held")
        return unix_seconds(self._clock) - (off - self._lowest)

    async def state(self) -> Moved:
        """Return how wall time stands, as the leader has seen it. Raises: UnavailableError."""
        seen = _Seen.of(await self._store.get(CLOCKS, _KEY))
        return Moved(seen.held, seen.moved)

    async def observe(self, leading: bool) -> None:
        """Look at both clocks and at what is stored; who leads writes down what it sees. Raises: UnavailableError."""
        document = await self._store.get(CLOCKS, _KEY)
        before = _Seen.of(document)
        wall, monotonic = self._look()
        if self._anchor is None or before.confirmed != self._confirmed:
            # A new process has only the time that was last seen; otherwise somebody has said that the clock is right.
            self._at_start = wall - before.seen if self._anchor is None and before.seen else 0
            self._anchor_at(wall, monotonic)
            self._confirmed = before.confirmed
        moved = self._moved(wall, monotonic)
        held = before.held or abs(moved) > self._jump()
        if leading:
            await self._write(document, held, moved, wall)
        self._held = held or (document is None and not leading)
        _HELD.set(int(held))

    async def confirm(self) -> None:
        """Take wall time as right. Raises: ConflictError("clock_steady") if it is not held, UnavailableError."""
        document = await self._store.get(CLOCKS, _KEY)
        before = _Seen.of(document)
        if document is None or not before.held:
            raise ConflictError("clock_steady")
        entry = {"moved": before.moved, "confirmation": before.confirmed + 1}
        await self._evidence.append("clock_confirmed", entry, once=f"clock_confirmed:{before.confirmed + 1}")
        wall, _ = self._look()
        body: Body = {"held": False, "moved": 0, "seen": wall, "confirmed": before.confirmed + 1}
        try:
            await self._store.write(Replace(CLOCKS, _KEY, body, document.version))
        except ConflictError as error:
            raise UnavailableError("clock_busy") from error
        await self.observe(False)

    def _moved(self, wall: int, monotonic: float) -> int:
        """Return by how much wall time is off, and anchor anew where it has stood by a small step for long enough."""
        anchor = self._anchor or _Anchor(wall, monotonic)
        off = wall - anchor.wall - int(monotonic - anchor.monotonic)
        if abs(off) <= self._jump():
            self._lowest = min(self._lowest, off)
        if abs(off - self._stood[0]) > _STEADY:
            self._stood = (off, monotonic)
        elif abs(off) <= self._jump() and monotonic - self._stood[1] >= self._jump():
            self._anchor_at(wall, monotonic)
        return max(off, self._at_start, key=abs)

    async def _write(self, document: Document | None, held: bool, moved: int, wall: int) -> None:
        before = _Seen.of(document)
        if document is not None and before.held == held and (held or abs(wall - before.seen) < _SEEN_EVERY):
            return
        if held:
            _log.error("clock_held", seconds=moved)
            await self._evidence.append("clock_held", {"moved": moved}, once=f"clock_held:{before.confirmed}")
        body: Body = {"held": held, "moved": moved if held else 0, "seen": wall, "confirmed": before.confirmed}
        operation = Replace(CLOCKS, _KEY, body, document.version) if document else Insert(CLOCKS, _KEY, body)
        try:
            await self._store.write(operation)
        except ConflictError:
            _log.info("clock_seen_elsewhere")

    def _off(self) -> int | None:
        """Return by how many seconds wall time is ahead of the anchor, None where it is too many or none is known."""
        if self._anchor is None:
            return None
        wall, monotonic = self._look()
        off = wall - self._anchor.wall - int(monotonic - self._anchor.monotonic)
        if abs(off) > self._jump():
            return None
        self._lowest = min(self._lowest, off)
        return off

    def _anchor_at(self, wall: int, monotonic: float) -> None:
        self._anchor, self._stood, self._lowest = _Anchor(wall, monotonic), (0, monotonic), 0

    def _look(self) -> tuple[int, float]:
        """Return both clocks at one moment."""
        while True:
            before = self._clock.monotonic()
            wall = unix_seconds(self._clock)
            if self._clock.monotonic() - before < 1.0:
                return wall, before
