"""What an account may still send: per mail, per minute, per day, and not at all while it is paused.

The day's count is durable and shared by all processes: one document for each account and UTC day, counted up with the
day's limit as its ceiling. A commit for each mail would be a second one beside the mail's own, so a process takes a
little ahead (at most half a per cent of the limit) and spends that from memory; what it has not spent it gives back
when it closes. Callers that come while a count is under way are counted together.

The minute's count is each process's own, in memory, and forgotten with the minute (libs.runtime.limits).
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from libs.docstore.fields import number
from libs.docstore.store import Collection, Increment, Index, Operation, Store
from libs.policy import Terms
from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, SealpostError
from libs.runtime.limits import KeyedLimiter
from services.delivery.customers.marks import Marks
from services.delivery.customers.ports import AccountFacts, Accounts
from services.delivery.customers.standing import Standing, Standings
from services.delivery.domain.limits import DAY, LimitRules, per_mille, total
from services.delivery.domain.model import Profile

SENT = Collection(
    "sent",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("recipients", "account", "expires"),
)

_FIELD = "recipients"
_MAX_ACCOUNTS = 20_000
_AHEAD_PART = 200
_MOST_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Sending:
    """How an account's sending stands; recipients, and thousandths of the last thousand that are settled."""

    sent_today: int
    limit_today: int
    limit_per_mail: int
    paused: bool
    reason: str
    bounced_per_mille: int
    complained_per_mille: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Where it is counted, opened with SENT, and for how long a count is kept.

    Counts guard against abuse and hold a number only: they follow the terms in force, for everybody alike.
    """

    store: Store
    terms: Terms


@dataclass(frozen=True, slots=True)
class _Want:
    account_id: str
    day: int
    limit: int
    recipients: int


class SendingLimits:
    """Implements domain.ports.Limits."""

    def __init__(
        self, counts: Counts, marks: Marks, standings: Standings, accounts: Accounts, rules: LimitRules, clock: Clock
    ) -> None:
        """Take where it is counted, and what holds for whom."""
        self._store = counts.store
        self._terms = counts.terms
        self._marks = marks
        self._standings = standings
        self._accounts = accounts
        self._rules = rules
        self._clock = clock
        self._minutes = {
            profile: KeyedLimiter(rules.of(profile).per_minute, 60.0, _MAX_ACCOUNTS, clock)
            for profile in (Profile.SEALED, Profile.RELAY)
        }
        self._facts: OrderedDict[str, AccountFacts] = OrderedDict()
        # Counted already and not spent yet, of one day.
        self._ahead: defaultdict[str, int] = defaultdict(int)
        self._ahead_day = 0
        self._batcher: Batcher[_Want, None] = Batcher(
            self._count, max_items=5000, max_weight=5000, weigh=lambda _: 1, max_delay=0.0, concurrency=1,
            max_queued=50_000,
        )  # fmt: skip

    async def reserve(self, account_id: str, profile: Profile, recipients: int) -> None:
        """See domain.ports.Limits. Raises also: DeniedError("sender_not_allowed")."""
        allowance = self._rules.of(profile)
        if not 0 < recipients <= allowance.per_message:
            raise InvalidError("too_many_recipients")
        if await self._standings.paused(account_id):
            raise DeniedError("sending_paused")
        want = await self._want(account_id, profile, recipients)
        # A mail may have more recipients than a minute: it then takes the whole minute.
        wait = self._minutes[profile].allow(account_id, min(recipients, allowance.per_minute))
        if wait > 0:
            raise ExhaustedError("recipients_per_minute", retry_after=wait)
        if not self._spend(want):
            await self._batcher.submit(want)

    async def sending(self, account_id: str) -> Sending:
        """Return how an account's sending stands. Raises: SealpostError."""
        standing = await self._standings.get(account_id)
        profile = (await self._known(account_id)).profile
        want = await self._want(account_id, profile, 0)
        found = await self._store.get(SENT, self._key(want.day, account_id))
        counted = number(found.body, _FIELD, 0) if found is not None else 0
        ahead = self._ahead[account_id] if account_id in self._ahead and self._ahead_day == want.day else 0
        per_mail = self._rules.of(profile).per_message
        return _sending(standing, max(0, counted - ahead), want.limit, per_mail)

    def forget(self, account_id: str) -> None:
        """Forget what is in memory about an account that is erased: nothing of it is given back later."""
        self._ahead.pop(account_id, None)
        self._facts.pop(account_id, None)

    async def close(self) -> None:
        """Give back what was counted and not spent. Raises: UnavailableError."""
        await self._batcher.close()
        back, self._ahead = self._ahead, defaultdict(int)
        operations = [self._add(_Want(one, self._ahead_day, 0, 0), -count) for one, count in back.items()]
        if operations:
            await self._store.write_many(operations)

    async def _known(self, account_id: str) -> AccountFacts:
        known = self._facts.get(account_id)
        if known is None:
            known = self._facts[account_id] = await self._accounts.facts(account_id)
            if len(self._facts) > _MAX_ACCOUNTS:
                self._facts.popitem(last=False)
        return known

    async def _want(self, account_id: str, profile: Profile, recipients: int) -> _Want:
        created_day, today = (await self._known(account_id)).created_day, unix_seconds(self._clock) // DAY
        return _Want(account_id, today, self._rules.of(profile).on_day(created_day, today), recipients)

    def _spend(self, want: _Want) -> bool:
        """Take it from what was counted ahead, if that is enough."""
        if want.day != self._ahead_day:
            self._ahead.clear()
            self._ahead_day = want.day
        left = self._ahead.get(want.account_id, 0) - want.recipients
        if left < 0:
            return False
        self._ahead[want.account_id] = left
        if not left:
            del self._ahead[want.account_id]
        return True

    async def _count(self, wants: Sequence[_Want]) -> Sequence[SealpostError | None]:
        """Count all wants of an account at once and something ahead; one by one where that is too much."""
        groups: defaultdict[_Want, list[int]] = defaultdict(list)
        for position, want in enumerate(wants):
            groups[_Want(want.account_id, want.day, want.limit, 0)].append(position)
        # What is left from before is in none but this count's hands until it is done.
        left = [self._ahead.pop(group.account_id, 0) if group.day == self._ahead_day else 0 for group in groups]
        operations = [
            self._add(group, sum(wants[one].recipients for one in those) + _ahead(group.limit) - had)
            for (group, those), had in zip(groups.items(), left, strict=True)
        ]
        over: list[int] = []
        again: list[Operation] = []
        for (group, those), had, written in zip(
            groups.items(), left, await self._store.write_many(operations), strict=True
        ):
            if isinstance(written, ExhaustedError):
                over += those
                again.append(self._add(group, -had))
            elif isinstance(written, Exception):
                raise written
            elif group.day == self._ahead_day and _ahead(group.limit):
                self._ahead[group.account_id] += _ahead(group.limit)
        return await self._one_by_one(wants, over, again) if over else [None] * len(wants)

    async def _one_by_one(
        self, wants: Sequence[_Want], over: Sequence[int], given_back: Sequence[Operation]
    ) -> Sequence[SealpostError | None]:
        results: list[SealpostError | None] = [None] * len(wants)
        singles = [self._add(wants[one], wants[one].recipients) for one in over]
        written = await self._store.write_many([*given_back, *singles])
        for one, result in zip(over, written[len(given_back) :], strict=True):
            if isinstance(result, ExhaustedError):
                results[one] = ExhaustedError("recipients_per_day", retry_after=self._until_tomorrow())
            elif isinstance(result, Exception):
                raise result
        return results

    def _add(self, want: _Want, recipients: int) -> Increment:
        return Increment(
            SENT,
            self._key(want.day, want.account_id),
            {_FIELD: recipients},
            {_FIELD: want.limit},
            {
                "account": self._marks.account(want.account_id),
                "expires": want.day * DAY + self._terms.rule("sending_count_seconds"),
            },
        )

    def _key(self, day: int, account_id: str) -> str:
        return f"{day}/{self._marks.account(account_id)}"

    def _until_tomorrow(self) -> float:
        return float(DAY - unix_seconds(self._clock) % DAY)


def _ahead(limit: int) -> int:
    return min(_MOST_AHEAD, limit // _AHEAD_PART)


def _sending(standing: Standing, sent: int, limit: int, per_mail: int) -> Sending:
    settled, bounced, complained = total(standing.ring)
    return Sending(
        sent_today=sent,
        limit_today=limit,
        limit_per_mail=per_mail,
        paused=bool(standing.paused),
        reason=standing.paused,
        bounced_per_mille=per_mille(bounced, settled),
        complained_per_mille=per_mille(complained, settled),
    )
