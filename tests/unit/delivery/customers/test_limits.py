"""How much may be sent: the rules alone, and the counts that processes share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from libs.docstore.store import Store
from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, UnavailableError
from libs.runtime.ids import new_id
from services.delivery.customers.limits import SENT, Counts, SendingLimits
from services.delivery.customers.ports import AccountFacts
from services.delivery.customers.reservations import RESERVED, Reservations
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.domain.limits import Allowance, LimitRules, Tally, add_to_ring, reason_to_pause, total
from services.delivery.domain.model import Profile
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import MARKS, OLD, TODAY, VAULT, BrokenStore, FakeAccounts, opened
from tests.unit.delivery.keeping import TERMS, swept

RULES = LimitRules(member=Allowance(100, 500, 60), relay=Allowance(1000, 50_000, 3000))


class Desk:
    """One process's limits."""

    def __init__(self, store: Store, rules: LimitRules = RULES) -> None:
        self.store = store
        self.clock = ManualClock()
        self.accounts = FakeAccounts()
        self.standings = Standings(store, MARKS, VAULT, self.clock)
        self.limits = SendingLimits(Counts(store, TERMS), MARKS, self.standings, self.accounts, rules, self.clock)

    async def close(self) -> None:
        await self.limits.close()
        await self.standings.close()


@asynccontextmanager
async def desk_on(directory: Path, rules: LimitRules = RULES) -> AsyncIterator[Desk]:
    async with opened(directory, SENT, STANDING) as store:
        desk = Desk(store, rules)
        yield desk
        await desk.close()


async def test_what_has_a_name_counts_once_within_an_hour(tmp_path: Path) -> None:
    async with opened(tmp_path, SENT, STANDING, RESERVED) as store:
        desk, account = Desk(store), new_id()
        # A second process on the same store.
        both = [Reservations(Counts(store, TERMS), MARKS, desk.limits, desk.clock) for _ in range(2)]

        async def count(name: str, recipients: int = 1, process: int = 0, whose: str = account) -> None:
            await both[process].reserve(whose, Profile.SEALED, recipients, name)

        async def sent() -> int:
            return (await desk.limits.sending(account)).sent_today

        for process in (0, 1, 0):
            await count("box/mail", process=process)
        assert await sent() == 1
        await count("box/mail", recipients=2)
        await count("other-box/mail")
        await count("box/mail", whose=new_id())
        await count("")
        await count("")
        assert await sent() == 1 + 2 + 1 + 2
        with pytest.raises(InvalidError, match="reservation_id"):
            await count("x" * 201)
        desk.clock.advance(3601)
        assert await swept(store, desk.clock, RESERVED) == 4
        await count("box/mail")
        assert await sent() == 7
        await desk.close()


async def test_what_was_refused_is_not_taken_for_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, SENT, STANDING, RESERVED) as store:
        desk, account = Desk(store), new_id()
        named = Reservations(Counts(store, TERMS), MARKS, desk.limits, desk.clock)
        await desk.limits.reserve(account, Profile.SEALED, 60)
        for _ in range(2):
            with pytest.raises(ExhaustedError, match="recipients_per_minute"):
                await named.reserve(account, Profile.SEALED, 1, "box/mail")
        broken = BrokenStore(store)
        broken.broken = True
        with pytest.raises(UnavailableError):
            await Reservations(Counts(cast(Store, broken), TERMS), MARKS, desk.limits, desk.clock).reserve(
                account, Profile.SEALED, 1, "box/mail"
            )
        desk.clock.advance(61)
        await named.reserve(account, Profile.SEALED, 1, "box/mail")
        assert (await desk.limits.sending(account)).sent_today == 61
        await desk.close()


@pytest.mark.parametrize(
    ("age", "allowed"), [(0, 50), (1, 100), (4, 250), (8, 450), (9, 500), (10, 500), (5000, 500), (-3, 50)]
)
def test_a_new_account_grows_over_ten_days(age: int, allowed: int) -> None:
    assert Allowance(100, 500, 60).on_day(TODAY - age, TODAY) == allowed


def test_even_the_smallest_allowance_is_some_mails_a_day_but_never_more_than_the_limit() -> None:
    assert Allowance(100, 100, 60).on_day(TODAY, TODAY) == 20
    assert Allowance(100, 5, 60).on_day(TODAY, TODAY) == 5


def test_only_members_and_relay_customers_may_send() -> None:
    for profile in (Profile.PUBLIC, Profile.MAILING):
        with pytest.raises(DeniedError, match="sender_not_allowed"):
            RULES.of(profile)


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (Tally(99, 99, 99), ""),
        (Tally(100, 10, 0), ""),
        (Tally(100, 11, 0), "bounces"),
        (Tally(100, 0, 2), ""),
        (Tally(100, 0, 3), "complaints"),
        (Tally(1000, 0, 3), ""),
        (Tally(1000, 100, 4), "complaints"),
        (Tally(1000, 101, 3), "bounces"),
    ],
)
def test_thresholds(tally: Tally, reason: str) -> None:
    assert reason_to_pause((tally,)) == reason


def test_the_ring_forgets_what_is_more_than_a_thousand_recipients_ago() -> None:
    ring: tuple[Tally, ...] = ()
    for _ in range(50):
        ring = add_to_ring(ring, Tally(1, 1, 0))
    for _ in range(1100):
        ring = add_to_ring(ring, Tally(1, 0, 0))
    assert total(ring).bounced == 0
    assert 900 <= total(ring).settled <= 1000
    assert len(ring) == 10


async def test_a_day_is_shared_by_processes_and_ends_at_the_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, SENT, STANDING) as store:
        one, two, account = Desk(store), Desk(store), new_id()
        for desk in (one, two):
            for _ in range(4):
                desk.clock.advance(minutes=1)
                await desk.limits.reserve(account, Profile.SEALED, 60)
        # 480 are counted, and at most two by each ahead.
        one.clock.advance(minutes=1)
        with pytest.raises(ExhaustedError, match="recipients_per_day") as refused:
            await one.limits.reserve(account, Profile.SEALED, 21)
        assert refused.value.retry_after == pytest.approx(7 * 3600 - 300)
        await two.close()
        one.clock.advance(minutes=1)
        await one.limits.reserve(account, Profile.SEALED, 18)
        sending = await one.limits.sending(account)
        assert (sending.sent_today, sending.limit_today, sending.limit_per_mail) == (498, 500, 100)
        one.clock.advance(days=1)
        await one.limits.reserve(account, Profile.SEALED, 60)
        assert (await one.limits.sending(account)).sent_today == 60
        await one.close()


async def test_many_at_once_never_pass_the_limit(tmp_path: Path) -> None:
    rules = LimitRules(relay=Allowance(1000, 1000, 100_000))
    async with desk_on(tmp_path, rules) as desk:
        account = new_id()
        calls = (desk.limits.reserve(account, Profile.RELAY, 7) for _ in range(200))
        results = await asyncio.gather(*calls, return_exceptions=True)
        taken = sum(result is None for result in results)
        assert all(result is None or isinstance(result, ExhaustedError) for result in results)
        # Less than one recipient's worth of what was counted ahead may be left.
        assert 1000 - 7 - 5 <= taken * 7 <= 1000


async def test_what_was_not_spent_is_given_back_at_the_end(tmp_path: Path) -> None:
    account = new_id()
    async with opened(tmp_path, SENT, STANDING) as store:
        first = Desk(store)
        await first.limits.reserve(account, Profile.RELAY, 5)
        await first.close()
        second = Desk(store)
        assert (await second.limits.sending(account)).sent_today == 5
        await second.close()


async def test_a_minute_and_a_mail_have_their_limits(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        # More recipients than a minute allows, and less than a mail may have: the minute is used up by it.
        await desk.limits.reserve(account, Profile.SEALED, 100)
        with pytest.raises(ExhaustedError, match="recipients_per_minute") as refused:
            await desk.limits.reserve(account, Profile.SEALED, 1)
        assert refused.value.retry_after is not None and 0 < refused.value.retry_after <= 60
        await desk.limits.reserve(new_id(), Profile.SEALED, 1)
        for count in (0, -1, 101):
            with pytest.raises(InvalidError, match="too_many_recipients"):
                await desk.limits.reserve(account, Profile.SEALED, count)


async def test_the_age_of_an_account_counts_and_is_asked_once(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        desk.accounts.known[account] = AccountFacts(Profile.RELAY, TODAY)
        assert (await desk.limits.sending(account)).limit_today == 5000
        desk.clock.advance(days=1)
        assert (await desk.limits.sending(account)).limit_today == 10_000
        assert desk.accounts.asked == 1


async def test_without_accounts_nothing_is_counted(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        account = new_id()
        desk.accounts.failing = True
        with pytest.raises(UnavailableError):
            await desk.limits.reserve(account, Profile.SEALED, 1)
        desk.accounts.failing = False
        await desk.limits.reserve(account, Profile.SEALED, 1)
        assert (await desk.limits.sending(account)).sent_today == 1


async def test_too_many_bounces_pause_and_an_operator_resumes(tmp_path: Path) -> None:
    async with opened(tmp_path, SENT, STANDING) as store:
        here, elsewhere, account = Desk(store), Desk(store), new_id()
        await elsewhere.limits.reserve(account, Profile.RELAY, 1)
        here.standings.note(account, Tally(100, 20, 0))
        await here.standings.flush()
        with pytest.raises(DeniedError, match="sending_paused"):
            await here.limits.reserve(account, Profile.RELAY, 1)
        # Another process hears of it within seconds.
        elsewhere.clock.advance(6)
        with pytest.raises(DeniedError, match="sending_paused"):
            await elsewhere.limits.reserve(account, Profile.RELAY, 1)
        sending = await here.limits.sending(account)
        assert (sending.paused, sending.reason, sending.bounced_per_mille) == (True, "bounces", 200)
        await here.standings.resume(account)
        await here.limits.reserve(account, Profile.RELAY, 1)
        here.standings.note(account, Tally(99, 99, 0))
        await here.standings.flush()
        await here.limits.reserve(account, Profile.RELAY, 1)
        for desk in (here, elsewhere):
            await desk.close()


async def test_counts_of_many_and_of_several_processes_all_arrive(tmp_path: Path) -> None:
    async with opened(tmp_path, SENT, STANDING) as store:
        desks, account = [Desk(store), Desk(store)], new_id()
        for _ in range(40):
            for desk in desks:
                desk.standings.note(account, Tally(1, 0, 0))
            await asyncio.gather(*(desk.standings.flush() for desk in desks))
        assert total((await desks[0].standings.get(account)).ring).settled == 80
        for desk in desks:
            await desk.close()


async def test_counts_are_written_without_being_asked_and_kept_until_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path, STANDING) as store:
        broken = BrokenStore(store)
        standings, account = Standings(cast(Store, broken), MARKS, VAULT, ManualClock()), new_id()
        broken.broken = True
        standings.note(account, Tally(2, 1, 0))
        with pytest.raises(UnavailableError):
            await standings.flush()
        broken.broken = False
        standings.note(account, Tally(1, 0, 0))
        async with asyncio.timeout(5):
            while total((await standings.get(account)).ring) != Tally(3, 1, 0):  # noqa: ASYNC110 - a timer's doing
                await asyncio.sleep(0.02)
        await standings.close()


async def test_counts_of_past_days_are_forgotten(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.limits.reserve(new_id(), Profile.SEALED, 1)
        assert await swept(desk.store, desk.clock, SENT) == 0
        desk.clock.advance(days=3)
        assert await swept(desk.store, desk.clock, SENT) == 1


async def test_documents_name_no_account(tmp_path: Path) -> None:
    account = new_id()
    async with opened(tmp_path, SENT, STANDING) as store:
        desk = Desk(store)
        desk.accounts.known[account] = AccountFacts(Profile.SEALED, OLD)
        await desk.limits.reserve(account, Profile.SEALED, 3)
        desk.standings.note(account, Tally(200, 100, 0))
        await desk.standings.flush()
        await desk.close()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert account.encode() not in held
    assert MARKS.account(account).encode() in held
