"""What follows from reports, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from libs.envelope import KeyedHash
from libs.runtime.errors import SealpostError, UnavailableError
from libs.runtime.secret import Secret
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Profile, State
from services.delivery.domain.ports import Kind
from services.delivery.domain.return_path import ALL_RECIPIENTS, ReturnPaths
from services.delivery.reports.taking import ReportParts, Reports, Taken
from tests.support.clock import ManualClock
from tests.unit.delivery.bounces import AWAY, EXIM, QMAIL, complaint, dsn, group
from tests.unit.delivery.fake_ports import FakeHappenings, FakeNotices, FakeTrails, traces

MAIL = "00112233445566778899aabbccddeeff"
OTHER = "ff112233445566778899aabbccddeeff"


class Bench:
    """Reports on fakes, with one relay mail to three recipients."""

    def __init__(self) -> None:
        self.paths = ReturnPaths(KeyedHash(Secret(b"k" * 32)), "bounces.sealpost.test")
        self.trails, self.happenings, self.notices = FakeTrails(), FakeHappenings(), FakeNotices()
        self.clock = ManualClock()
        site = Site("mx.sealpost.test", "sealpost.test")
        self.reports = Reports(ReportParts(self.paths, self.trails, self.happenings, self.notices, site, self.clock))
        self.has("carol@example.net", "bob@example.net", "dave@example.net")

    def has(self, *addresses: str, profile: Profile = Profile.RELAY, state: State = State.DELIVERED) -> None:
        self.trails.mails[MAIL] = traces(MAIL, *addresses, profile=profile, state=state)

    async def take(self, content: bytes, index: int = 1) -> Taken:
        return await self.reports.take(self.paths.make(MAIL, index), content)

    @property
    def told(self) -> list[tuple[Kind, str, str]]:
        return [(one.kind, one.recipient, one.status) for one in self.happenings.noted.values()]

    @property
    def states(self) -> list[State]:
        return [trace.state for trace in self.trails.mails[MAIL]]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_bounce_is_noted_for_the_recipient_of_the_return_path(bench: Bench) -> None:
    assert await bench.take(dsn(group("forwarded@example.com", status="5.1.1"))) is Taken.BOUNCED
    (noted,) = bench.happenings.noted.values()
    assert (noted.kind, noted.recipient, noted.status) == (Kind.BOUNCED, "bob@example.net", "5.1.1")
    assert (noted.account_id, noted.submission_id, noted.campaign) == ("a" * 32, MAIL, "autumn")
    assert noted.at == int(bench.clock.now().timestamp())
    assert bench.states == [State.DELIVERED, State.BOUNCED, State.DELIVERED]
    # Customers have events; only members are written to.
    assert not bench.notices.put_ones


async def test_the_same_again_changes_nothing(bench: Bench) -> None:
    await bench.take(dsn(group()))
    assert await bench.take(dsn(group(status="5.2.2"))) is Taken.REPEATED
    assert bench.told == [(Kind.BOUNCED, "bob@example.net", "5.1.1")]


@pytest.mark.parametrize("content", [EXIM, QMAIL])
async def test_bounces_in_words_count_as_well(bench: Bench, content: bytes) -> None:
    assert await bench.take(content) is Taken.BOUNCED
    assert bench.told == [(Kind.BOUNCED, "bob@example.net", "5.1.1")]


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (dsn(group(action="delayed", status="4.4.1")), Taken.TEMPORARY),
        (AWAY, Taken.AUTOMATIC),
        (b"Buy", Taken.NOISE),
        (complaint("not-spam"), Taken.NOISE),
    ],
)
async def test_nothing_follows_from_noise(bench: Bench, content: bytes, taken: Taken) -> None:
    assert await bench.take(content) is taken
    assert not bench.happenings.noted and not bench.notices.put_ones
    assert bench.states == [State.DELIVERED] * 3


async def test_a_server_that_gave_up_says_nothing_against_the_address(bench: Bench) -> None:
    assert await bench.take(dsn(group(status="4.4.7"))) is Taken.BOUNCED
    assert bench.told == [(Kind.EXPIRED, "bob@example.net", "4.4.7")]


async def test_a_complaint_is_noted(bench: Bench) -> None:
    assert await bench.take(complaint()) is Taken.COMPLAINED
    assert await bench.take(complaint(about="")) is Taken.COMPLAINED
    assert bench.told == [(Kind.COMPLAINED, "bob@example.net", "")]


async def test_a_complaint_about_nobody_of_the_mail_is_a_stray(bench: Bench) -> None:
    assert await bench.take(complaint(about=""), ALL_RECIPIENTS) is Taken.STRAY
    assert await bench.take(complaint(about="Original-Rcpt-To: x@y.example\n"), ALL_RECIPIENTS) is Taken.STRAY
    assert await bench.take(complaint(), ALL_RECIPIENTS) is Taken.COMPLAINED
    bench.has("bob@example.net", state=State.SUPPRESSED)
    assert await bench.take(complaint(), 0) is Taken.STRAY
    assert bench.told == [(Kind.COMPLAINED, "bob@example.net", "")]


async def test_only_what_was_delivered_can_bounce(bench: Bench) -> None:
    for state in (State.SUPPRESSED, State.CANCELLED, State.BOUNCED, State.EXPIRED):
        bench.has("x@example.net", "bob@example.net", state=state)
        assert await bench.take(dsn(group())) is Taken.REPEATED
    assert not bench.happenings.noted


async def test_a_bounce_that_is_quicker_than_we_comes_again(bench: Bench) -> None:
    bench.has("x@example.net", "bob@example.net", state=State.QUEUED)
    with pytest.raises(UnavailableError):
        await bench.take(dsn(group()))
    bench.has("x@example.net", "bob@example.net")
    assert await bench.take(dsn(group())) is Taken.BOUNCED


async def test_forgotten_mails_and_made_up_addresses_are_unknown(bench: Bench) -> None:
    for address in ("", "bob@sealpost.test", bench.paths.make(OTHER, 0), "x" + bench.paths.make(MAIL, 1)):
        assert await bench.reports.take(address, dsn(group())) is Taken.UNKNOWN
        assert not await bench.reports.known(address)
    assert await bench.reports.known(bench.paths.make(MAIL, 1).upper())
    assert not bench.happenings.noted


async def test_a_position_that_the_mail_has_not_is_a_stray(bench: Bench) -> None:
    assert await bench.take(dsn(group()), 77) is Taken.STRAY


async def test_a_path_for_all_finds_its_recipients_by_address(bench: Bench) -> None:
    groups = [group("BOB@example.net"), group("dave@example.net", status="5.2.2"), group("x@example.net")]
    assert await bench.take(dsn(*groups, group("bob@example.net", status="5.9.9")), ALL_RECIPIENTS) is Taken.BOUNCED
    assert bench.told == [
        (Kind.BOUNCED, "bob@example.net", "5.1.1"),
        (Kind.BOUNCED, "dave@example.net", "5.2.2"),
    ]
    assert bench.states == [State.DELIVERED, State.BOUNCED, State.BOUNCED]


@pytest.mark.parametrize("content", [EXIM, QMAIL])
async def test_a_path_for_all_finds_them_in_words(bench: Bench, content: bytes) -> None:
    assert await bench.take(content, ALL_RECIPIENTS) is Taken.BOUNCED
    assert bench.told == [(Kind.BOUNCED, "bob@example.net", "5.1.1")]


async def test_the_only_recipient_is_meant_whatever_he_is_called(bench: Bench) -> None:
    bench.has("only@example.net")
    assert await bench.take(dsn(group("other@example.org")), ALL_RECIPIENTS) is Taken.BOUNCED
    assert bench.told == [(Kind.BOUNCED, "only@example.net", "5.1.1")]


async def test_a_member_is_told_in_his_mailbox(bench: Bench) -> None:
    bench.has("bob@example.net", "carol@example.net", profile=Profile.SEALED)
    hour_ago = datetime.fromtimestamp(bench.clock.now().timestamp() - 3600, UTC)
    content = dsn(group(), head=f"Date: {format_datetime(hour_ago)}\n")
    assert await bench.take(content, ALL_RECIPIENTS) is Taken.BOUNCED
    ((notice_id, (account_id, notice)),) = bench.notices.put_ones.items()
    assert account_id == "a" * 32
    assert int(notice_id[:10], 16) == int(hour_ago.timestamp())
    assert len(notice_id) == 32
    assert b"Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n" in notice
    assert b"In-Reply-To: <1@sealpost.test>\r\n" in notice
    assert b"To: <ada@sealpost.test>\r\n" in notice
    # What the stranger sent along is not passed on.
    assert b"Subject: Hello" not in notice and b"sorry" not in notice


@pytest.mark.parametrize("date", ["", "nonsense", "Sun, 22 Nov 2036 17:00:00 +0000", "Mon, 1 Jan 2001 17:00:00 +0000"])
async def test_a_report_cannot_choose_where_it_is_listed(bench: Bench, date: str) -> None:
    bench.has("bob@example.net", profile=Profile.SEALED)
    await bench.take(dsn(group(), head=f"Date: {date}\n"))
    await bench.take(dsn(group(), head=f"Date: {date}\n"), 0)
    (notice_id,) = bench.notices.put_ones
    assert int(notice_id[:10], 16) == int(bench.clock.now().timestamp())


async def test_a_member_is_told_of_strays_once_a_day(bench: Bench) -> None:
    bench.has("bob@example.net", "carol@example.net", profile=Profile.SEALED)
    for number in range(5):
        assert await bench.take(dsn(group(f"f{number}@example.org")), ALL_RECIPIENTS) is Taken.STRAY
        bench.clock.advance(1)
    assert len(bench.notices.put_ones) == 1
    assert not bench.happenings.noted
    bench.clock.advance(days=1)
    await bench.take(dsn(group("f@example.org")), ALL_RECIPIENTS)
    assert len(bench.notices.put_ones) == 2


async def test_what_was_cut_short_is_taken_again_under_the_same_names(bench: Bench) -> None:
    bench.has("bob@example.net", profile=Profile.SEALED)
    date = f"Date: {format_datetime(bench.clock.now())}\n"
    content = dsn(group(), head=date)
    bench.happenings.fault = UnavailableError("unreachable")
    with pytest.raises(SealpostError):
        await bench.take(content, 0)
    assert not bench.notices.put_ones and bench.states == [State.DELIVERED]
    bench.happenings.fault, bench.notices.fault = None, UnavailableError("unreachable")
    with pytest.raises(SealpostError):
        await bench.take(content, 0)
    assert bench.states == [State.DELIVERED]
    bench.notices.fault = None
    bench.clock.advance(minutes=30)
    assert await bench.take(content, 0) is Taken.BOUNCED
    assert len(bench.happenings.noted) == len(bench.notices.put_ones) == 1
    assert await bench.take(content, 0) is Taken.REPEATED


async def test_nothing_is_taken_while_the_trail_cannot_be_read(bench: Bench) -> None:
    bench.trails.fault = UnavailableError("store")
    with pytest.raises(UnavailableError):
        await bench.take(dsn(group()))
    with pytest.raises(UnavailableError):
        await bench.reports.known(bench.paths.make(MAIL, 1))
