"""What follows when something happened: events, suppressions, the standing; told twice it follows once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.docstore.store import Event, Insert, Store
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError
from libs.runtime.ids import new_id
from protos.events.v1.events_pb2 import MailDelivered
from services.delivery.customers.campaigns import STOPPED, StoppedCampaigns
from services.delivery.customers.events import DELIVERED_SUBJECT, EVENTS, Events
from services.delivery.customers.happenings import AllHappenings
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.customers.suppressions import SUPPRESSIONS, Suppressions
from services.delivery.domain.limits import total
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Happening, Kind
from tests.support.clock import ManualClock
from tests.unit.delivery.customers.support import MARKS, VAULT, happening, opened
from tests.unit.delivery.keeping import TERMS, swept

COLLECTIONS = (EVENTS, SUPPRESSIONS, STANDING, STOPPED)


class NoPosts:
    async def inserts(self, happenings: Sequence[Happening]) -> Sequence[Insert]:
        return []

    async def wake(self, posts: Sequence[Insert]) -> None:
        assert not posts


class Desk:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.account = new_id()
        self.events = Events(store, MARKS, VAULT, self.clock, TERMS)
        self.suppressions = Suppressions(store, MARKS, self.clock)
        self.standings = Standings(store, MARKS, VAULT, self.clock)
        self.happenings = AllHappenings(store, self.events, self.suppressions, self.standings, NoPosts())
        self.campaigns = StoppedCampaigns(store, MARKS, self.clock, TERMS)

    async def note(self, kind: Kind, recipient: str = "ben@there.test", **more: object) -> Happening:
        """Note one that happens now."""
        one: Happening = happening(kind, self.account, self.clock, recipient, **more)
        await self.happenings.note([one])
        return one


@asynccontextmanager
async def desk_on(directory: Path) -> AsyncIterator[Desk]:
    async with opened(directory, *COLLECTIONS) as store:
        desk = Desk(store)
        yield desk
        await desk.standings.close()


async def test_events_are_listed_newest_first_page_by_page(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        noted = []
        for number in range(5):
            desk.clock.advance(1)
            noted.append(await desk.note(Kind.DELIVERED, f"n{number}@there.test", campaign="spring", status="2.0.0"))
        await desk.happenings.note([happening(Kind.DELIVERED, new_id(), desk.clock)])
        first, cursor = await desk.events.page(desk.account, 3, "")
        rest, end = await desk.events.page(desk.account, 3, cursor)
        assert [one.event_id for one in first + rest] == [one.event_id for one in reversed(noted)]
        assert end == ""
        newest = first[0]
        assert (newest.kind, newest.recipient, newest.campaign, newest.status) == (
            Kind.DELIVERED,
            "n4@there.test",
            "spring",
            "2.0.0",
        )
        assert newest.submission_id == noted[4].submission_id


@pytest.mark.parametrize("cursor", ["x", "!!", "LzEy", "MTIz", "-1", "é"])
async def test_a_strange_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    async with desk_on(tmp_path) as desk:
        with pytest.raises(InvalidError, match="cursor"):
            await desk.events.page(desk.account, 3, cursor)
        for limit in (-1, 201):
            with pytest.raises(InvalidError, match="limit"):
                await desk.events.page(desk.account, limit, "")


async def test_told_again_it_changes_nothing(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        one = await desk.note(Kind.BOUNCED, status="5.1.1")
        await desk.happenings.note([one, one])
        assert len((await desk.events.page(desk.account, 0, ""))[0]) == 1
        await desk.standings.flush()
        ring = (await desk.standings.get(desk.account)).ring
        assert (total(ring).settled, total(ring).bounced) == (1, 1)
        await desk.happenings.note([])


async def test_what_the_relay_has_delivered_is_announced_once(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        mine = await desk.note(Kind.DELIVERED, profile=Profile.RELAY)
        await desk.happenings.note([mine, mine])
        for other in (Kind.DEFERRED, Kind.BOUNCED, Kind.SUPPRESSED, Kind.CANCELLED, Kind.EXPIRED, Kind.COMPLAINED):
            await desk.note(other, profile=Profile.RELAY)
        # A member pays nothing for what he sends.
        await desk.note(Kind.DELIVERED, profile=Profile.SEALED)
        (pending,) = await desk.store.pending_events(10)
        told = MailDelivered(account_id=desk.account, day=mine.at // 86400)
        assert pending.event == Event(mine.event_id, DELIVERED_SUBJECT, told.SerializeToString())


async def test_deliveries_are_counted_by_day(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        midnight = unix_seconds(desk.clock) // 86400
        desk.clock.advance((midnight + 1) * 86400 - unix_seconds(desk.clock))
        today = midnight + 1
        # More than a page of one second, and the last second of the day.
        noted = [happening(Kind.DELIVERED, desk.account, desk.clock, f"n{n}@there.test") for n in range(600)]
        await desk.happenings.note(noted)
        await desk.note(Kind.BOUNCED)
        desk.clock.advance(86399)
        await desk.note(Kind.DELIVERED)
        desk.clock.advance(1)
        await desk.note(Kind.DELIVERED)
        assert [await desk.events.delivered(desk.account, day) for day in (today - 1, today, today + 1)] == [0, 601, 1]
        assert await desk.events.delivered(new_id(), today) == 0


async def test_events_are_gone_after_thirty_days(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.note(Kind.DELIVERED)
        desk.clock.advance(days=29)
        assert len((await desk.events.page(desk.account, 0, ""))[0]) == 1
        assert await swept(desk.store, desk.clock, EVENTS) == 0
        desk.clock.advance(days=1)
        # Not told any longer, even before they are swept.
        assert (await desk.events.page(desk.account, 0, ""))[0] == []
        assert await desk.events.since(desk.account, 0, 10) == []
        assert await swept(desk.store, desk.clock, EVENTS) == 1


@pytest.mark.parametrize(
    ("kind", "status", "profile", "reason"),
    [
        (Kind.BOUNCED, "5.1.1", Profile.RELAY, "bounced"),
        (Kind.BOUNCED, "5.1.10", Profile.RELAY, "bounced"),
        (Kind.BOUNCED, "5.2.1", Profile.RELAY, "bounced"),
        (Kind.BOUNCED, "5.1.8", Profile.RELAY, ""),
        (Kind.BOUNCED, "5.2.2", Profile.RELAY, ""),
        (Kind.BOUNCED, "5.7.1", Profile.RELAY, ""),
        (Kind.BOUNCED, "5.1.1", Profile.SEALED, ""),
        (Kind.COMPLAINED, "", Profile.SEALED, "complained"),
        (Kind.UNSUBSCRIBED, "", Profile.RELAY, "unsubscribed"),
        (Kind.EXPIRED, "4.4.1", Profile.RELAY, ""),
        (Kind.DELIVERED, "2.0.0", Profile.RELAY, ""),
    ],
)
async def test_who_is_suppressed(tmp_path: Path, kind: Kind, status: str, profile: Profile, reason: str) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.note(kind, "Ben@There.test", status=status, profile=profile)
        entry = await desk.suppressions.find(desk.account, "ben@there.test")
        assert (entry.reason if entry else "") == reason


async def test_suppressed_in_every_spelling_and_for_this_account_only(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.suppressions.put(desk.account, "Ben@Bücher.test")
        asked = ["ben@bücher.test", "BEN@xn--bcher-kva.TEST", "ann@bücher.test", "not an address"]
        assert await desk.suppressions.of(desk.account, asked) == set(asked[:2])
        assert await desk.suppressions.of(new_id(), asked) == set()
        assert await desk.suppressions.of(desk.account, []) == set()


async def test_the_list_can_be_read_and_changed(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        for number in range(5):
            desk.clock.advance(days=1)
            await desk.suppressions.put(desk.account, f"n{number}@there.test")
        first, cursor = await desk.suppressions.page(desk.account, 3, "")
        rest, end = await desk.suppressions.page(desk.account, 3, cursor)
        days = [entry.created_day for entry in first + rest]
        assert (len(days), sorted(days, reverse=True), end) == (5, days, "")
        assert {entry.reason for entry in first} == {"manual"}
        await desk.suppressions.delete(desk.account, first[0].suppression_id, "")
        await desk.suppressions.delete(desk.account, first[0].suppression_id, "")
        await desk.suppressions.delete(desk.account, "", "N0@there.test")
        left, _ = await desk.suppressions.page(desk.account, 0, "")
        assert {entry.suppression_id for entry in left} == {entry.suppression_id for entry in first[1:] + rest[:-1]}
        # Another account's entry is out of reach by its id.
        await desk.suppressions.delete(new_id(), left[0].suppression_id, "")
        assert len((await desk.suppressions.page(desk.account, 0, ""))[0]) == 3


async def test_the_first_reason_stays(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.note(Kind.COMPLAINED)
        put = await desk.suppressions.put(desk.account, "ben@there.test")
        assert put.reason == "complained"


@pytest.mark.parametrize("address", ["", "ben", "ben@", "<ben@there.test>", "a b@there.test", "b\r\n@there.test"])
async def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    async with desk_on(tmp_path) as desk:
        with pytest.raises(InvalidError, match="address_invalid"):
            await desk.suppressions.put(desk.account, address)
    async with desk_on(tmp_path) as desk:
        with pytest.raises(InvalidError, match="id"):
            await desk.suppressions.delete(desk.account, "../x", "")


class Queue:
    def __init__(self) -> None:
        self.stops: list[tuple[str, str]] = []

    async def stop_campaign(self, account_id: str, campaign: str) -> int:
        self.stops.append((account_id, campaign))
        return 7


async def test_a_stopped_campaign_stays_stopped(tmp_path: Path) -> None:
    async with opened(tmp_path, *COLLECTIONS) as store:
        here, elsewhere, queue, account = Desk(store), Desk(store), Queue(), new_id()
        assert not await here.campaigns.stopped(account, "spring")
        assert not await elsewhere.campaigns.stopped(account, "spring")
        assert await here.campaigns.stop(account, "spring", queue) == 7
        assert await here.campaigns.stop(account, "spring", queue) == 7
        assert await here.campaigns.stopped(account, "spring")
        elsewhere.clock.advance(3)
        assert await elsewhere.campaigns.stopped(account, "spring")
        assert not await here.campaigns.stopped(account, "summer")
        assert not await here.campaigns.stopped(new_id(), "spring")
        for name in ("", "Spring", "a" * 65, "a\n"):
            with pytest.raises(InvalidError, match="campaign_invalid"):
                await here.campaigns.stop(account, name, queue)
        here.clock.advance(days=401)
        assert await swept(here.store, here.clock, STOPPED) == 1
        for desk in (here, elsewhere):
            await desk.standings.close()


async def test_documents_name_nobody(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        await desk.note(Kind.BOUNCED, "zebedee@quagmire.test", status="5.1.1", campaign="xylophone-week")
        account = desk.account
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir()).lower()
    for mark in ("zebedee", "quagmire", "xylophone", account):
        assert mark.encode() not in held


async def test_what_only_an_event_follows_from_can_be_written_beside_something_else(tmp_path: Path) -> None:
    async with opened(tmp_path, *COLLECTIONS) as store:
        desk = Desk(store)
        ones = [happening(Kind.DELIVERED, desk.account, desk.clock), happening(Kind.EXPIRED, desk.account, desk.clock)]
        beside = await desk.happenings.beside(ones)
        assert beside is not None
        beside.written(await store.write_many(beside.writes))
        listed, _ = await desk.events.page(desk.account, 9, "")
        assert {one.event_id for one in listed} == {one.event_id for one in ones}
        # The second time they are no news, and not counted.
        beside.written(await store.write_many(beside.writes))
        with pytest.raises(InvalidError):
            beside.written([InvalidError("value_invalid"), *await store.write_many(beside.writes[1:])])
        await desk.standings.close()
        standing = await Standings(store, MARKS, VAULT, desk.clock).get(desk.account)
        assert total(standing.ring).settled == 2


async def test_what_more_follows_from_is_not_written_beside(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        gone = happening(Kind.BOUNCED, desk.account, desk.clock, status="5.1.1")
        complaint = happening(Kind.COMPLAINED, desk.account, desk.clock)
        assert await desk.happenings.beside([gone]) is None
        assert await desk.happenings.beside([complaint]) is None
