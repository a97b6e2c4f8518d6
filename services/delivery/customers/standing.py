"""How an account's sending stands: the ring of what became of its mail, and whether it has to stop.

Tallies of all accounts gather for a moment and are written as one batch, for a write with each mail would cost as much
as the mail itself; what a crash takes along of them is less than what a thousand recipients could notice. A ring is
read, changed and put back under its version, so that several processes share it. An account that must stop is stopped
in that same write, which also says that a notice is due: if the process dies before the notice is in the mailbox,
another one brings it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from libs.docstore.fields import blob, number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store, Value
from libs.envelope import Vault, place_of
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, SealpostError, UnavailableError
from libs.runtime.ids import new_message_id
from libs.telemetry.logs import get_logger
from services.delivery.customers.marks import Marks
from services.delivery.domain.limits import Tally, add_to_ring, reason_to_pause

STANDING = Collection(
    "standing", (Index("notice", ("notice_due",)),), fields=("account", "ring", "paused", "notice_due", "notice_id")
)

# For how long another process's pause may go unnoticed here.
_KNOWN_SECONDS = 5.0
_MAX_KNOWN = 20_000
_GATHER_SECONDS = 0.2
_ATTEMPTS = 20

_log = get_logger("standing")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one account. `paused` is "" or the reason; `notice_due` 0 where none has to be sent."""

    account_id: str
    ring: tuple[Tally, ...] = ()
    paused: str = ""
    notice_due: int = 0
    notice_id: str = ""
    version: int = field(default=0, compare=False)


class Standings:
    """The standings of all accounts."""

    def __init__(self, store: Store, marks: Marks, vault: Vault, clock: Clock) -> None:
        """Keep them in `store`."""
        self._store = store
        self._marks = marks
        self._vault = vault
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._pending: defaultdict[str, Tally] = defaultdict(Tally)
        self._flushing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    def note(self, account_id: str, tally: Tally) -> None:
        """Count what became of recipients; written within moments, together with what else comes until then."""
        self._pending[account_id] = self._pending[account_id].plus(tally)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._flush_soon)

    async def flush(self) -> None:
        """Write what was counted. Raises: UnavailableError; it is then still to be written."""
        async with self._flushing:
            pending, self._pending = self._pending, defaultdict(Tally)
            try:
                if pending:
                    await self._add(pending)
            except BaseException:
                for account_id, tally in pending.items():
                    self._pending[account_id] = self._pending[account_id].plus(tally)
                raise

    async def paused(self, account_id: str) -> str:
        """Return why the account must not send, "" if it may, as it was at most five seconds ago."""
        known = self._known.get(account_id)
        if known is not None and known[0] > self._clock.monotonic():
            return known[1]
        return (await self.get(account_id)).paused

    async def get(self, account_id: str) -> Standing:
        """Return the standing of an account; of one that nothing is known of, an empty one."""
        found = await self._store.get(STANDING, self._marks.account(account_id))
        standing = self.decode(found) if found is not None else Standing(account_id)
        self._remember(standing)
        return standing

    async def resume(self, account_id: str) -> Standing:
        """Let the account send again. It begins with an empty ring, or its past would stop it at once."""
        return await self._change(account_id, lambda old: replace(old, ring=(), paused="", notice_due=0))

    async def due_notices(self, limit: int) -> Sequence[Standing]:
        """Return at most `limit` standings whose account has to be told now."""
        query = Query(STANDING, "notice", (), upper=unix_seconds(self._clock), limit=limit)
        return [self.decode(document) for document in await self._store.find(query)]

    async def told(self, standing: Standing, next_due: int = 0) -> None:
        """Note that the notice is in the mailbox, or that it has to be tried again at `next_due`."""

        def change(old: Standing) -> Standing:
            # Somebody may have resumed and paused again meanwhile: that is another notice.
            return replace(old, notice_due=next_due) if old.notice_id == standing.notice_id else old

        await self._change(standing.account_id, change)

    def forget(self, account_id: str) -> None:
        """Forget what is in memory about an account that is erased."""
        self._pending.pop(account_id, None)
        self._known.pop(account_id, None)

    async def close(self) -> None:
        """Write what was counted. Raises: UnavailableError."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._flushes)
        await self.flush()

    def _flush_soon(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._flush_quietly())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush_quietly(self) -> None:
        try:
            await self.flush()
        except SealpostError as error:
            # The next one takes it along; there is one as soon as anything else is counted.
            _log.warning("standing_not_written", count=len(self._pending), error=error)

    async def _add(self, left: dict[str, Tally]) -> None:
        """Write tallies, and take out of `left` what is written."""
        async for _ in Backoff(first=0.01, ceiling=0.2, attempts=_ATTEMPTS):
            keys = {self._marks.account(account_id): account_id for account_id in left}
            found = await self._get_many(list(keys))
            news = [self._counted(account_id, found.get(key), left[account_id]) for key, account_id in keys.items()]
            results = await self._store.write_many([self._write(new) for new in news])
            for new, result in zip(news, results, strict=True):
                if isinstance(result, ConflictError):
                    continue
                if isinstance(result, Exception):
                    raise result
                del left[new.account_id]
                self._remember(new)
            if not left:
                return
        raise UnavailableError("contention")

    async def _get_many(self, keys: Sequence[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for start in range(0, len(keys), 1000):
            found |= await self._store.get_many(STANDING, keys[start : start + 1000])
        return found

    def _counted(self, account_id: str, found: Document | None, tally: Tally) -> Standing:
        old = self.decode(found) if found is not None else Standing(account_id)
        new = replace(old, ring=add_to_ring(old.ring, tally))
        reason = reason_to_pause(new.ring)
        if not reason or old.paused:
            return new
        now = unix_seconds(self._clock)
        return replace(new, paused=reason, notice_due=now, notice_id=new_message_id(self._clock))

    async def _change(self, account_id: str, change: Callable[[Standing], Standing]) -> Standing:
        async for _ in Backoff(first=0.01, ceiling=0.2, attempts=_ATTEMPTS):
            old = await self.get(account_id)
            new = change(old)
            if new == old:
                return old
            try:
                await self._store.write(self._write(new))
            except ConflictError:
                continue
            self._remember(new)
            return new
        raise UnavailableError("contention")

    def _write(self, standing: Standing) -> Insert | Replace:
        key = self._marks.account(standing.account_id)
        ring: list[Value] = [[*bucket] for bucket in standing.ring]
        body: Body = {
            "account": self._vault.seal(place_of(STANDING.name, key, "account"), standing.account_id.encode()),
            "ring": ring,
            "paused": standing.paused,
            "notice_due": standing.notice_due or None,
            "notice_id": standing.notice_id,
        }
        if standing.version:
            return Replace(STANDING, key, body, standing.version)
        return Insert(STANDING, key, body)

    def decode(self, document: Document) -> Standing:
        """Return what a document holds. Raises: InternalError, UnavailableError("kek_missing")."""
        body = document.body
        return Standing(
            self._vault.open(place_of(STANDING.name, document.key, "account"), blob(body, "account")).decode(),
            _ring(body.get("ring")),
            text(body, "paused"),
            number(body, "notice_due", 0),
            text(body, "notice_id"),
            document.version,
        )

    def _remember(self, standing: Standing) -> None:
        self._known[standing.account_id] = (self._clock.monotonic() + _KNOWN_SECONDS, standing.paused)
        self._known.move_to_end(standing.account_id)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)


def _ring(value: Value) -> tuple[Tally, ...]:
    if not isinstance(value, list):
        raise InternalError("document_damaged")
    ring = []
    for bucket in value:
        numbers = [count for count in bucket if isinstance(count, int)] if isinstance(bucket, list) else []
        if len(numbers) != len(Tally._fields):
            raise InternalError("document_damaged")
        ring.append(Tally(*numbers))
    return tuple(ring)
